"""JSON arrays of MySQL Enterprise and of the Percona filter, intact, odd, damaged and attacked."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from decode import laws
from decode.decoding import decode, decode_pieces, without_spans
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.decode import Options
from shipper.decode.array_json import ArrayJson
from shipper.decode.base import Context
from shipper.model import AuditRecord

SAMPLES = Path(__file__).parents[1] / "samples"
GENERAL: dict[str, Any] = {
    "timestamp": "2020-08-19 21:03:39",
    "id": 13,
    "class": "general",
    "event": "status",
    "connection_id": 9,
    "account": {"user": "root", "host": "localhost"},
    "login": {"user": "root", "os": "", "ip": "::1", "proxy": ""},
    "general_data": {"command": "Query", "sql_command": "select", "query": "q", "status": 0},
}
CONNECT: dict[str, Any] = {
    **GENERAL,
    "class": "connection",
    "event": "connect",
    "connection_data": {
        "connection_type": "ssl",
        "status": 1045,
        "db": "",
        "connection_attributes": {"_pid": "9132"},
    },
}
del CONNECT["general_data"]


def enterprise(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{json.dumps(k)}: {enterprise(v)}" for k, v in value.items()) + " }"
        )
    return json.dumps(value, ensure_ascii=False)


def lines(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pretty(value: Any) -> str:
    members = ",\n".join(f"    {json.dumps(k)}: {enterprise(v)}" for k, v in value.items())
    return f"{{\n{members}\n  }}"


LAYOUTS = {"enterprise-json": enterprise, "filter-jsonl": lines, "filter-json": pretty}
by_layout = pytest.mark.parametrize("layout", LAYOUTS)


def record(*parts: dict[str, Any], layout: str = "enterprise-json") -> bytes:
    whole: dict[str, Any] = {}
    for part in parts:
        whole |= part
    return LAYOUTS[layout](whole).encode()


def general(**members: Any) -> dict[str, Any]:
    return {"general_data": GENERAL["general_data"] | members}


# --- Who wrote it, and when


@by_layout
def test_the_layout_tells_the_writer_and_the_writer_its_clock(layout: str) -> None:
    (item,) = decode(
        record(GENERAL, layout=layout), options=Options(timezone=ZoneInfo("Europe/Berlin"))
    )
    assert item["format"] == layout
    utc = layout == "enterprise-json"
    assert item["timestamp"] == ("2020-08-19T21:03:39Z" if utc else "2020-08-19T19:03:39Z")


@by_layout
def test_members_in_another_order_are_read(layout: str) -> None:
    turned = dict(sorted(GENERAL.items(), key=lambda item: item[0] != "class"))
    for order in (turned, {"event": "status", "id": 13, **turned}):
        (item,) = decode(record(order, layout=layout))
        assert (item["kind"], item["record"], item["sqltext"]) == ("query", "13", "q")


def test_long_users_of_the_8_0_34_plugin_are_taken_apart_only_there() -> None:
    long = {"user": "app[evil] @ localhost [10.0.0.1]"}
    head = {**GENERAL, "account": GENERAL["account"] | long, "login": GENERAL["login"] | long}
    tight = record(head, layout="filter-json").replace(b" }\n  }", b"}\n  }")
    for raw, names in (
        (tight, ("evil", "app")),
        (record(head, layout="filter-json"), (long["user"], long["user"])),
        (record(head), (long["user"], long["user"])),
    ):
        (item,) = decode(raw)
        assert (item["user"], item["priv_user"]) == names
        assert (item["host"], item["ip"]) == ("localhost", "::1")


# --- What it says


@pytest.mark.parametrize(
    ("class_", "event", "kind"),
    [
        ("connection", "connect", "connect"),
        ("connection", "disconnect", "disconnect"),
        ("connection", "change_user", "change_user"),
        ("connection", "pre_authenticate", "other"),
        ("general", "log", "other"),
        ("general", "error", "other"),
        ("general", "result", "other"),
        ("table_access", "delete", "table"),
        ("audit", "startup", "audit_start"),
        ("audit", "shutdown", "audit_stop"),
        ("query", "query_status_end", "query"),
        ("query", "query_nested_status_end", "other"),
        ("command", "command_end", "command"),
        ("command", "command_start", "other"),
        ("message", "user", "other"),
        ("authentication", "auth_flush", "other"),
        ("server_startup", "startup", "other"),
    ],
)
def test_class_and_event_give_the_kind(class_: str, event: str, kind: str) -> None:
    (item,) = decode(record(GENERAL, {"class": class_, "event": event}))
    assert (item["kind"], item["name"]) == (kind, event)
    assert (item["extra"]["class"], item["extra"]["event"]) == (class_, event)


@pytest.mark.parametrize(("class_", "kind"), [("audit", "audit_start"), ("noaudit", "audit_stop")])
def test_audit_records_of_8_0_34_have_no_event(class_: str, kind: str) -> None:
    head = {"timestamp": "2023-03-29 11:17:03", "id": 0, "class": class_, "server_id": 1}
    (item,) = decode(record(head, layout="filter-json"))
    assert (item["kind"], item["name"]) == (kind, class_)
    assert item["extra"] == {"class": class_, "server_id": 1}


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        ({"command": "Query", "query": "q"}, "Query", "query"),
        ({"command": "Execute", "query": "q"}, "Execute", "query"),
        ({"command": "Ping", "status": 0}, "Ping", "command"),
        ({"command": "Init DB", "query": "q"}, "Init DB", "command"),
        ({"status": 0}, "status", "command"),
        ({"query": "q"}, "status", "query"),
    ],
)
def test_a_general_record_is_a_query_if_its_command_is(
    data: dict[str, Any], name: str, kind: str
) -> None:
    (item,) = decode(record(GENERAL, {"general_data": data}))
    assert (item["name"], item["kind"]) == (name, kind)


def test_nothing_of_a_record_vanishes() -> None:
    raw = record(
        GENERAL,
        {
            "time": 1597871019,
            "new": {"deep": [{"a": 1}]},
            "table": "top",
            "account": {"user": "u", "role": "r"},
            "table_access_data": {"table": "t1", "db": "d", "status": 7, "class": "c"},
            "connection_attributes": {"x": "1"},
            "connection_data": {"connection_attributes": {"y": "2"}},
        },
    )
    (item,) = decode(raw)
    assert item["db"] == "d"
    assert item["status"] == 0
    assert item["extra"] == {
        "class": "general",
        "event": "status",
        "time": 1597871019,
        "new": {"deep": [{"a": 1}]},
        "table": "top",
        "account.role": "r",
        "table_access_data.table": "t1",
        "table_access_data.status": 7,
        "table_access_data.class": "c",
        "connection_attributes": {"x": "1"},
        "connection_data.connection_attributes": {"y": "2"},
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": True},
        {"id": 1.5},
        {"connection_id": "seven"},
        {"id": 2**64},
        {"connection_id": 10**30},
        {"connection_id": 2**63},  # more than a store's column holds
        {"connection_id": -(2**63) - 1},
        general(status=2**63),
        {"account": "root"},
        {"login": {"user": 1}},
        {"class": None},
        general(status=[]),
        {"timestamp": "2020-13-19 21:03:39"},
    ],
)
def test_a_field_that_is_not_what_it_is_called_makes_the_record_a_defect(
    wrong: dict[str, Any],
) -> None:
    good = record(GENERAL)
    before, defect, after = decode(good + b",\n" + record(GENERAL, wrong) + b",\n" + good)
    assert defect["defect"] == "malformed"
    assert without_spans([before]) == without_spans([after])


# --- How it is framed


@by_layout
@pytest.mark.parametrize(
    "between",
    [b"", b"\n", b",", b",\n", b"\n,", b" , \r\n", b"\n]\n[\n", b",\0\0\n", b"]\nnull\n["],
)
def test_anything_that_servers_and_crashes_put_between_records_is_framing(
    layout: str, between: bytes
) -> None:
    raws = [record(GENERAL, {"id": number}, layout=layout) for number in range(3)]
    items = decode(b"[\n" + between.join(raws) + b"\n]\n")
    assert [item["record"] for item in items] == ["0", "1", "2"]
    assert [item["span"][1] - item["span"][0] for item in items] == [len(raw) for raw in raws]


def test_every_array_sample_but_its_tail_takes_the_fast_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow: list[bytes] = []
    careful = ArrayJson.careful

    def counted(self: ArrayJson, raw: bytes) -> AuditRecord:
        slow.append(raw)
        return careful(self, raw)

    monkeypatch.setattr(ArrayJson, "careful", counted)
    paths = [p for p in SAMPLES.glob("[ef]*-json*/*") if not p.name.endswith("expected.jsonl")]
    for path in paths:
        slow.clear()
        assert len(decode(path.read_bytes())) >= len(slow) <= 1, path
    assert len(paths) >= 6


# --- Fast is careful


_texts = st.sampled_from(["", "root", "a]", "u[u] @ localhost [::1]", "}\n,{", "\\/", "é", "\x7f"])
_scalars = st.one_of(_texts, st.integers(-3, 2**65), st.booleans(), st.none(), st.floats(0, 1))
_keys = st.sampled_from(
    (
        *("status", "db", "query", "sql_command", "command", "table", "name", "connection_type"),
        *("user", "os", "ip", "proxy", "host", "map", "class", "event", "id", "new"),
        *("timestamp", "ts", "msg-type"),
    )
)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_keys, inner, max_size=3),
    max_leaves=4,
)
_members = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "class",
            "event",
            "connection_id",
            "account",
            "login",
            "general_data",
            "connection_data",
            "query_data",
            "table_access_data",
            "command_data",
            "message_data",
            "connection_attributes",
            "server_id",
            "time",
        ]
    ),
    st.one_of(_values, st.dictionaries(_keys, _scalars, max_size=5)),
    max_size=3,
)


@by_layout
@given(changes=st.lists(st.tuples(st.sampled_from([GENERAL, CONNECT]), _members), max_size=4))
@settings(max_examples=120, deadline=None)
def test_fast_says_what_careful_says(
    layout: str, changes: list[tuple[dict[str, Any], dict[str, Any]]]
) -> None:
    between = b",\n  " if layout == "filter-json" else b",\n"
    raws = [record(base_, change, layout=layout) for base_, change in changes]
    raws.append(record(GENERAL, layout=layout))
    data = b"[\n" + between.join(raws) + b",\n"
    laws.check_all(data, len(data) // 2)


@by_layout
def test_one_odd_record_does_not_make_its_block_slow(layout: str) -> None:
    between = b",\n  " if layout == "filter-json" else b",\n"
    odd = record(GENERAL, {"class": "message", "message_data": {"map": {"a": 1}}}, layout=layout)
    block = between.join([record(GENERAL, layout=layout), odd, record(CONNECT, layout=layout)])
    format_ = ArrayJson(Context(Options()))
    decoded = format_.fast(block + b",\n", 100)
    assert decoded is not None
    spans = list(zip(decoded.starts, decoded.ends, strict=True))
    assert list(decoded.records) == [format_.careful(block[s - 100 : e - 100]) for s, e in spans]


def test_a_general_record_with_another_ones_data_reads_alike_on_both_paths() -> None:
    odd = {key: value for key, value in GENERAL.items() if key != "general_data"}
    raw = record(odd, {"query_data": {"query": "q"}})
    laws.check_all(raw + b",\n" + raw, 5)


def test_a_block_whose_records_are_not_all_apart_is_left_to_the_careful_path() -> None:
    format_ = ArrayJson(Context(Options()))
    good = record(GENERAL)
    for block in (
        good + b", " + good,  # two on a line
        good + b",\n" + record(GENERAL, layout="filter-jsonl"),  # two writers
        good + b",\n" + good[:-1],
        good + b",\n" + good.replace(b'"q"', b'"\xe9"'),
        good + b",\n" + good.replace(b'"q"', b'"\n"'),
        b" " + good,
    ):
        assert format_.fast(block, 0) is None


# --- Attacks


@by_layout
@pytest.mark.parametrize("key", ["map", "connection_attributes", "message_attributes"])
@pytest.mark.parametrize(
    "chosen",
    [
        {"timestamp": "2024-09-03 01:53:33", "id": 5, "class": "audit"},
        {"class": "audit", "timestamp": "2024-09-03 01:53:33"},
        {"msg-type": "activity", "date": "1438619465015"},
        {"ts": "2024-09-03 01:53:33", "type": "failed_login"},
        {"time": "2024-09-03T01:53:33Z", "category": "MySqlAuditLogs"},
        {"a": "<AUDIT_RECORD NAME=", "b": "<?xml version=", "c": '},\n{ "timestamp"'},
    ],
)
def test_names_that_a_client_chooses_forge_no_record(
    layout: str, key: str, chosen: dict[str, Any]
) -> None:
    raw = record(GENERAL, {"class": "message", "message_data": {key: chosen}}, layout=layout)
    for data in (raw, raw + b",\n" + record(GENERAL, layout=layout)):
        items = decode(data)
        assert len(items) == 1 + (data != raw)
        assert items[0]["span"] == [0, len(raw)]
        assert items[0]["extra"][key] == chosen


@by_layout
def test_sql_that_looks_like_a_record_stays_sql(layout: str) -> None:
    sql = f'{{ {record(GENERAL).decode()}\n]}},\n{{"timestamp": "2020-01-01 00:00:00", "id": 1}}"\\'
    raw = record(GENERAL, general(query=sql), layout=layout)
    (item,) = decode(raw)
    assert item["sqltext"] == sql


def test_deep_nesting_is_one_defect_and_costs_no_neighbour() -> None:
    good = record(GENERAL)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        nested = opening * 100_000 + b"0" + closing * 100_000
        deep = good[:-2] + b', "x": ' + nested + b" }"
        before, defect, after = decode(good + b",\n" + deep + b",\n" + good)
        assert defect["defect"] == "malformed"
        assert defect["span"] == [len(good) + 2, len(good) + 2 + len(deep)]
        assert without_spans([before]) == without_spans([after])


def test_a_large_record_in_small_pieces_is_searched_once() -> None:
    raw = record(GENERAL, general(query='{"' * 1_000_000))
    pieces = [raw[at : at + 8192] for at in range(0, len(raw), 8192)]
    (item,) = decode_pieces(pieces)
    assert item["span"] == [0, len(raw)]


# --- Damage


@by_layout
@pytest.mark.parametrize("between", [b"", b"\n", b",\n", b"\0\0\0", b"]\n[\n", b"\xff{}\n"])
def test_a_record_cut_anywhere_does_not_take_the_next_one_along(
    layout: str, between: bytes
) -> None:
    good = record(CONNECT, layout=layout)
    for cut in range(1, len(good)):
        # Directly behind this key another record looks like its value, as it may well be.
        if not between and good[:cut].rstrip().endswith(b'"connection_attributes":'):
            continue
        items = decode(good[:cut] + between + good)
        start = cut + len(between)
        assert items[-1]["span"] == [start, start + len(good)]
        assert items[-1]["kind"] == "connect"
        assert all(item.get("defect") for item in items[:-1])


def test_the_manuals_invalid_example_is_a_defect_between_good_neighbours() -> None:
    # Typographic quotes and a missing comma (formats.md 3.3).
    wrong = (
        '{ "timestamp": "2022-06-09 13:04:58", "id": 0, "class": "general", "event": "status",'
        ' "connection_id": 46, "general_data": { "command": "Query", "status": 0 }\n'
        ' "query_statistics": { "query_time": 0.116250, \u201cbytes_sent\u201d: 18384 } }'
    ).encode()
    good = record(GENERAL)
    before, defect, after = decode(good + b",\n" + wrong + b",\n" + good)
    assert defect["defect"] == "malformed"
    assert defect["span"] == [len(good) + 2, len(good) + 2 + len(wrong)]
    assert without_spans([before]) == without_spans([after])


@by_layout
def test_bytes_that_are_not_utf8_are_shown_and_kept(layout: str) -> None:
    raw = record(GENERAL, layout=layout).replace(b'"q"', b'"\xe9{\x01"')
    first, item = decode(record(GENERAL, layout=layout) + b",\n" + raw)
    assert first["sqltext"] == "q"
    assert item["sqltext"] == "\\xe9{\x01"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw


def test_the_slash_that_8_0_34_escapes_is_read() -> None:
    (item,) = decode(record(GENERAL).replace(b'"q"', rb'"SELECT 1 \/* a *\/\u000B"'))
    assert item["sqltext"] == "SELECT 1 /* a */\x0b"
