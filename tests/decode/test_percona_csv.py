"""Percona's CSV rows, intact and damaged."""

from __future__ import annotations

import base64

import pytest
from decode import laws
from decode.decoding import decode, without_spans
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.decode.base import Context, Options
from shipper.decode.percona_csv import PerconaCsv

QUERY = (
    b'"Query","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","select","11",0,'
    b'"select 1","app[app] @ web-3 [10.0.0.7]","web-3","joe","10.0.0.7","shop"\n'
)
CONNECT = (
    b'"Connect","8_2024-09-03T01:53:14","2024-09-03T01:53:34Z","12",1045,'
    b'"bob","","os","\'p\'@\'%\'","web-3","10.0.0.7",""\n'
)
AUDIT = (
    b'"Audit","1_2024-09-03T01:53:14","2024-09-03T01:53:14 UTC","8.0.36-28",'
    b'"--init-connect="SET NAMES utf8" --x=\\d","x86_64-Linux"\n'
)
JSON = (
    b'{"audit_record":{"name":"Quit","record":"9_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:35Z","connection_id":"12","status":0,"user":"bob",'
    b'"priv_user":"bob","os_login":"","proxy_user":"","host":"h","ip":"","db":""}}\n'
)


def test_a_general_row_gives_the_parts_of_its_long_user() -> None:
    (item,) = decode(QUERY)
    assert (item["user"], item["priv_user"], item["os_login"]) == ("app", "app", "joe")
    assert (item["command_class"], item["connection_id"], item["status"]) == ("select", 11, 0)
    assert (item["sqltext"], item["db"], item["format"]) == ("select 1", "shop", "percona-csv")


def test_a_connection_row_has_its_own_columns() -> None:
    (item,) = decode(CONNECT)
    assert item == {
        "kind": "connect",
        "name": "Connect",
        "timestamp": "2024-09-03T01:53:34Z",
        "record": "8_2024-09-03T01:53:14",
        "connection_id": 12,
        "status": 1045,
        "user": "bob",
        "priv_user": "",
        "proxy_user": "'p'@'%'",
        "os_login": "os",
        "host": "web-3",
        "ip": "10.0.0.7",
        "db": "",
        "format": "percona-csv",
        "span": [0, len(CONNECT)],
    }


def test_an_old_general_row_has_no_database() -> None:
    items = decode(QUERY.replace(b',"shop"\n', b"\n") * 3)
    assert len(items) == 3
    assert all("db" not in item and item["ip"] == "10.0.0.7" for item in items)


def test_startup_options_with_quotes_are_read() -> None:
    items = decode(AUDIT + QUERY)
    assert items[0]["kind"] == "audit_start"
    assert items[0]["extra"] == {
        "mysql_version": "8.0.36-28",
        "startup_options": '--init-connect="SET NAMES utf8" --x=\\d',
        "os_version": "x86_64-Linux",
    }
    assert items[1]["kind"] == "query"


@pytest.mark.parametrize(
    "sql",
    [
        'select "x"',
        'select "a","b"',
        'a\n"\n"Query","b',
        '"',
        '",',
        ',"',
        "\n\n",
        "\\",
        '<AUDIT_RECORD A="',
        "<AUDIT_RECORD A=",
        '<?xml version="1.0"?>',
        '{"audit_record":{"name":"Quit"',
    ],
)
def test_any_statement_comes_back_and_takes_nobody_along(sql: str) -> None:
    row = QUERY.replace(b"select 1", sql.replace('"', '""').encode())
    items = decode(QUERY + row + CONNECT + QUERY)
    assert [item.get("sqltext") for item in items] == ["select 1", sql, None, "select 1"]


def test_bytes_that_are_not_utf8_are_shown_and_kept() -> None:
    raw = QUERY.replace(b"select 1", b"select '\xe9'")
    (item,) = decode(raw)
    assert item["sqltext"] == "select '\\xe9'"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw


@pytest.mark.parametrize("good", [QUERY, CONNECT, JSON], ids=["query", "connect", "json"])
@pytest.mark.parametrize("bad", [QUERY, CONNECT], ids=["query", "connect"])
def test_a_row_cut_anywhere_loses_only_itself(bad: bytes, good: bytes) -> None:
    start = bad.index(b'Z","') + 4  # from here on it is known as a row
    for cut in range(start, len(bad) - 1):
        defect, record = decode(bad[:cut] + good)
        assert defect["defect"] == "cut", cut
        assert defect["span"] == [0, cut]
        assert record["span"] == [cut, cut + len(good)]


