"""NEW XML of three writers, intact and damaged."""

from __future__ import annotations

import base64

import pytest
from decode.laws import check_all, check_bytewise, decode
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.decode import Options
from shipper.decode.base import Context
from shipper.decode.xml_new import XmlNew
from shipper.errors import MalformedError

HEADER = b'<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
FOOTER = b"</AUDIT>\n"


def new(fields: dict[str, str], indent: str = "", step: str = "  ") -> bytes:
    """Write a record; a value that begins with `<` stands as the whole element."""
    lines = [
        f"{indent}{step}{value}\n"
        if value.startswith("<")
        else f"{indent}{step}<{name}>{value}</{name}>\n"
        for name, value in fields.items()
    ]
    return f"{indent}<AUDIT_RECORD>\n{''.join(lines)}{indent}</AUDIT_RECORD>\n".encode()


QUERY_FIELDS = {
    "NAME": "Query",
    "RECORD": "16684_2021-06-30T16:07:41",
    "TIMESTAMP": "2021-06-30T16:08:06 UTC",
    "COMMAND_CLASS": "select",
    "CONNECTION_ID": "2",
    "STATUS": "0",
    "SQLTEXT": "select 1",
    "USER": "root[app] @ localhost [10.0.0.1]",
    "HOST": "localhost",
    "OS_USER": "joe",
    "IP": "10.0.0.1",
    "DB": "",
}
CONNECT_FIELDS = {
    "NAME": "Connect",
    "RECORD": "4_2021-06-30T11:56:53",
    "TIMESTAMP": "2021-06-30T11:57:15Z",
    "CONNECTION_ID": "4",
    "STATUS": "1045",
    "USER": "eve",
    "PRIV_USER": "",
    "OS_LOGIN": "",
    "PROXY_USER": "",
    "HOST": "h",
    "IP": "10.0.0.2",
    "DB": "",
}
AUDIT_FIELDS = {
    "NAME": "Audit",
    "RECORD": "1_2021-06-30T11:56:53",
    "TIMESTAMP": "2021-06-30T11:56:53 UTC",
    "MYSQL_VERSION": "5.7.34-37",
    "STARTUP_OPTIONS": "--daemonize",
    "OS_VERSION": "x86_64-Linux",
}
FILTER_FIELDS = {
    "NAME": "Query",
    "RECORD_ID": "2_2023-03-29T11:15:53",
    "TIMESTAMP": "2023-03-29T11:15:53",
    "COMMAND_CLASS": "select",
    "CONNECTION_ID": "11",
    "HOST": "localhost",
    "IP": "",
    "USER": "root[root] @ localhost []",
    "OS_LOGIN": "",
    "SQLTEXT": "select 1",
    "STATUS": "0",
}
ENTERPRISE_FIELDS = {
    "TIMESTAMP": "2019-10-03T14:09:38 UTC",
    "RECORD_ID": "6_2019-10-03T14:06:33",
    "NAME": "Query",
    "CONNECTION_ID": "5",
    "STATUS": "1146",
    "STATUS_CODE": "1",
    "USER": "root[root] @ localhost [127.0.0.1]",
    "OS_LOGIN": "<OS_LOGIN/>",
    "HOST": "localhost",
    "IP": "127.0.0.1",
    "COMMAND_CLASS": "select",
    "SQLTEXT": "select 1",
}
QUERY, CONNECT, AUDIT = map(new, (QUERY_FIELDS, CONNECT_FIELDS, AUDIT_FIELDS))
FILTER = new(FILTER_FIELDS, "    ", "    ")
ENTERPRISE = new(ENTERPRISE_FIELDS, " ", " ")
FILTER_9 = ENTERPRISE.replace(b" UTC", b"")
ATTRIBUTES = (
    "<CONNECTION_ATTRIBUTES>\n   <ATTRIBUTE>\n    <NAME>_pid</NAME>\n    <VALUE>42794</VALUE>\n"
    "   </ATTRIBUTE>\n   <ATTRIBUTE>\n    <NAME>program_name</NAME>\n"
    "    <VALUE>my&lt;sql&#8;&amp;admin&foo;</VALUE>\n   </ATTRIBUTE>\n  </CONNECTION_ATTRIBUTES>"
)
WITH_ATTRIBUTES = new({**ENTERPRISE_FIELDS, "NAME": "Connect", "CONNECTION_ATTRIBUTES": ATTRIBUTES})
JSON = (
    b'{"audit_record":{"name":"Ping","record":"7_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:33Z","command_class":"error","connection_id":"9","status":0,'
    b'"sqltext":"","user":"a[a] @ h []","host":"h","os_user":"","ip":"","db":""}}\n'
)
CSV = b'"Connect","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","9",1045,"a","a","","","h","",""\n'


