"""Lines and messages out of bytes in any pieces; a message as one line."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from corpus.realistic import events
from corpus.writers import writer
from decode.decoding import decode
from hypothesis import example, given
from hypothesis import strategies as st

from shipper.source.lines import Lines
from shipper.source.syslog_framing import Framing, FramingError
from shipper.source.syslog_text import line_of

NOW = "2026-11-23T10:00:00.123Z"
HEADER = b"<14>Feb 12 07:18:30 percona-audit: "
TEXT = st.text("ab\n", max_size=60).map(str.encode)


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[a:b] for a, b in pairwise(places)]


@given(data=TEXT, cuts=st.lists(st.integers(0, 60)))
def test_lines_do_not_depend_on_the_pieces(data: bytes, cuts: list[int]) -> None:
    lines = Lines(1000)
    fed = [lines.feed(piece) for piece in pieces(data, cuts)]
    assert all(part.endswith(b"\n") for part in fed if part)
    assert lines.pending == (not data.endswith(b"\n") and data != b"")
    whole = b"".join([*fed, lines.finish()])
    assert whole == (data if data.endswith(b"\n") or not data else data + b"\n")


@given(data=TEXT, cuts=st.lists(st.integers(0, 60)))
def test_a_long_line_is_ended_and_no_byte_is_lost(data: bytes, cuts: list[int]) -> None:
    lines = Lines(5)
    fed = b"".join([*(lines.feed(piece) for piece in pieces(data, cuts)), lines.finish()])
    assert fed.replace(b"\n", b"") == data.replace(b"\n", b"")


# --- how messages follow each other

MESSAGES = st.lists(st.text("<14> 9ab\n", min_size=1, max_size=30).map(str.encode), max_size=6)


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 250)))
@example(messages=[b"12345", b"1234567890"], cuts=range(30))
def test_counted_messages_do_not_depend_on_the_pieces(
    messages: list[bytes], cuts: Iterable[int]
) -> None:
    data = b"".join(b"%d %b" % (len(message), message) for message in messages)
    framing = Framing(1000)
    assert [m for piece in pieces(data, cuts) for m in framing.feed(piece)] == messages
    assert not framing.inside
    assert framing.finish() == []


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 250)))
def test_lines_are_messages(messages: list[bytes], cuts: list[int]) -> None:
    messages = [b"<" + message.replace(b"\n", b" ") for message in messages]
    framing = Framing(1000)
    data = b"".join(message + b"\n" for message in messages)
    assert [m for piece in pieces(data, cuts) for m in framing.feed(piece)] == messages


@given(sizes=st.lists(st.integers(1, 25), max_size=6), cuts=st.lists(st.integers(0, 160)))
@pytest.mark.parametrize("counted", [True, False])
def test_the_rest_of_a_cut_message_is_never_taken_for_another(
    *, sizes: list[int], cuts: list[int], counted: bool
) -> None:
    messages = [bytes([65 + number]) * size for number, size in enumerate(sizes)]
    data = b"".join(b"%d %b" % (len(m), m) if counted else m + b"\n" for m in messages)
    framing = Framing(10)
    got = [m for piece in pieces(data, cuts) for m in framing.feed(piece)] + framing.finish()
    assert got == [message[:10] for message in messages]
    assert framing.cut == sum(size > 10 for size in sizes)


@pytest.mark.parametrize("data", [b"5 abcdeX", b"1a", b"1234567890 a", b"1 a0 ", b"1 a-1 a"])
def test_what_is_no_count_is_an_error_and_keeps_what_was_whole(data: bytes) -> None:
    with pytest.raises(FramingError) as caught:
        Framing(1000).feed(data)
    assert caught.value.messages == ([data[2:][: int(data[:1])]] if data[1:2] == b" " else [])


def test_an_ended_connection_gives_what_it_began() -> None:
    counted, lines = Framing(100), Framing(100)
    assert counted.feed(b"9 <14>a") == lines.feed(b"<14>a") == []
    assert counted.inside
    assert lines.inside
    assert counted.finish() == lines.finish() == [b"<14>a"]


@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200)))
@example(data=b"99999999 " + bytes(100), cuts=[])
def test_memory_is_limited_whatever_comes(data: bytes, cuts: list[int]) -> None:
    framing = Framing(10)
    try:
        for piece in pieces(data, cuts):
            assert all(len(message) <= 10 for message in framing.feed(piece))
            assert framing.held <= 20  # a count and a message
    except FramingError:
        pass


# --- a message as a line


@given(st.binary(max_size=80))
@example(b"<14>Feb 12 07:18:30 a: x\n<14>Feb 12 07:18:31 root: forged\n")
def test_a_message_is_at_most_one_line(message: bytes) -> None:
    line = line_of(message, NOW)
    assert line == b"" or line.find(b"\n") == len(line) - 1
    assert b"\0" not in line
    assert (line == b"") == (message.strip(b"\n\r\0") == b"")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (b"<14>Feb  2 07:18:30 mysqld: x\n", b"<14>Feb  2 07:18:30 mysqld: x\n"),
        (b"<14>1 - - a - - - x", b"<14>1 - - a - - - x\n"),
        (b"<14>2024-02-12T07:18:30.1+01:00 h a: x\0", b"<14>2024-02-12T07:18:30.1+01:00 h a: x\n"),
        (b"<14>mysqld[7]: x", b"<14>2026-11-23T10:00:00.123Z mysqld[7]: x\n"),
        (b"<14> mysqld: x", b"<14>2026-11-23T10:00:00.123Z mysqld: x\n"),
        (b'{"audit_record":{}}', b'2026-11-23T10:00:00.123Z -: {"audit_record":{}}\n'),
        (b"<14>Feb 12 07:18:30 a: x\ny\0z", b"<14>Feb 12 07:18:30 a: x#012y#000z\n"),
    ],
)
def test_the_header_is_kept_or_completed(message: bytes, line: bytes) -> None:
    assert line_of(message, NOW) == line


LAYOUTS = (
    "percona-json-8.0",
    "percona-old-8.0",
    "percona-new-8.0",
    "percona-csv-8.0",
    "filter-new-9.7",
    "filter-json-9.7",
    "enterprise-json",
    "mariadb-1.4",
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("header", [HEADER, b"<14>", b"<14>1 2024-02-12T07:18:30Z h mysqld - - - "])
def test_the_decoder_reads_from_the_lines_what_the_server_meant(layout: str, header: bytes) -> None:
    wrapped = writer(layout)
    records = [wrapped.write(wrapped.fit(event)) for event in events(200)]
    raws = [record.raw for record in records if record is not None]
    lines = b"".join(line_of(header + raw, NOW) for raw in raws)
    assert lines.count(b"\n") == len(raws)
    drop = ("span", "format", "extra")
    plain = [
        {key: value for key, value in item.items() if key not in drop}
        for raw in raws
        for item in decode(raw)
    ]
    through = [
        {key: value for key, value in item.items() if key not in drop} for item in decode(lines)
    ]
    assert through == plain


def test_a_record_of_mariadb_without_a_time_takes_that_of_its_arrival() -> None:
    line = line_of(b"<14>mysql-server_auditing:  db1,root,localhost,1,0,CONNECT,,,0", NOW)
    (record,) = decode(line)
    assert record["timestamp"] == "2026-11-23T10:00:00.123000Z"
    assert record["user"] == "root"
