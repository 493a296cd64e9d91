"""McAfee/Trellix lines: repeated keys, missing status, damage."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from decode.decoding import decode

HEAD: dict[str, str] = {
    "msg-type": "activity",
    "date": "1438619465015",
    "thread-id": "38",
    "query-id": "0",
    "user": "app",
    "priv_user": "app",
    "ip": "10.0.0.7",
    "host": "h",
}


def line(*members: tuple[str, Any]) -> bytes:
    """A line of `HEAD` and `members`, keys repeated as given."""
    pairs = (*HEAD.items(), *members)
    return ("{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in pairs) + "}\n").encode()


@pytest.mark.parametrize(
    ("cmd", "query", "kind", "sql"),
    [
        ("Connect", "Connect", "connect", None),
        ("Failed Login", "n/a", "connect", None),
        ("Quit", "Quit", "disconnect", None),
        ("select", "SELECT 1", "query", "SELECT 1"),
        ("commit", "commit", "query", "commit"),
        ("ping", "n/a", "query", None),
    ],
)
def test_cmd_gives_the_kind(cmd: str, query: str, kind: str, sql: str | None) -> None:
    (item,) = decode(line(("status", "0"), ("cmd", cmd), ("query", query)))
    assert (item["kind"], item["name"], item.get("sqltext")) == (kind, cmd, sql)
    assert item.get("command_class") == (cmd if kind == "query" else None)
    assert (item["timestamp"], item["connection_id"]) == ("2015-08-03T16:31:05.015Z", 38)


def test_a_failed_login_without_a_status_gets_one_that_says_so() -> None:
    assumed, written = decode(
        line(("cmd", "Failed Login"))
        + line(("status", "1044"), ("cmd", "Failed Login"), ("query", ""))
    )
    assert (assumed["status"], assumed["extra"]["status_assumed"]) == (1045, True)
    assert written["status"] == 1044
    assert "status_assumed" not in written["extra"]


def test_connection_attributes_cannot_change_who_it_was_or_how_it_ended() -> None:
    (item,) = decode(
        line(
            ("user", "boss"),
            ("ip", "127.0.0.1"),
            ("cmd", "Connect"),
            ("status", "0"),
            ("os_user", "root"),
            ("repeated", "x"),
            ("client_port", "54312"),
            ("status", "1045"),
            ("cmd", "Failed Login"),
            ("query", "n/a"),
        )
    )
    assert (item["user"], item["ip"], item["name"], item["status"]) == (
        *("app", "10.0.0.7"),
        *("Failed Login", 1045),
    )
    assert "os_login" not in item
    assert item["extra"] == {
        "query-id": "0",
        "os_user": "root",
        "client_port": "54312",
        "repeated": {
            "user": ["boss"],
            "ip": ["127.0.0.1"],
            "cmd": ["Connect"],
            "status": ["0"],
            "repeated": ["x"],
        },
    }


def test_a_status_among_the_attributes_is_no_status() -> None:
    (item,) = decode(line(("status", "0"), ("client_port", "1"), ("cmd", "Failed Login")))
    assert (item["status"], item["extra"]["status"]) == (1045, "0")


def test_the_system_user_of_a_socket_session_is_the_plugins_own() -> None:
    (item,) = decode(
        line(
            ("pid", "1"),
            ("os_user", "nobody"),
            ("pid", "4300"),
            ("os_user", "mysql"),
            ("appname", "mysql"),
            ("cmd", "Connect"),
        )
    )
    assert item["os_login"] == "mysql"
    assert item["extra"]["pid"] == "4300"
    assert item["extra"]["repeated"] == {"pid": ["1"], "os_user": ["nobody"]}


@pytest.mark.parametrize(
    ("objects", "db"),
    [
        ([{"db": "a", "name": "t"}, {"db": "a", "name": "u"}], "a"),
        ([{"db": "a"}, {"db": "b"}], None),
        ([{"db": "a"}, {"name": "/tmp/#sql1"}], None),  # noqa: S108 a temporary table's file
        ([], None),
        ("odd", None),
        ([1, ["db"]], None),
    ],
)
def test_the_database_is_that_of_all_objects(objects: Any, db: str | None) -> None:
    (item,) = decode(line(("cmd", "select"), ("objects", objects), ("query", "q")))
    assert item.get("db") == db
    assert item["extra"]["objects"] == objects


def test_a_header_is_the_start_of_the_audit_log() -> None:
    (item,) = decode(
        b'{"msg-type":"header","date":"1699000000123","hostname":"db","mysql-port":"3306"}\n'
    )
    assert (item["kind"], item["name"]) == ("audit_start", "header")
    assert item["extra"] == {"hostname": "db", "mysql-port": "3306"}


@pytest.mark.parametrize(
    "chosen",
    [
        {"ts": "2024-09-03 01:53:33", "type": "failed_login"},
        {"msg-type": "activity"},
        {"a": "<AUDIT_RECORD NAME="},
    ],
)
def test_names_that_a_client_chooses_forge_no_record(chosen: dict[str, str]) -> None:
    raw = line(("connect_attrs", chosen), ("cmd", "Connect")).replace(b'": ', b'":')
    (item,) = decode(raw)
    assert item["extra"]["connect_attrs"] == chosen


@pytest.mark.parametrize("between", [b"", b"\n", b"\0\0\0\n", b"\xffjunk\n"])
def test_a_line_cut_anywhere_does_not_take_the_next_one_along(between: bytes) -> None:
    good = line(("status", "0"), ("cmd", "select"), ("query", "q"))
    for cut in range(1, len(good) - 1):
        *defects, item = decode(good[:cut] + between + good)
        assert item["span"] == [cut + len(between), cut + len(between) + len(good)]
        assert item["sqltext"] == "q"
        assert all(each.get("defect") for each in defects)


@pytest.mark.parametrize(
    "wrong",
    [
        line(),
        line(("cmd", 1)),
        line(("cmd", "Connect"), ("status", "ok")).replace(b"ok", b"ok\\ud800"),
        line(("cmd", "select"), ("x", 0)).replace(b"0}", b"[" * 100_000 + b"]" * 100_000 + b"}"),
        line(("cmd", "select"), ("x", 0)).replace(b"0}", b"9" * 5000 + b"}"),
        line(("cmd", "select")).replace(b"1438619465015", b"x"),
        b'{"msg-type":"header","hostname":"db"}\n',
        b'{"msg-type":"activity"} {}\n',
    ],
)
def test_a_line_that_cannot_be_read_is_a_defect_of_its_own(wrong: bytes) -> None:
    good = line(("cmd", "Quit"))
    before, defect, after = decode(good + wrong + good)
    assert defect["defect"] == "malformed"
    assert defect["span"] == [len(good), len(good) + len(wrong)]
    assert before["kind"] == after["kind"] == "disconnect"


def test_bytes_that_are_not_utf8_are_shown_and_kept() -> None:
    raw = line(("cmd", "select"), ("query", "Q")).replace(b"Q", b"\xe9\t")
    (item,) = decode(raw)
    assert item["sqltext"] == "\\xe9\t"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw
