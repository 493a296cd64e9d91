"""Bounded memory, time and depth: what a hostile log cannot make the decoder do."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpus.event import CONNECT, Event
from corpus.writers import log, writer
from decode.laws import decode

from shipper.decode import FORMATS, Decoder, Options
from shipper.decode.base import MORE, Context
from shipper.decode.engine import BLOCK_BYTES
from shipper.decode.mariadb import MariaDb
from shipper.decode.percona_csv import PerconaCsv

ROOT = Path(__file__).parents[2]
PIECE = 256 * 1024
MIB = 1024 * 1024
RECORD = log(writer("percona-json-8.0"), [Event(kind=CONNECT)])
OLD_OPEN = b'<AUDIT_RECORD\n  NAME="Query"\n  RECORD="1_2024-09-03T01:53:14"\n'

# What begins a record of each layout, so that the filling lands inside it; "" is foreign.
OPENINGS = {
    "foreign": b"",
    "json": RECORD[: RECORD.index(b'"user":"') + 8],
    "old": OLD_OPEN + b'  TIMESTAMP="2024-09-03T01:53:33Z"\n  SQLTEXT="',
    "new": b"<AUDIT_RECORD>\n  <NAME>Query</NAME>\n  <SQLTEXT>",
    "csv": b'"Query","1_2024-09-03T01:53:14","2024-09-03T01:53:33Z","select","1",0,"',
    "array": b'[\n{ "timestamp": "2024-09-03 01:53:33", "id": 1, "class": "general", "event": "',
    "pretty": b'[\n  {\n    "timestamp": "2024-09-03 01:53:33",\n    "id": 1,\n    "class": "',
    "mariadb": b"20240903 01:53:33,db1,root,localhost,1,2,QUERY,shop,'",
    "mariadb-user": b"20240903 01:53:33,db1,",
    "mcafee": b'{"msg-type":"activity","date":"1438619465015","user":"',
    "outbrain": b'{"ts":"2024-09-03 01:53:33","type":"failed_login","user":"',
    "azure": b'{"records":[{"category":"MySqlAuditLogs","properties":{"user":"',
    "syslog": b"<14>Feb 12 07:18:30 host percona-audit: ",
}
KNOWN = {format_.__name__ for format_ in FORMATS}
READERS = {
    "json": "PerconaJson",
    "old": "XmlOld",
    "new": "XmlNew",
    "csv": "PerconaCsv",
    "array": "ArrayJson",
    "mariadb": "MariaDb",
}
FILLINGS = (
    b'"',
    b"'",
    b"&",
    b"&#",
    b"&lt;",
    b"\\",
    b"\\\\'",
    b"{",
    b"[",
    b"}",
    b",",
    b"7",
    b" ",
    b"\n",
    b"\r\n",
    b"\n ",
    b"<",
    b"/>",
    b'">\n',
    b'"\n',
    b'","',
    b"<AUDIT_RECORD",
    b"<AUDIT_RECORD ",
    b"<AUDIT_RECORD>\n<NAME>",
    b'{"audit_record":{"',
    b'{"a":',
    b"1,2,QUERY,",
    b",1,2,QUERY,,'",
    b'"Query","1_2024',
    b"#012",
    b"<14>",
    b"\xff",
    b"\0x",
)


def feed(data: bytes, options: Options | None = None) -> int:
    decoder = Decoder(FORMATS, options=options)
    items = 0
    for start in range(0, len(data), PIECE):
        block = decoder.feed(data[start : start + PIECE])
        items += len(block.records) + len(block.defects)
    block = decoder.finish()
    return items + len(block.records) + len(block.defects)


def seconds(data: bytes) -> float:
    begin = time.process_time()
    feed(data)
    return time.process_time() - begin


@pytest.mark.parametrize("opening", OPENINGS)
def test_time_is_linear_in_hostile_input(opening: str) -> None:
    for filling in FILLINGS:
        # Larger than the decoder's blocks: within one, a search may well be repeated.
        more = filling * (5 * BLOCK_BYTES // 4 // len(filling))
        data = OPENINGS[opening] + more
        twice = data + more
        for attempt in range(5):
            first, second = seconds(data), seconds(twice)
            # Twice the bytes take at most three times the time; 5 ms are noise.
            if second < 3 * first + 0.005:
                break
            assert attempt < 4, f"{filling!r}: {first:.4f} s, doubled {second:.4f} s"


@pytest.mark.parametrize(("opening", "filling"), [("mariadb", b"\\'"), ("csv", b'""')])
def test_a_value_of_quotes_in_many_pieces_is_searched_once(opening: str, filling: bytes) -> None:
    class Counting(bytearray):
        """What is held: counts the searches for a quote."""

        searches = 0

        def find(self, *arguments: Any) -> int:
            Counting.searches += 1
            return super().find(*arguments)

    context = Context(Options())
    format_ = {"mariadb": MariaDb, "csv": PerconaCsv}[opening](context)
    held = Counting(OPENINGS[opening])
    for _ in range(16):
        held += filling * 64
        assert format_.end(held, 0, False) == MORE  # noqa: FBT003 the shape of Format.end
    # One for each quote and some for each piece; from the beginning each time it would be 8,000.
    assert Counting.searches < 16 * 64 + 16 * 20


def test_many_odd_records_in_one_piece_cost_linear_time() -> None:
    # Raw control characters: no fast path takes these lines.
    line = RECORD.replace(b'"user":"app"', b'"user":"a\tb"')
    options = Options(record_bytes_max=MIB)

    def whole(count: int) -> float:
        begin = time.process_time()
        Decoder(FORMATS, options=options).feed(line * count)
        return time.process_time() - begin

    # Beyond the limit of a record: what is held behind a record must not be copied for each.
    count = 4 * MIB // len(line)
    assert any(whole(count) < 3 * 8 * whole(count // 8) for _ in range(3))


CHILD = """
import re, sys
from pathlib import Path
from shipper.decode import FORMATS, Decoder
from decode.test_limits import RECORD, huge

