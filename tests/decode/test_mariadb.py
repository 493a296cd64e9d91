"""MariaDB's rows of every generation and vendor, intact and damaged; hostile names."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from decode import laws
from decode.decoding import decode, without_spans
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shipper.decode import Options
from shipper.decode.base import Context
from shipper.decode.mariadb import MariaDb

SAMPLES = Path(__file__).parents[1] / "samples"
CLOCK = "20240903 01:53:33"
QUERY = f"{CLOCK},db1,app,10.0.0.7,11,7,QUERY,shop,'select 1',0\n".encode()
CONNECT = f"{CLOCK},db1,app,10.0.0.7,11,0,CONNECT,shop,,0\n".encode()
FAILED = f"{CLOCK},db1,bob,10.0.0.9,12,0,FAILED_CONNECT,,,1045\n".encode()


def one(row: str) -> dict[str, Any]:
    (item,) = decode(row.encode() + b"\n")
    return item


def failed(user: str) -> str:
    return f"{CLOCK},db1,{user},6.6.6.6,77,0,FAILED_CONNECT,,,1045"


def test_a_query_row() -> None:
    (item,) = decode(QUERY)
    assert item == {
        "kind": "query",
        "name": "QUERY",
        "timestamp": "2024-09-03T01:53:33Z",
        "connection_id": 11,
        "status": 0,
        "user": "app",
        "host": "10.0.0.7",
        "ip": "10.0.0.7",
        "db": "shop",
        "sqltext": "select 1",
        "format": "mariadb",
        "extra": {"serverhost": "db1", "query_id": 7},
        "span": [0, len(QUERY)],
    }


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("CONNECT,shop,,0", ("connect", 0, "shop", {})),
        ("FAILED_CONNECT,,,1045", ("connect", 1045, "", {})),
        ("DISCONNECT,,,0", ("disconnect", 0, "", {})),
        ("CHANGEUSER,shop,,0", ("change_user", 0, "shop", {})),
        ("CONNECT,shop,TLSv1.3,0", ("connect", 0, "shop", {"tls": "TLSv1.3"})),
        ("CONNECT,shop,,0,TLSv1.3", ("connect", 0, "shop", {"tls": "TLSv1.3"})),
        ("CONNECT,shop,,0,", ("connect", 0, "shop", {"tls": ""})),
        ("CONNECT,a,b,,0", ("connect", 0, "a,b", {})),
        ("READ,shop,orders,", ("table", None, "shop", {"table": "orders"})),
        ("DROP,a,b,orders,", ("table", None, "a,b", {"table": "orders"})),
        (
            "RENAME,shop,old|shop2.new,",
            ("table", None, "shop", {"table": "old", "renamed_to": "shop2.new"}),
        ),
        (
            "RENAME,shop,old,shop2,new",
            ("table", None, "shop", {"table": "old", "renamed_to": "shop2.new"}),
        ),
        ("AUDIT_CONFIG,,events=a,b,0", ("other", 0, "", {"setting": "events=a,b"})),
        (
            "PROXY_CONNECT,shop,`dba`@`%`,0",
            ("other", 0, "shop", {"proxied_account": "`dba`@`%`"}),
        ),
        ("QUERY,shop,'a',0,x,y", ("query", 0, "shop", {"columns": ["x", "y"]})),
        ("QUERY,shop,'a',", ("query", None, "shop", {})),
    ],
)
def test_what_stands_behind_the_operation(tail: str, expected: tuple[Any, ...]) -> None:
    item = one(f"{CLOCK},db1,app,localhost,11,0,{tail}")
    assert item["ip"] == ""
    found = (item["kind"], item.get("status"), item["db"])
    assert (*found, item["extra"]) == (
        *expected[:3],
        {"serverhost": "db1", "query_id": 0} | expected[3],
    )


def test_a_proxied_account_is_the_one_whose_privileges_are_used() -> None:
    for thing in ("`dba`@`%`", "dba@%"):
        item = one(f"{CLOCK},db1,app,localhost,11,0,PROXY_CONNECT,shop,{thing},0")
        assert (item["user"], item["priv_user"]) == ("app", "dba")


@pytest.mark.parametrize(
    ("tail", "format_", "extra"),
    [
        ("CONNECT,,,0,SOCKET", "rds-mysql", {"connection_type": "SOCKET"}),
        ("CONNECT,,,0,TCP/IP", "rds-mysql", {"connection_type": "TCP/IP"}),
        ("QUERY,,'a',0,,", "rds-mysql", {}),
        ("QUERY,,'a',0", "mariadb", {}),
    ],
)
def test_rows_of_rds(tail: str, format_: str, extra: dict[str, str]) -> None:
    item = one(f"{CLOCK},db1,app,localhost,11,0,{tail}")
    assert item["format"] == format_
    assert item["extra"] == {"serverhost": "db1", "query_id": 0, **extra}


@pytest.mark.parametrize(
    ("column", "host", "ip", "port"),
    [
        ("localhost", "localhost", "", None),
        ("localhost:unavailable", "localhost", "", None),
        ("web-3.example.org", "web-3.example.org", None, None),
        ("web-3:54312", "web-3", None, 54312),
        ("10.0.0.7", "10.0.0.7", "10.0.0.7", None),
        ("10.0.0.7:54312", "10.0.0.7", "10.0.0.7", 54312),
        ("2001:db8::1", "2001:db8::1", "2001:db8::1", None),
        ("2001:db8::1:54312", "2001:db8::1", "2001:db8::1", 54312),
        ("999.1.1.1", "999.1.1.1", None, None),  # anonymised (formats.md 8b)
        ("", "", None, None),
    ],
)
def test_the_host_column(column: str, host: str, ip: str | None, port: int | None) -> None:
    item = one(f"{CLOCK},db1,app,{column},11,7,QUERY,shop,'select 1',0")
    assert (item["host"], item.get("ip"), item["extra"].get("port")) == (host, ip, port)


@pytest.mark.parametrize(
    ("time", "meant"),
    [
        ("20240903 01:53:33", "2024-09-03T01:53:33Z"),
        ("20240903  1:53:33", "2024-09-03T01:53:33Z"),
        ("1725328413000042", "2024-09-03T01:53:33.000042Z"),
        ("2024-09-03 01:53:33", "2024-09-03T01:53:33Z"),
        ("2024-09-03T01:53:33.250", "2024-09-03T01:53:33.250Z"),
    ],
)
def test_clocks_that_are_known(time: str, meant: str) -> None:
    item = one(f"{time},db1,app,localhost,11,7,QUERY,shop,'select 1',0")
    assert item["timestamp"] == meant
    assert "timestamp_text" not in item["extra"]
    assert item["format"] == ("aurora-mysql" if time.startswith("17") else "mariadb")


@pytest.mark.parametrize(
    "time", ["Tue 03 Sep 2024", "09/03,2024 01:53", "03,09,24", "20241399 01:53:33"]
)
def test_any_other_clock_is_kept_as_text(time: str) -> None:
    items = decode(f"{time},db1,app,localhost,11,7,QUERY,shop,'a',0\n".encode() * 3)
    assert len(items) == 3
    for item in items:
        assert "timestamp" not in item
        assert item["extra"]["timestamp_text"] == time
        assert (item["extra"]["serverhost"], item["user"]) == ("db1", "app")


def test_local_time_is_read_in_the_zone_of_the_server() -> None:
    options = Options(timezone=ZoneInfo("Europe/Berlin"))
    (query, _) = decode(QUERY + QUERY, options=options)
    assert query["timestamp"] == "2024-09-02T23:53:33Z"
    (aurora,) = decode(QUERY.replace(CLOCK.encode(), b"1725328413000042"), options=options)
    assert aurora["timestamp"] == "2024-09-03T01:53:33.000042Z"


def test_a_negative_connection_id_is_the_servers_own_number() -> None:
    assert one(f"{CLOCK},db1,app,h,-2147483648,7,QUERY,,'a',0")["connection_id"] == 2**31


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"it\'s", "it's"),
        (r"\\", "\\"),
        (r"\\\'", "\\'"),
        (r"\\n", "\\n"),
        (r"a\nb\r\tc\b\f", "a\nb\r\tc\b\f"),
        (r"\x", r"\x"),
        (r"\\\\n\n", "\\\\n\n"),
        ("a\x01" + r"\\", "a\x01\\"),
        ("raw\nline\nfeeds", "raw\nline\nfeeds"),
        ("", ""),
        ('"', '"'),
        ("世界", "世界"),
    ],
)
def test_a_statement_is_unescaped(written: str, meant: str) -> None:
    row = f"{CLOCK},db1,app,h,11,7,QUERY,shop,'{written}',0\n".encode()
    items = decode(row + QUERY + row)
    assert [item["sqltext"] for item in items] == [meant, "select 1", meant]


@pytest.mark.parametrize(
    ("size", "cut"), [(1019, False), (1020, True), (1024, True), (1025, False)]
)
def test_a_statement_as_long_as_the_limit_may_be_cut(size: int, cut: bool) -> None:  # noqa: FBT001
    for char in ("a", "é"):
        text = char * (size // len(char.encode()))
        text += "a" * (size - len(text.encode()))
        for item in decode(QUERY.replace(b"select 1", text.encode()) * 2 + QUERY):
            expected = cut and item["sqltext"] == text
            assert ("maybe_truncated" in item["extra"]) == expected


def test_bytes_that_are_not_utf8_are_shown_and_kept() -> None:
    raw = QUERY.replace(b"select 1", b"select \\'\xe9\\'")
    (item,) = decode(raw)
    assert item["sqltext"] == "select '\\xe9'"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw


@pytest.mark.parametrize(
    "user",
    [
        "a,b",
        ",,,",
        "x,1,2,CONNECT,",
        "x,9.9.9.9,5,0,CONNECT,,,0",
        "x,9.9.9.9,5,0,FAILED_CONNECT,,,1045",
        "x,9.9.9.9,5,0,DISCONNECT,",
        "x,h,1,2,QUERY,d,'",
        "x,h,1,2,QUERY,d,'drop table t',0",
        "x,h,1,2,QUERY,d,'drop table t',0,,",
        "x,h,1,2,READ,d,t,",
        "x,h,1,2,PROXY_CONNECT,d,`root`@`%`,0",
        "x,,0,0,AUDIT_CONFIG,,logging=off,0",
        "o'brien",
        "',0",
        '{"audit_record":{"name":"Quit","record":"1_2024-09-03T01:53:14"',
        '{"records":[{"category":"MySqlAuditLogs"',
        "20240903 01:53:33,other,root",
    ],
)
def test_no_user_name_shifts_the_columns_of_a_failed_login(user: str) -> None:
    (before, item, after) = decode(QUERY + failed(user).encode() + b"\n" + QUERY)
    assert (before["sqltext"], after["sqltext"]) == ("select 1", "select 1")
    assert (item["name"], item["status"]) == ("FAILED_CONNECT", 1045)
    assert (item["user"], item["host"], item["connection_id"]) == (user, "6.6.6.6", 77)


def test_a_user_name_that_is_a_row_of_this_server_never_becomes_a_login() -> None:
    # It is read as a cut row with another behind it; what counts stands behind the name.
    user = f"{CLOCK},db1,root,9.9.9.9,5,0,CONNECT,,,0"
    defect, item = decode(failed(user).encode() + b"\n")
    assert defect["defect"] == "cut"
    assert (item["name"], item["status"], item["host"]) == ("FAILED_CONNECT", 1045, "6.6.6.6")


@pytest.mark.parametrize(
    "sql",
    [
        ",1,2,QUERY,",
        ",9.9.9.9,1,2,QUERY,d,",
        "select 1,h,5,0,CONNECT,,",
        "select 1,h,5,0,DROP,x",
        "select 1,h,5,0,PROXY_CONNECT,x,a@b",
        "select 1,,0,0,AUDIT_CONFIG,,a=b",
        f"',0\n{CLOCK},db1,root,h,1,0,CONNECT,,,0",
        f"{CLOCK},db1,root,h,1,2,QUERY,d,",
        "<14>Feb 12 07:18:30 h percona-audit: ",
    ],
)
@pytest.mark.parametrize("tail", [",0", ",0,,"])
def test_no_statement_forges_a_row(sql: str, tail: str) -> None:
    written = sql.replace("\\", "\\\\").replace("'", "\\'")
    for text in (written, written.replace("\n", "\\n")):
        row = f"{CLOCK},db1,app,h,11,7,QUERY,shop,'{text}'{tail}\n".encode()
        items = decode(QUERY + row + FAILED)
        assert [item.get("sqltext") for item in items] == ["select 1", sql, None]


@pytest.mark.parametrize("good", [QUERY, CONNECT, FAILED], ids=["query", "connect", "failed"])
@pytest.mark.parametrize("bad", [QUERY, CONNECT, FAILED], ids=["query", "connect", "failed"])
def test_a_row_cut_anywhere_loses_only_itself(bad: bytes, good: bytes) -> None:
    for cut in range(1, len(bad) - 1):
        *defects, record = decode(bad[:cut] + good)
        assert [defect["span"] for defect in defects] == [[0, cut]], cut
        assert record["span"] == [cut, cut + len(good)]


@pytest.mark.parametrize("good", [QUERY, CONNECT, FAILED], ids=["query", "connect", "failed"])
@pytest.mark.parametrize("server", [b"db1", b"aurora-7", b""])
def test_a_row_of_aurora_cut_anywhere_loses_only_itself(good: bytes, server: bytes) -> None:
    bad, good = (
        row.replace(CLOCK.encode(), clock).replace(b",db1,", b",%b," % server)
        for row, clock in ((QUERY, b"1725328413000042"), (good, b"1725328413000043"))
    )
    for cut in range(1, len(bad) - 1):
        log = bad[:cut] + good
        *defects, record = laws.check_all(log, cut)
        assert [defect["span"] for defect in defects] == [[0, cut]], log
        assert record["span"] == [cut, cut + len(good)]


@pytest.mark.parametrize("user", ["a,b", "db-1"])
def test_the_name_of_a_server_may_end_like_a_clock(user: str) -> None:
    item = one(f"1725328413000042,db-1725328413000042,{user},h,1,0,FAILED_CONNECT,,,1045")
    assert (item["user"], item["extra"]["serverhost"]) == (user, "db-1725328413000042")


@pytest.mark.parametrize("bad", [QUERY, FAILED], ids=["query", "failed"])
def test_a_cut_row_and_a_line_feed(bad: bytes) -> None:
    for cut in range(1, len(bad) - 1):
        items = decode(bad[:cut] + b"\n" + CONNECT + QUERY)
        assert [item["name"] for item in items if "defect" not in item][-2:] == ["CONNECT", "QUERY"]
        assert items[0]["span"][1] <= cut + 1


def test_an_open_statement_does_not_swallow_the_log() -> None:
    opened = f"{CLOCK},db1,app,h,11,7,QUERY,shop,'select\n".encode()
    items = decode(opened + CONNECT * 2000)
    assert items[0]["defect"] == "cut"
    assert len(items) == 2001
    assert len(decode(opened + CONNECT)) == 2  # also where the log ends before that is clear


def test_junk_between_rows_is_foreign() -> None:
    items = decode(QUERY + b"some junk, 1, 2\n" + FAILED + b"\0" * 99 + b"\n" + QUERY)
    assert [item.get("defect", item.get("name")) for item in items] == [
        "QUERY",
        "foreign",
        "FAILED_CONNECT",
        "QUERY",
    ]


@pytest.mark.parametrize(
    "name", ["mariadb/mariadb_10.11_logins.log", "aurora-mysql/aurora_mysql.log"]
)
def test_lines_that_end_with_cr_lf_hold_the_same_rows(name: str) -> None:
    plain = (SAMPLES / name).read_bytes()
    items = laws.check_all(plain.replace(b"\n", b"\r\n"), len(plain) // 2)
    assert without_spans(items) == without_spans(decode(plain))


def test_single_lines_may_end_with_cr_lf() -> None:
    rows = (QUERY, CONNECT, FAILED)
    for odd in rows:
        log = b"".join(rows) + odd.removesuffix(b"\n") + b"\r\n" + b"".join(rows)
        assert not [item for item in laws.check_all(log, len(log) // 2) if "defect" in item]


NAMES = st.text(st.sampled_from(",'\\`@|aQ 1-:\"{<é"), max_size=10)
ANCHORS = st.sampled_from((",1,2,CONNECT,", ",1,2,QUERY,,'", ",3,4,READ,", ",5,0,FAILED_CONNECT,"))
USERS = st.lists(st.one_of(NAMES, ANCHORS), max_size=4).map("".join)
TEXTS = st.text(st.sampled_from("',\\n\n\r\t\b\f aQ1\"\x01é世"), max_size=30)
ESCAPES = {
    "'": "\\'",
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
    "\f": "\\f",
}


@given(
    users=st.lists(USERS, min_size=1, max_size=3),
    texts=st.lists(st.one_of(TEXTS, USERS), min_size=1, max_size=3),
    raw=st.booleans(),
    tail=st.sampled_from((",0", ",1064,,", ",")),
)
@settings(max_examples=150, deadline=None)
def test_hostile_names_and_statements_read_back(
    users: list[str],
    texts: list[str],
    raw: bool,  # noqa: FBT001 drawn
    tail: str,
) -> None:
    escapes = {"'": "\\'", "\\": "\\\\"} if raw else ESCAPES
    # Raw line feeds go with raw controls, or an escape would mean two things.
    assume(not raw or not any("\r" in text for text in texts))
    log = b""
    for user in users:
        log += f"{failed(user)}\n".encode()
    for text in texts:
        written = text.translate(str.maketrans(escapes))
        log += f"{CLOCK},db1,app,h,11,7,QUERY,shop,'{written}'{tail}\n".encode()
    items = laws.check_all(log, len(log) // 2)
    assert [item["user"] for item in items[: len(users)]] == users
    assert [item["sqltext"] for item in items[len(users) :]] == texts
    assert {item["host"] for item in items} <= {"6.6.6.6", "h"}


@given(
    rows=st.lists(st.sampled_from((QUERY, CONNECT, FAILED)), max_size=4),
    junk=st.binary(max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_rows_after_any_junk_line_are_found(rows: list[bytes], junk: bytes) -> None:
    assume(not set(junk) & set(b"'<{\""))
    items = decode(b"".join(rows) + junk + b"\n" + b"".join(rows))
    found = without_spans(item for item in items if "defect" not in item)
    assert found[-len(rows) :] == without_spans(decode(b"".join(rows))) or not rows


@pytest.mark.parametrize("clock", [CLOCK, "1725328413000042"])
def test_a_clock_for_a_name_reads_alike_on_both_paths(clock: str) -> None:
    rows = (
        f"{CLOCK},db1,x{clock},db1,11,7,QUERY,shop,'a',0\n"
        f"{CLOCK},db1,app,h,11,7,READ,{clock},db1,\n"
        f"{CLOCK},db1,app,{clock},11,7,READ,shop,db1,\n"
    )
    laws.check_all(rows.encode(), 100)


def test_a_sign_is_no_status() -> None:
    row = b"20240903 01:53:33,db1,app,web1,11,3,QUERY,shop,'select 1',%b\n"
    first, defect, last = decode(row % b"0" + row % b"-" + row % b"-1")
    assert (first["status"], last["status"]) == (0, -1)
    assert defect["span"] == [first["span"][1], last["span"][0]]


ODD = (
    failed("o'brien, jr"),
    failed("a,b,c"),
    failed("x,7,8,QUERY,shop,'select 1'"),
    f"{CLOCK},db1,o'brien, jr,web1,11,7,QUERY,shop,'select \\'x\\'',0",
    f"{CLOCK},db1,app,web1,11,7,READ,shop,a,b,",
    failed("x" * 1200),
)


@pytest.mark.parametrize("row", ODD)
def test_odd_names_do_not_slow_their_neighbours(row: str) -> None:
    """Anybody can fail to log in as such: one in a hundred records made all 15 times slower."""
    block = QUERY + row.encode() + b"\n" + QUERY
    decoded = MariaDb(Context(Options())).fast(block, 0)
    assert decoded is not None
    assert len(decoded.records) == 3
    laws.check_all(block * 3, len(block) // 2)


@pytest.mark.parametrize(
    "row",
    [
        f"{CLOCK},db1,app,web1,11,7,QUERY,shop,'",  # and its text on the next line
        f"{CLOCK},db1,app,web1,11,7,QUERY,shop,'select",
        f"{CLOCK},db1,x{CLOCK},db1,app,web1,11,7,READ,shop,t,",
        f"{CLOCK},db1,caf\udce9, jr,web1,11,0,FAILED_CONNECT,,,1045",
        "junk",
        "",
    ],
)
def test_a_line_that_is_no_row_by_itself_is_left_to_the_careful_path(row: str) -> None:
    block = QUERY + row.encode("utf-8", "surrogateescape") + b"\n" + QUERY
    assert MariaDb(Context(Options())).fast(block, 0) is None
    laws.check_all(block * 3, len(block) // 2)
