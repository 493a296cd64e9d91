"""OLD XML of three writers, intact and damaged."""

from __future__ import annotations

import base64
from datetime import timedelta, timezone

import pytest
from decode.laws import check_all, check_bytewise, decode
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.decode import FORMATS, Decoder
from shipper.decode.base import Context, Options
from shipper.decode.xml_old import XmlOld
from shipper.errors import MalformedError

HEADER = b'<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
FOOTER = b"</AUDIT>\n"
QUERY = (
    b'<AUDIT_RECORD\n  NAME="Query"\n  RECORD="3_2021-06-30T11:56:53"\n'
    b'  TIMESTAMP="2021-06-30T11:57:14 UTC"\n  COMMAND_CLASS="select"\n  CONNECTION_ID="3"\n'
    b'  STATUS="0"\n  SQLTEXT="select 1"\n  USER="root[app] @ localhost [10.0.0.1]"\n'
    b'  HOST="localhost"\n  OS_USER="joe"\n  IP="10.0.0.1"\n  DB=""\n/>\n'
)
CONNECT = (
    b'<AUDIT_RECORD\n  NAME="Connect"\n  RECORD="4_2021-06-30T11:56:53"\n'
    b'  TIMESTAMP="2021-06-30T11:57:15Z"\n  CONNECTION_ID="4"\n  STATUS="1045"\n  USER="eve"\n'
    b'  PRIV_USER=""\n  OS_LOGIN=""\n  PROXY_USER=""\n  HOST="h"\n  IP="10.0.0.2"\n  DB=""\n/>\n'
)
AUDIT = (
    b'<AUDIT_RECORD\n  NAME="Audit"\n  RECORD="1_2021-06-30T11:56:53"\n'
    b'  TIMESTAMP="2021-06-30T11:56:53 UTC"\n  MYSQL_VERSION="5.7.34-37"\n'
    b'  STARTUP_OPTIONS="--daemonize"\n  OS_VERSION="x86_64-Linux"\n/>\n'
)
FILTER = (
    b'  <AUDIT_RECORD\n    NAME="Query"\n    RECORD_ID="2_2023-03-29T11:15:53"\n'
    b'    TIMESTAMP="2023-03-29T11:15:53"\n    COMMAND_CLASS="select"\n    CONNECTION_ID="11"\n'
    b'    HOST="localhost"\n    IP=""\n    USER="root[root] @ localhost []"\n    OS_LOGIN=""\n'
    b'    SQLTEXT="select 1"\n    STATUS="0"/>\n'
)
ENTERPRISE = (
    b'  <AUDIT_RECORD\n    TIMESTAMP="2019-10-03T14:25:24 UTC"\n'
    b'    RECORD_ID="6_2019-10-03T14:25:00"\n    NAME="Query"\n    CONNECTION_ID="4"\n'
    b'    STATUS="1146"\n    STATUS_CODE="1"\n    USER="root[root] @ localhost [127.0.0.1]"\n'
    b'    OS_LOGIN=""\n    HOST="localhost"\n    IP="127.0.0.1"\n    COMMAND_CLASS="select"\n'
    b'    SQLTEXT="select 1"/>\n'
)
JSON = (
    b'{"audit_record":{"name":"Ping","record":"7_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:33Z","command_class":"error","connection_id":"9","status":0,'
    b'"sqltext":"","user":"a[a] @ h []","host":"h","os_user":"","ip":"","db":""}}\n'
)
CSV = b'"Connect","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","9",1045,"a","a","","","h","",""\n'


def careful(raw: bytes) -> object:
    return XmlOld(Context(Options())).careful(raw)


def fast_count(data: bytes) -> int:
    """How many records the fast path alone takes."""
    format_ = XmlOld(Context(Options()))
    decoded = format_.fast(data[: format_.cut(data, 0, len(data))], 0)
    return 0 if decoded is None else len(decoded.records)


def test_a_general_record_gives_the_parts_of_its_long_user() -> None:
    (item,) = decode(QUERY)
    assert (item["user"], item["priv_user"], item["os_login"]) == ("app", "root", "joe")
    assert item["timestamp"] == "2021-06-30T11:57:14Z"
    assert item["format"] == "percona-old"
    assert item["span"] == [0, len(QUERY)]
    assert "extra" not in item


def test_missing_and_empty_fields_differ() -> None:
    whole, without_db = decode(QUERY + QUERY.replace(b'\n  DB=""', b""))
    assert whole["db"] == ""
    assert "db" not in without_db


def test_each_record_says_who_wrote_it() -> None:
    items = decode(HEADER + QUERY + FILTER + ENTERPRISE + CONNECT + FOOTER)
    assert [item["format"] for item in items] == [
        "percona-old",
        "filter-old",
        "enterprise-old",
        "percona-old",
    ]
    assert items[2]["extra"] == {"status_code": "1"}