def peak():
    # Not ru_maxrss: across an exec it keeps the peak of the process that forked, here pytest.
    return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
decoder = Decoder(FORMATS)
kinds = []
for piece in huge(sys.argv[1]):
    block = decoder.feed(piece)
    kinds += [(s.start, getattr(i, "reason", "record")) for s, i in block.items()]
kinds += [(s.start, getattr(i, "reason", "record")) for s, i in decoder.finish().items()]
kinds = [kind for _, kind in sorted(kinds)]
print(peak() - before, kinds[0], kinds[-1], *sorted(set(map(str, kinds))))
"""


def huge(opening: str) -> Iterator[bytes]:
    """Stream a record, a record of 64 MiB, and a record again."""
    yield RECORD + OPENINGS[opening]
    for _ in range(64 * MIB // PIECE):
        yield b"x" * PIECE
    yield b'"}}\n' + RECORD


@pytest.mark.parametrize("opening", ["json", "old"])
def test_a_record_of_64_mib_is_refused_in_bounded_memory(opening: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", CHILD, opening],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    grown, first, last, *kinds = result.stdout.split()
    assert (first, last) == ("record", "record")
    assert "too_large" in kinds
    # Twice the limit of 16 MiB for a moment: what is held, and a copy of it that is looked at. The
    # rest is for pieces, items and the parts of Python imported meanwhile. What is held grows in
    # place (realloc, which moves pages and copies nothing): joined anew with each piece, it left
    # holes in the heap that stay resident, a third of 16 MiB on some runs and not on others.
    assert int(grown) < (2 * 16 + 6) * 1024


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_refused_record_is_held_once_and_copied_once(opening: str) -> None:
    # What Python allocates, to the byte: no heap, no other process and no noise plays a part.
    most, whole = 2 * MIB, 8 * MIB
    decoder = Decoder(FORMATS, options=Options(record_bytes_max=most))
    decoder.feed(RECORD + OPENINGS[opening])
    piece = b"x" * PIECE
    tracemalloc.start()
    try:
        refused = sum(len(decoder.feed(piece).defects) for _ in range(whole // PIECE))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert refused > 0
    # A quarter on top: a growing buffer asks for an eighth more than it needs, and one piece.
    assert peak < 2 * most + most // 4 + 2 * BLOCK_BYTES


@pytest.mark.parametrize("opening", [name for name in READERS if READERS[name] in KNOWN])
def test_a_record_beyond_the_limit_does_not_take_its_neighbours_along(opening: str) -> None:
    options = Options(record_bytes_max=64 * 1024)
    data = RECORD + OPENINGS[opening] + b"x" * MIB + b'"}}\n' + RECORD
    items = decode(data, options)
    assert items[0]["kind"] == items[-1]["kind"] == "connect"
    reasons = [item["defect"] for item in items[1:-1]]
    assert reasons[0] == "too_large"
    assert set(reasons[1:]) == {"foreign"}


def test_an_endless_line_is_refused_piece_by_piece() -> None:
    options = Options(record_bytes_max=64 * 1024)
    decoder = Decoder(FORMATS, options=options)
    decoder.feed(OPENINGS["json"])
    for _ in range(100):
        decoder.feed(b"x" * 8192)
        held = len(OPENINGS["json"]) + 100 * 8192 - decoder.resume
        assert decoder.resume > 0 or held > 0
    assert decoder.resume >= 100 * 8192 - 2 * options.record_bytes_max


@pytest.mark.parametrize("opener", [b"[", b'{"a":'])
@pytest.mark.parametrize(
    "frame",
    [
        (b'{"audit_record":{"name":"Query","timestamp":', b"}}\n"),
        (b'{ "timestamp": "2024-09-03 01:53:33", "id": 1, "class": ', b" },\n"),
        (b'{"msg-type":"activity","date":', b"}\n"),
        (b'{"ts":"2024-09-03 01:53:33","type":', b"}\n"),
        (b'{"records":[{"category":', b"}]}\n"),
    ],
)
def test_100_000_levels_of_nesting_are_only_a_defect(
    frame: tuple[bytes, bytes], opener: bytes
) -> None:
    levels = 100_000
    closer = b"]" if opener == b"[" else b"}"
    data = frame[0] + opener * levels + b"1" + closer * levels + frame[1]
    items = decode(RECORD + data + RECORD)
    assert items[0]["kind"] == "connect"
    assert items[-1]["kind"] == "connect"
    assert all("defect" in item for item in items[1:-1])
    assert len(items) < 10


BOMB = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE AUDIT [\n <!ENTITY a "aaaaaaaaaa">\n'
    + b"".join(
        b' <!ENTITY %c "%b">\n' % (code, b"&%c;" % (code - 1) * 10) for code in range(98, 110)
    )
    + b"]>\n<AUDIT>\n"
)


@pytest.mark.parametrize("name", ["percona-old-8.0", "percona-new-8.0", "enterprise-new"])
def test_a_document_type_declares_nothing(name: str) -> None:
    layout = writer(name)
    raw = log(layout, [Event(kind=CONNECT, user="ZZZ"), Event(kind=CONNECT)])
    data = BOMB + raw.replace(b"ZZZ", b"&m;")
    items = decode(data)
    assert all(len(str(item)) < 2000 for item in items)
    assert items[-1]["user"] == "app"
    assert any("defect" in item for item in items)  # the declaration itself is foreign


def test_an_external_entity_is_not_read() -> None:
    data = b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n' + log(
        writer("percona-new-8.0"), [Event(kind=CONNECT, user="ZZZ")]
    ).replace(b"ZZZ", b"&x;")
    record = decode(data)[-1]
    assert record.get("user", "&x;") == "&x;"
