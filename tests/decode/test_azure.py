"""Azure's diagnostic envelopes: in blobs, in lines, in any order, damaged."""

from __future__ import annotations

import json
from itertools import permutations
from typing import Any

import pytest
from decode import laws
from decode.decoding import decode

PROPERTIES: dict[str, Any] = {
    "event_class": "general_log",
    "event_subclass": "LOG",
    "event_time": "2023-11-03T08:15:01.9876543Z",
    "error_code": 0,
    "thread_id": 41,
    "host": "",
    "ip": "10.20.30.41",
    "user": "app[app] @  [10.20.30.41]",
    "sql_text": 'SELECT "}]}", \'{"time":"\'',
}
ENVELOPE: dict[str, Any] = {
    "time": "2023-11-03T08:15:02.0000001Z",
    "category": "MySqlAuditLogs",
    "resourceId": "/SUBSCRIPTIONS/0000/SERVERS/SHOP-DB",
    "LogicalServerName": "shop-db",
    "properties": PROPERTIES,
}


def envelope(**properties: Any) -> bytes:
    """The envelope with `properties` changed; None takes one away."""
    changed = {k: v for k, v in {**PROPERTIES, **properties}.items() if v is not None}
    return json.dumps({**ENVELOPE, "properties": changed}, separators=(",", ":")).encode()


def test_a_statement_is_a_query_with_the_parts_of_its_long_user() -> None:
    (item,) = decode(envelope())
    assert (item["kind"], item["name"], item["status"]) == ("query", "LOG", 0)
    assert (item["user"], item["priv_user"], item["connection_id"]) == ("app", "app", 41)
    assert item["timestamp"] == "2023-11-03T08:15:01.9876543Z"
    assert item["sqltext"] == PROPERTIES["sql_text"]
    assert item["extra"] == {
        "time": ENVELOPE["time"],
        "resourceId": ENVELOPE["resourceId"],
        "LogicalServerName": "shop-db",
        "event_class": "general_log",
    }


@pytest.mark.parametrize(
    ("class_", "subclass", "kind"),
    [
        ("connection_log", "CONNECT", "connect"),
        ("connection_log", "DISCONNECT", "disconnect"),
        ("connection_log", "CHANGE USER", "change_user"),
        ("general_log", "ERROR", "other"),
        ("general_log", "RESULT", "other"),
        ("table_access_log", "READ", "table"),
        ("new_log", "LOG", "other"),
    ],
)
def test_class_and_subclass_give_the_kind(class_: str, subclass: str, kind: str) -> None:
    (item,) = decode(envelope(event_class=class_, event_subclass=subclass))
    assert (item["kind"], item["name"]) == (kind, subclass)


def test_a_command_without_a_statement_is_a_command() -> None:
    (item,) = decode(envelope(sql_text=""))
    assert (item["kind"], item["sqltext"]) == ("command", "")


def test_connection_records_may_lack_a_time_and_a_status_of_their_own() -> None:
    (item,) = decode(envelope(event_time=None, error_code=None, thread_id=None, connection_id=7))
    assert item["timestamp"] == ENVELOPE["time"]
    assert "status" not in item
    assert item["connection_id"] == 7


def test_what_both_levels_name_alike_is_kept_apart() -> None:
    (item,) = decode(envelope(resourceId="inner", connection_id=5))
    assert item["extra"]["resourceId"] == "inner"
    assert item["extra"]["envelope.resourceId"] == ENVELOPE["resourceId"]
    assert (item["connection_id"], item["extra"]["thread_id"]) == (5, 41)


@pytest.mark.parametrize("blank", [":", ": "])
def test_members_in_any_order_are_read(blank: str) -> None:
    for order in permutations(ENVELOPE):
        raw = json.dumps({key: ENVELOPE[key] for key in order}, separators=(",", blank)).encode()
        (item,) = decode(raw)
        assert item["sqltext"] == PROPERTIES["sql_text"]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n"])
def test_a_blob_is_read_envelope_by_envelope(end: bytes) -> None:
    raws = [envelope(thread_id=number) for number in range(3)]
    blob = b'{"records":[' + b",".join(raws) + b"]}" + end
    data = blob + blob
    items = laws.decode(data)
    assert [item["connection_id"] for item in items] == [0, 1, 2, 0, 1, 2]
    assert [data[slice(*item["span"])] for item in items] == raws + raws
    laws.check_account(data, items)
    laws.check_bytewise(data, items, None)


def test_a_brace_without_its_bracket_is_no_framing() -> None:
    raw = envelope()
    *_, defect = decode(raw + b"}")
    assert (defect["defect"], defect["span"]) == ("foreign", [len(raw), len(raw) + 1])


@pytest.mark.parametrize(
    "wrong",
    [
        envelope().replace(b"MySqlAuditLogs", b"MySqlSlowLogs"),
        envelope(category="MySqlSlowLogs"),
        envelope(category=["MySqlAuditLogs"]),
        envelope(event_class=None),
        envelope(event_time="yesterday"),
        envelope(thread_id=True),
        envelope(error_code={}),
        envelope(user=1),
        envelope(thread_id=10**30),
        envelope(thread_id=0).replace(b":0,", b":" + b"9" * 5000 + b","),
        envelope(x=0).replace(b'"x":0', b'"x":' + b"[" * 100_000 + b"]" * 100_000),
        b'{"category":"MySqlAuditLogs","properties":[]}',
    ],
)
def test_an_envelope_that_cannot_be_read_is_a_defect_of_its_own(wrong: bytes) -> None:
    good = envelope()
    before, defect, after = decode(b"[" + good + b"," + wrong + b"," + good + b"]}")
    assert defect["defect"] == "malformed"
    assert defect["span"] == [len(good) + 2, len(good) + 2 + len(wrong)]
    assert before["sqltext"] == after["sqltext"]


@pytest.mark.parametrize("between", [b"", b"\n", b",", b"]}\n", b'\n{"records":[', b"\0\0\n"])
def test_an_envelope_cut_anywhere_does_not_take_the_next_one_along(between: bytes) -> None:
    good = envelope()
    for cut in range(1, len(good)):
        # Directly behind this key another envelope looks like its value.
        if not between and good[:cut].endswith(b'"properties":'):
            continue
        *defects, item = decode(good[:cut] + between + good)
        assert item["span"] == [cut + len(between), cut + len(between) + len(good)]
        assert all(each.get("defect") for each in defects)