def test_only_the_filter_writes_local_time() -> None:
    options = Options(timezone=timezone(timedelta(hours=2)))
    items = decode((QUERY + FILTER + ENTERPRISE) * 2, options)
    assert [item["timestamp"] for item in items] == [
        "2021-06-30T11:57:14Z",
        "2023-03-29T09:15:53Z",
        "2019-10-03T14:25:24Z",
    ] * 2


@pytest.mark.parametrize("record", [QUERY, CONNECT, FILTER, ENTERPRISE])
def test_the_fast_path_takes_every_layout(record: bytes) -> None:
    assert fast_count(record.lstrip() + record * 9) == 10


def test_one_odd_record_does_not_stop_the_fast_path() -> None:
    odd = QUERY.replace(b"select 1", b"a &#8; b").replace(b"root[app]", b"&quot;[\xe6\x9d\xb1]")
    assert fast_count(QUERY * 5 + odd + AUDIT + CONNECT) == 8
    assert decode(QUERY + odd)[1]["sqltext"] == "a \x08 b"
    assert decode(QUERY + odd)[1]["user"] == "東"


def test_a_record_on_one_line_with_any_indentation_is_read() -> None:
    line = b" ".join(ENTERPRISE.split(b"\n")).replace(b"    ", b"\t").strip()
    for data in (line, b"\n   " + line + b"\r\n" + line + b"\n"):
        assert {item["sqltext"] for item in decode(data)} == {"select 1"}


def test_quoted_names_of_an_old_manual_are_read() -> None:
    quoted = b"\n".join(
        b'  "%b"=%b' % (name.strip(), value) if value else name
        for name, _, value in (line.partition(b"=") for line in QUERY.split(b"\n"))
    )
    assert b'"SQLTEXT"="select 1"' in quoted
    (item,) = decode(b" " + quoted.replace(b"/>", b" />"))
    assert item["user"] == "app"


@pytest.mark.parametrize(
    "options",
    [
        '--init-connect="SET NAMES utf8"',
        "--a=<b> --c=&amp; --d=/>",
        '--x="\n/>',
        '--OS_VERSION="x"',
        "",
    ],
)
def test_unescaped_startup_options_are_read_as_they_stand(options: str) -> None:
    record = AUDIT.replace(b"--daemonize", options.encode())
    first, second = decode(record + QUERY)
    assert first["kind"] == "audit_start"
    assert first["extra"]["startup_options"] == options
    assert first["extra"]["os_version"] == "x86_64-Linux"
    assert second["kind"] == "query"
    check_all(record + QUERY, len(record) // 2)


def test_the_options_of_other_writers_are_unescaped() -> None:
    record = ENTERPRISE.replace(b'SQLTEXT="select 1"', b'STARTUP_OPTIONS="--a=&lt;b&gt;"')
    assert decode(record)[0]["extra"]["startup_options"] == "--a=<b>"


@pytest.mark.parametrize("after", [HEADER + AUDIT, QUERY, FILTER, JSON, CSV])
def test_a_record_cut_anywhere_does_not_take_the_next_one_along(after: bytes) -> None:
    expected = decode(after)[-1]
    for place in range(1, len(QUERY) - 2):
        items = decode(QUERY + QUERY[:place] + after)
        assert {**items[-1], "span": 0} == {**expected, "span": 0}, place
        assert "defect" in items[1], place
        assert len(items) == 3, place


@pytest.mark.parametrize("between", [HEADER, FOOTER + HEADER, b"\0" * 4096, b"\n\n", FOOTER])
def test_headers_footers_and_padding_anywhere_are_framing(between: bytes) -> None:
    items = decode(QUERY + between + CONNECT + between)
    assert [item.get("name") for item in items] == ["Query", "Connect"]


def test_a_file_without_header_that_begins_inside_a_record_gives_the_rest() -> None:
    defect, record = decode(QUERY[60:] + CONNECT)
    assert defect["defect"] == "foreign"
    assert record["status"] == 1045


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b"a\tb", "a\tb"),  # generation A
        (b"a&#8;&#11;&#31;b", "a\x08\x0b\x1fb"),  # 8.0: not legal XML
        (b"&amp;lt; &apos; &#x1F600; &#128512;", "&lt; ' 😀 😀"),
        (b"&#0; &#55296; &#x110000; &#9999999999; &foo; & &#;", None),
        (b"a\x01\x7f\xc2\x85b &lt;", "a\x01\x7f\x85b <"),
        ("東京 &quot;".encode(), '東京 "'),
        (b"a&#13;&#10;b", "a\r\nb"),
    ],
)
def test_values_are_read_alike_on_both_paths(written: bytes, text: str | None) -> None:
    record = QUERY.replace(b"select 1", written)
    for data in (record, QUERY + record + CONNECT):
        check_all(data, len(data) // 2)
    item = decode(QUERY + record)[1]
    assert item["sqltext"] == (written.decode() if text is None else text)


def test_bytes_that_are_not_utf8_are_shown_and_kept() -> None:
    raw = QUERY.replace(b"select 1", b"select '\xe9&lt;'")
    item = decode(QUERY * 3 + raw)[3]
    assert item["sqltext"] == "select '\\xe9<'"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw


@pytest.mark.parametrize(
    ("sql", "marked"),
    [
        (b"select 1&#10;", True),
        (b"select 1&#9;", True),
        (b"a &lt; b&#13;", True),
        (b"a&#10;b&#10;", False),
        (b"a&#10;b", False),
        (b"a &lt;", False),
        (b"a;", False),
        (b"&amp;#10;", False),
    ],
)
def test_a_value_that_generation_b_may_have_cut_is_marked(sql: bytes, *, marked: bool) -> None:
    record = QUERY.replace(b"select 1", sql)
    data = QUERY + record + QUERY
    items = check_all(data, len(QUERY) + 200)
    extras = [item.get("extra") for item in items]
    assert extras == [None, {"maybe_truncated": ["sqltext"]} if marked else None, None]


def test_a_name_that_may_be_cut_is_marked_too_but_only_in_percona() -> None:
    assert decode(CONNECT.replace(b'"eve"', b'"eve&#9;"'))[0]["extra"] == {
        "maybe_truncated": ["user"]
    }
    assert "extra" not in decode(FILTER.replace(b"select 1", b"select 1&#10;"))[0]


@pytest.mark.parametrize("name", [b"SQLTEXT", b"CONNECTION_ID", b"RECORD", b"STATUS", b"NAME"])
def test_the_last_of_a_repeated_attribute_counts(name: bytes) -> None:
    record = QUERY.replace(b"\n/>", b'\n  %b="77"\n/>' % name)
    (item, *rest) = check_all(record + QUERY * 3 + record, 200)
    assert str(item[name.decode().lower()]) == "77"
    assert rest[-1] == {**item, "span": rest[-1]["span"]}


def test_single_quotes_and_comments_are_left_to_the_parser() -> None:
    (item,) = decode(QUERY.replace(b'DB=""', b"DB='a&amp;\"b&#8;'"))
    assert item["db"] == 'a&"b\x08'


@pytest.mark.parametrize(
    "raw",
    [
        b'<!DOCTYPE l [<!ENTITY l "lol">]><AUDIT_RECORD NAME="&l;"/>',
        b'<!DOCTYPE l SYSTEM "file:///etc/passwd"><AUDIT_RECORD NAME="x"/>',
        b'<!DOCTYPE l [<!ENTITY % e SYSTEM "http://h/">%e;]><AUDIT_RECORD NAME="x"/>',
    ],
)
def test_document_type_declarations_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="document type declaration"):
        careful(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"<AUDIT_RECORD/>",
        b'<AUDIT_RECORD NAME="x"/>',
        b'<AUDIT_RECORD NAME="x" TIMESTAMP="yesterday"/>',
        b'<AUDIT_RECORD NAME="x" TIMESTAMP="2021-06-30T11:57:14Z" STATUS="bad"/>',
        b"<AUDIT_RECORD NAME=x/>",
        b"<OTHER NAME='x'/>",
        b"",
    ],
)
def test_what_is_no_record_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        careful(raw)