def test_a_header_in_the_middle_of_a_row_cuts_it() -> None:
    header = b'<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
    defect, record = decode(QUERY[:100] + header + QUERY)
    assert (defect["defect"], defect["span"]) == ("cut", [0, 100])
    assert record["sqltext"] == "select 1"


def test_padding_between_rows_is_framing() -> None:
    assert len(decode(QUERY + b"\0" * 100 + b"\n" + CONNECT)) == 2


def test_the_last_row_may_lack_its_line_feed() -> None:
    assert [item["kind"] for item in decode(QUERY + CONNECT[:-1])] == ["query", "connect"]


def test_a_name_that_is_no_known_command_is_read() -> None:
    (item,) = decode(QUERY.replace(b'"Query"', b'"Some New Command"'))
    assert (item["kind"], item["name"]) == ("other", "Some New Command")


def test_the_one_command_in_lower_case_is_read() -> None:
    items = decode(QUERY + QUERY.replace(b'"Query"', b'"clone"') + QUERY)
    assert [(item["kind"], item["name"]) for item in items] == [
        ("query", "Query"),
        ("command", "clone"),
        ("query", "Query"),
    ]


def test_names_that_hold_quotes_do_not_leave_the_fast_path() -> None:
    """Anybody can fail to log in as such: one in a hundred records made all 5 times slower."""
    block = (
        CONNECT.replace(b'"bob",""', b'"a""b","""a"')
        + QUERY.replace(b"app[app]", b'a""b[a""b]').replace(b'"shop"', b'"""x"""')
        + CONNECT.replace(b'"bob"', b'""""')
    )
    decoded = PerconaCsv(Context(Options())).fast(block, 0)
    assert decoded is not None
    assert [(each.user, each.priv_user) for each in decoded.records] == [
        ('a"b', '"a'),
        ('a"b', 'a"b'),
        ('"', ""),
    ]
    assert decoded.records[1].db == '"x"'


def test_a_name_that_begins_as_a_row_is_left_to_the_careful_path() -> None:
    forged = CONNECT.replace(b'"bob",""', b'"""Query","7_2024-09-03T01:53:14"')
    assert PerconaCsv(Context(Options())).fast(forged, 0) is None


def test_columns_that_do_not_fit_the_name_are_no_row() -> None:
    row = CONNECT.replace(b'"Connect"', b'"Query"')
    defect, record = decode(row + QUERY)
    assert "defect" in defect
    assert record["kind"] == "query"


def test_lines_that_end_with_cr_lf_hold_the_same_rows() -> None:
    plain = AUDIT + (QUERY + CONNECT) * 50 + QUERY.replace(b',"shop"\n', b"\n")
    items = laws.check_all(plain.replace(b"\n", b"\r\n"), len(plain) // 2)
    assert without_spans(items) == without_spans(decode(plain))


def test_a_carriage_return_alone_ends_no_row() -> None:
    for broken in (b'"shop"\rx\n', b'"shop"\r,"more"\n', b'"shop"\r\r\n'):
        log = QUERY.replace(b'"shop"\n', broken) + CONNECT
        items = laws.check_all(log, len(QUERY) - 1)
        assert [item.get("defect", item.get("kind")) for item in items][-1] == "connect"
        assert "defect" in items[0]


CELLS = st.text(st.sampled_from('",\n\\ aQ[]@1_-T:é世'), max_size=8)


@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_hostile_values_read_back(rows: list[tuple[str, str, str, str]]) -> None:
    def quoted(text: str) -> bytes:
        return ('"' + text.replace('"', '""') + '"').encode()

    log = b""
    for sql, user, host, db in rows:
        cells = (sql, "app[app] @ h []", host, "", "", db)
        log += QUERY[: QUERY.index(b'"select 1"')] + b",".join(map(quoted, cells)) + b"\n"
        cells = (user, "app", "", "", host, "", db)
        log += CONNECT[: CONNECT.index(b'"bob"')] + b",".join(map(quoted, cells)) + b"\n"
    items = laws.check_all(log, len(log) // 2)
    assert [item.get("sqltext", item["user"]) for item in items] == [
        text for sql, user, *_ in rows for text in (sql, user)
    ]
    assert [(item["host"], item["db"]) for item in items[::2]] == [(h, d) for _, _, h, d in rows]