def careful(raw: bytes) -> object:
    return XmlNew(Context(Options())).careful(raw)


def fast_count(data: bytes) -> int:
    """How many records the fast path alone takes."""
    format_ = XmlNew(Context(Options()))
    decoded = format_.fast(data[: format_.cut(data, 0, len(data))], 0)
    return 0 if decoded is None else len(decoded.records)


def test_a_general_record_gives_the_parts_of_its_long_user() -> None:
    (item,) = decode(QUERY)
    assert (item["user"], item["priv_user"], item["os_login"]) == ("app", "root", "joe")
    assert item["timestamp"] == "2021-06-30T16:08:06Z"
    assert item["format"] == "percona-new"
    assert item["span"] == [0, len(QUERY)]
    assert item["db"] == ""
    assert "extra" not in item


def test_each_record_says_who_wrote_it() -> None:
    items = decode(HEADER + QUERY + FILTER + ENTERPRISE + FILTER_9 + CONNECT + FOOTER)
    assert [item["format"] for item in items] == [
        "percona-new",
        "filter-new",
        "enterprise-new",
        "filter-new",
        "percona-new",
    ]
    assert items[2]["extra"] == {"status_code": "1"}
    assert items[2]["os_login"] == ""


@pytest.mark.parametrize("record", [QUERY, CONNECT, FILTER, ENTERPRISE, FILTER_9])
def test_the_fast_path_takes_every_layout(record: bytes) -> None:
    assert fast_count(record.lstrip() + record * 9) == 10


def test_odd_records_do_not_stop_the_fast_path() -> None:
    odd = QUERY.replace(b"select 1", b"a &#8; b").replace(b"root[app]", b"&quot;[\xe6\x9d\xb1]")
    assert fast_count(QUERY * 5 + odd + AUDIT + WITH_ATTRIBUTES + CONNECT) == 9
    assert decode(QUERY + odd)[1]["sqltext"] == "a \x08 b"
    assert decode(QUERY + odd)[1]["user"] == "東"


def test_connection_attributes_do_not_become_fields_of_the_record() -> None:
    for data in (WITH_ATTRIBUTES, ENTERPRISE * 3 + WITH_ATTRIBUTES + ENTERPRISE):
        item = next(i for i in check_all(data, 500) if i["name"] == "Connect")
        assert item["extra"] == {
            "status_code": "1",
            "connection_attributes": {"_pid": "42794", "program_name": "my<sql\x08&admin&foo;"},
        }


def test_a_map_becomes_a_dict_under_its_name() -> None:
    block = (
        "<MAP>\n<ELEMENT><KEY>a&amp;b</KEY><VALUE>1</VALUE></ELEMENT>"
        "<ELEMENT><KEY>c</KEY><VALUE/></ELEMENT>\n</MAP>"
    )
    fields = {**FILTER_FIELDS, "NAME": "Message", "MAP": block, "DEEP": "<DEEP><A>1</A></DEEP>"}
    (item,) = decode(new(fields))
    assert item["extra"] == {"map": {"a&b": "1", "c": ""}, "deep": {"a": "1"}}
    assert item["kind"] == "other"


def test_both_forms_of_an_empty_element_are_empty_values() -> None:
    fields = {**FILTER_FIELDS, "OS_LOGIN": "<OS_LOGIN/>", "IP": "", "SQLTEXT": "<SQLTEXT/>"}
    for item in decode(new(fields) * 3):
        assert (item["os_login"], item["ip"], item["sqltext"]) == ("", "", "")