def test_an_entity_bomb_before_the_records_is_never_expanded() -> None:
    bomb = b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>\n'
    defect, record = decode(HEADER + bomb + QUERY.replace(b"select 1", b"&b;"))
    assert defect["defect"] == "foreign"
    assert record["sqltext"] == "&b;"


def test_the_memory_of_prototypes_is_bounded() -> None:
    decoder = Decoder(FORMATS)
    records = (
        QUERY.replace(b"10.0.0.1", b"10.%d.%d.%d" % (i % 7, i // 250, i % 250)) for i in range(9000)
    )
    block = decoder.feed(b"".join(records))
    assert len(block.records) == 9000
    assert block.records[8999].ip == "10.4.35.249"


VALUES = st.text(
    st.sampled_from("ab;&<>\"'\n\t\r\x01\x08\x7f\x85é東😀 /#1039lt\x00{[]@"), max_size=12
)


def written(value: str) -> str:
    """Escape as Percona 8.0 does, but let some references and controls through."""
    for character, name in (("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        value = value.replace(character, name)
    return value.replace("\n", "&#10;").replace("\x08", "&#8;")


@given(
    st.lists(
        st.tuples(
            st.sampled_from([QUERY, CONNECT, FILTER, ENTERPRISE, AUDIT]),
            st.sampled_from([b"select 1", b"localhost", b"Query", b"10.0.0.1", b"eve", b"select"]),
            VALUES,
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(max_examples=150, deadline=None)
def test_both_paths_agree_on_every_layout(rows: list[tuple[bytes, bytes, str]]) -> None:
    data = b"".join(record.replace(old, written(new).encode()) for record, old, new in rows)
    check_all(data, len(data) // 3)


def test_a_file_that_arrives_byte_by_byte_reads_the_same() -> None:
    data = HEADER + AUDIT + QUERY + FILTER[:90] + CONNECT + FOOTER
    check_bytewise(data, decode(data), None)