def test_a_statement_that_is_empty_differs_from_none() -> None:
    none = {name: value for name, value in ENTERPRISE_FIELDS.items() if name != "SQLTEXT"}
    records = [new({**ENTERPRISE_FIELDS, "SQLTEXT": sql}) for sql in ("", "<SQLTEXT/>", "x")]
    items = check_all(b"".join([new(none), *records] * 2), 900)
    assert [item.get("sqltext") for item in items] == [None, "", "", "x"] * 2


def test_a_record_on_one_line_is_read() -> None:
    line = b"".join(part.strip() for part in QUERY.split(b"\n"))
    for data in (line, b" " + line + b"\r\n" + line):
        assert {item["sqltext"] for item in decode(data)} == {"select 1"}


def test_a_record_that_somebody_wrote_into_a_statement_is_not_found_in_its_rest() -> None:
    forged = b"".join(part.strip() for part in CONNECT.split(b"\n"))
    rest = JSON.replace(b'"sqltext":"', b'"sqltext":"' + forged)[30:]
    assert [item.get("defect") for item in decode(rest + QUERY)] == ["foreign", None]


@pytest.mark.parametrize(
    "options", ['--init-connect="SET NAMES utf8"', "--a=<b> --c=&amp; --d=/>", ""]
)
def test_unescaped_startup_options_are_read_as_they_stand(options: str) -> None:
    record = AUDIT.replace(b"--daemonize", options.encode())
    first, second = check_all(record + QUERY, len(record) // 2)
    assert first["extra"]["startup_options"] == options
    assert first["extra"]["mysql_version"] == "5.7.34-37"
    assert second["kind"] == "query"


def test_the_options_of_other_writers_are_unescaped() -> None:
    record = new({**ENTERPRISE_FIELDS, "NAME": "Audit", "STARTUP_OPTIONS": "--a=&lt;b&gt;"})
    assert decode(record)[0]["extra"]["startup_options"] == "--a=<b>"


@pytest.mark.parametrize("after", [HEADER + AUDIT, QUERY, FILTER, JSON, CSV])
@pytest.mark.parametrize("cut", [QUERY, WITH_ATTRIBUTES])
def test_a_record_cut_anywhere_does_not_take_the_next_one_along(after: bytes, cut: bytes) -> None:
    expected = decode(after)[-1]
    for place in range(1, len(cut) - 1):
        items = decode(QUERY + cut[:place] + after)
        assert {**items[-1], "span": 0} == {**expected, "span": 0}, place
        assert "defect" in items[1], place
        assert len(items) == 3, place


@pytest.mark.parametrize("between", [HEADER, FOOTER + HEADER, b"\0" * 4096, b"\n\n", FOOTER])
def test_headers_footers_and_padding_anywhere_are_framing(between: bytes) -> None:
    items = decode(QUERY + between + CONNECT + between)
    assert [item.get("name") for item in items] == ["Query", "Connect"]


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (b"a\tb", "a\tb"),  # generation A
        (b"a&#8;&#11;&#31;b", "a\x08\x0b\x1fb"),  # 8.0: not legal XML
        (b"&amp;lt; &apos; &#x1F600; &#128512;", "&lt; ' 😀 😀"),
        (b"&#0; &#55296; &#x110000; &#9999999999; &foo; & &#;", None),
        (b"a\x01\x7f\xc2\x85b &lt;", "a\x01\x7f\x85b <"),
        (b"a > b &lt;", "a > b <"),
        (b'a "quoted" &lt;', 'a "quoted" <'),
        ("東京 &quot;".encode(), '東京 "'),
    ],
)
def test_values_are_read_alike_on_both_paths(written: bytes, text: str | None) -> None:
    record = QUERY.replace(b"select 1", written)
    data = QUERY + record + CONNECT
    items = check_all(data, len(data) // 2)
    assert items[1]["sqltext"] == (written.decode() if text is None else text)


def test_bytes_that_are_not_utf8_are_shown_and_kept() -> None:
    raw = WITH_ATTRIBUTES.replace(b"select 1", b"select '\xe9&lt;'")
    item = decode(QUERY * 3 + raw)[3]
    assert item["sqltext"] == "select '\\xe9<'"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw


def test_a_value_that_generation_b_may_have_cut_is_marked() -> None:
    data = QUERY + QUERY.replace(b"select 1", b"select &lt; 1&#10;") + QUERY
    extras = [item.get("extra") for item in check_all(data, 700)]
    assert extras == [None, {"maybe_truncated": ["sqltext"]}, None]


@pytest.mark.parametrize("name", ["SQLTEXT", "CONNECTION_ID", "RECORD", "STATUS", "NAME"])
def test_the_last_of_a_repeated_element_counts(name: str) -> None:
    end = b"</AUDIT_RECORD>"
    record = QUERY.replace(end, f"  <{name}>77</{name}>\n".encode() + end)
    (item, *rest) = check_all(record + QUERY * 3 + record, 200)
    assert str(item[name.lower()]) == "77"
    assert rest[-1] == {**item, "span": rest[-1]["span"]}


def test_cdata_and_comments_are_left_to_the_parser() -> None:
    sql = b"<![CDATA[a < b &amp; \x01]]>&lt;<!-- x -->&#8;\xee\x80\x80"
    (item,) = decode(QUERY.replace(b"select 1", sql))
    assert item["sqltext"] == "a < b &amp; \x01<\x08\ue000"


@pytest.mark.parametrize(
    "raw",
    [
        b'<!DOCTYPE l [<!ENTITY l "lol">]><AUDIT_RECORD><NAME>&l;</NAME></AUDIT_RECORD>',
        b'<!DOCTYPE l SYSTEM "file:///etc/passwd"><AUDIT_RECORD></AUDIT_RECORD>',
        b'<!DOCTYPE l [<!ENTITY % e SYSTEM "http://h/">%e;]><AUDIT_RECORD></AUDIT_RECORD>',
    ],
)
def test_document_type_declarations_are_refused(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="document type declaration"):
        careful(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"<AUDIT_RECORD></AUDIT_RECORD>",
        b"<AUDIT_RECORD><NAME>x</NAME></AUDIT_RECORD>",
        b"<AUDIT_RECORD><NAME>x</TIMESTAMP></AUDIT_RECORD>",
        b"<AUDIT_RECORD><NAME>x</NAME><TIMESTAMP><A>1</A></TIMESTAMP></AUDIT_RECORD>",
        b"<AUDIT_RECORD>" + b"<A>" * 50_000 + b"</AUDIT_RECORD>",
        b"<AUDIT_RECORD>" + b"<A>" * 500 + b"</A>" * 500 + b"</AUDIT_RECORD>",
        b"<AUDIT_RECORD><![CDATA[</AUDIT_RECORD>",
        b"<OTHER><NAME>x</NAME></OTHER>",
        b"",
    ],
)
def test_what_is_no_record_is_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        careful(raw)


VALUES = st.text(
    st.sampled_from("ab;&>\"'\n\t\r\x01\x08\x7f\x85é東😀 /#1039lt\x00{[]@\ue000"), max_size=12
)
RECORDS = st.sampled_from([QUERY, CONNECT, FILTER, ENTERPRISE, FILTER_9, AUDIT, WITH_ATTRIBUTES])
PLACES = st.sampled_from([b"select 1", b"localhost", b"Query", b"10.0.0.1", b"eve", b"42794"])


@given(st.lists(st.tuples(RECORDS, PLACES, VALUES), min_size=1, max_size=6))
@settings(max_examples=150, deadline=None)
def test_both_paths_agree_on_every_layout(rows: list[tuple[bytes, bytes, str]]) -> None:
    data = b"".join(
        record.replace(old, value.replace("\n", "&#10;").encode()) for record, old, value in rows
    )
    check_all(data, len(data) // 3)


def test_a_file_that_arrives_byte_by_byte_reads_the_same() -> None:
    data = HEADER + AUDIT + QUERY + WITH_ATTRIBUTES[:400] + CONNECT + FOOTER
    check_bytewise(data, decode(data), None)
