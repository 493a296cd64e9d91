"""The ECS document: valid, complete, and nothing in it that the field table does not know."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.decode import FORMATS, Decoder
from shipper.document import ecs, ecs_parts
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.fields import FIELDS, mapping
from shipper.model import CONNECT, KINDS, QUERY, AuditRecord, Block, Shared

SAMPLES = Path(__file__).parents[1] / "samples"
FILES = sorted(p for p in SAMPLES.glob("*/*") if not p.name.endswith(".expected.jsonl"))
PLACE = Place(segment="0123abcd", path="/var/lib/mysql/audit.log", instance="shop-db-1")
ARRIVAL = "2026-11-23T10:00:00Z"


def block(*records: AuditRecord) -> Block:
    return Block(0, 100, list(records), list(range(len(records))), list(range(len(records))), [])


def document(record: AuditRecord, place: Place = PLACE) -> dict[str, Any]:
    action, line = EcsEncoder(place).bulk(block(record), ARRIVAL).splitlines()
    assert orjson.loads(action)["create"]["_id"] == f"{place.segment}-0"
    parsed: dict[str, Any] = orjson.loads(line)
    return parsed


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    if FIELDS.get(path) == "flat_object":
        yield path, value
    elif isinstance(value, dict):
        assert value, f"empty object at {path}"
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield path, inner
    else:
        yield path, value


def test_a_failed_login_tells_who_from_where_and_why() -> None:
    record = AuditRecord(
        name="FAILED_CONNECT",
        kind=CONNECT,
        format="mariadb",
        timestamp="2019-07-10T00:06:28Z",
        connection_id=3,
        status=1045,
        user="bob",
        host="web1",
        ip="10.0.0.9",
        db="",
        extra={"serverhost": "db1"},
        query_id=0,
    )
    assert document(record) == {
        "@timestamp": "2019-07-10T00:06:28Z",
        "ecs": {"version": "8.17.0"},
        "service": {"type": "mysql", "name": "shop-db-1"},
        "error": {
            "code": "1045",
            "message": document(record)["error"]["message"],
            "type": "ER_ACCESS_DENIED_ERROR",
        },
        "event": {
            "kind": "event",
            "module": "mysql",
            "dataset": "mysql.audit",
            "action": "mysql-connect",
            "category": ["authentication", "session"],
            "type": ["start"],
            "outcome": "failure",
            "code": "1045",
            "ingested": ARRIVAL,
        },
        "user": {"name": "bob"},
        "source": {"ip": "10.0.0.9", "domain": "web1"},
        "related": {"user": ["bob"], "ip": ["10.0.0.9"], "hosts": ["web1"]},
        "db": {"system": {"name": "mysql"}},
        "mysql": {
            "audit": {
                "kind": "connect",
                "name": "FAILED_CONNECT",
                "format": "mariadb",
                "status": 1045,
                "connection_id": "3",
                "raw": {"query_id": 0},
            }
        },
        "log": {
            "file": {"path": "/var/lib/mysql/audit.log"},
            "segment": "0123abcd",
            "offset": 0,
        },
        "host": {"name": "db1"},
    }


def test_the_index_follows_the_records_own_day() -> None:
    records = [AuditRecord(timestamp=f"2024-09-0{day}T00:00:00Z") for day in (3, 3, 4)]
    lines = EcsEncoder(PLACE).bulk(block(*records), ARRIVAL).splitlines()[::2]
    assert [orjson.loads(line)["create"]["_index"] for line in lines] == [
        "mysql-audit-2024.09.03",
        "mysql-audit-2024.09.03",
        "mysql-audit-2024.09.04",
    ]


@pytest.mark.parametrize("stamp", [None, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_an_unlikely_time_has_an_index_of_its_own(stamp: str | None) -> None:
    """Whatever the day of arrival: sent again tomorrow it must not be there twice."""
    for arrival in (ARRIVAL, "2026-11-24T00:00:01Z"):
        record = AuditRecord(timestamp=stamp)
        action, _ = EcsEncoder(PLACE).bulk(block(record), arrival).splitlines()
        assert orjson.loads(action)["create"]["_index"] == "mysql-audit-undated"


def test_a_time_that_cannot_be_read_is_the_time_of_arrival() -> None:
    assert document(AuditRecord(timestamp=None))["@timestamp"] == ARRIVAL


def test_an_unknown_error_number_has_no_invented_name() -> None:
    assert document(AuditRecord(kind=QUERY, status=64999))["error"] == {"code": "64999"}


def test_what_a_flat_object_would_refuse_is_cut() -> None:
    deep: dict[str, Any] = {}
    inner = deep
    for _ in range(50):
        inner["k" * 300] = inner = {}
    record = AuditRecord(extra={"long": "\U0001f42c" * 40_000, "k" * 40_000: 1, "deep": deep})
    raw = document(record)["mysql"]["audit"]["raw"]

    def longest(value: object) -> int:
        if isinstance(value, dict):
            return max((len(key.encode()) + 1 + longest(each) for key, each in value.items()))
        return len(str(value).encode())

    assert longest(raw) < 32_000


def test_the_mapping_is_the_table() -> None:
    def types(properties: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
        for key, value in properties.items():
            if "properties" in value:
                yield from types(value["properties"], f"{path}{key}.")
            else:
                yield path + key, value["type"]

    assert dict(types(mapping())) == FIELDS


@pytest.mark.parametrize("ip", ["", "not an address", "fe80::1%eth0", "10.0.0.256"])
def test_an_ip_field_is_an_address_or_absent(ip: str) -> None:
    assert "ip" not in document(AuditRecord(ip=ip)).get("source", {})


@pytest.mark.parametrize(
    ("command_class", "status", "expected"),
    [
        ("select", 0, ["access"]),
        ("insert", 0, ["change"]),
        ("revoke_all", 0, ["change"]),
        ("grant_roles", 0, ["change"]),
        ("install_component", 0, ["change"]),
        ("change_master", 0, ["change"]),
        ("change_db", 0, ["access"]),
        ("show_grants", 0, ["access"]),
        ("drop_table", 1142, ["change", "error"]),
        ("select", 1142, ["access", "error"]),
    ],
)
def test_statements_are_classified(command_class: str, status: int, expected: list[str]) -> None:
    record = AuditRecord(kind=QUERY, command_class=command_class, status=status)
    assert document(record)["event"]["type"] == expected


def test_everybody_who_is_named_is_found_under_one_field() -> None:
    names = {"user": "app", "priv_user": "role", "os_login": "deploy", "proxy_user": "pool"}
    made = document(AuditRecord(**names))
    assert made["related"]["user"] == ["app", "role", "deploy", "pool"]
    assert made["mysql"]["audit"]["proxy_user"] == "pool"


@pytest.mark.parametrize("sample", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_leaf_of_every_sample_is_in_the_field_table(sample: Path) -> None:
    decoder = Decoder(FORMATS)
    found = [decoder.feed(sample.read_bytes()), decoder.finish()]
    encoder = EcsEncoder(PLACE)
    documents = [
        orjson.loads(line)
        for each in found
        for line in encoder.bulk(each, ARRIVAL).splitlines()[1::2]
    ]
    assert documents
    for path, value in (leaf for each in documents for leaf in leaves(each)):
        assert path in FIELDS, path
        assert value not in (None, ""), path


HOSTILE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
EXTRA = st.none() | st.dictionaries(HOSTILE, HOSTILE | st.integers(-(2**63), 2**63 - 1), max_size=3)


@given(
    st.builds(
        AuditRecord,
        name=HOSTILE,
        record=st.none() | HOSTILE,
        command_class=st.none() | HOSTILE,
        connection_id=st.none() | st.integers(-(2**63), 2**63 - 1),
        status=st.none() | st.integers(-(2**63), 2**63 - 1),
        sqltext=st.none() | HOSTILE,
        user=st.none() | HOSTILE,
        priv_user=st.none() | HOSTILE,
        os_login=st.none() | HOSTILE,
        proxy_user=st.none() | HOSTILE,
        host=st.none() | HOSTILE,
        ip=st.none() | HOSTILE,
        db=st.none() | HOSTILE,
        kind=st.sampled_from(KINDS),
        format=st.just("mariadb"),
        extra=EXTRA,
    )
)
def test_hostile_text_stays_inside_its_field(record: AuditRecord) -> None:
    parsed = document(record)
    for path, _ in leaves(parsed):
        assert path in FIELDS, path
    assert parsed["db"].get("query", {}).get("text") == record.sqltext
    assert parsed.get("user", {}).get("name") == (record.user or None)
    assert parsed["event"].get("id") == record.record


# Texts that look like what a template is cut by, or like a part of one.
AWKWARD = st.text(max_size=6) | st.sampled_from(
    ("%", "%s %d %%", *map(str, ecs_parts.SPECIMENS), "7583101523595801,")
)
EXTRAS = st.dictionaries(
    st.sampled_from(("serverhost", "query_id", "table", "connection_type", "x%")),
    AWKWARD | st.integers(-5, 2**63) | st.booleans() | st.none() | st.lists(st.integers()),
    max_size=4,
)
EXTRAS |= EXTRAS.map(Shared)
RARE = st.builds(
    AuditRecord,
    name=AWKWARD,
    record=st.none() | AWKWARD,
    kind=st.sampled_from(KINDS),
    timestamp=st.none() | st.just("2019-07-10T00:06:28Z"),
    connection_id=st.none() | st.integers(0, 9),
    query_id=st.none() | st.integers(-5, 2**63 - 1),
    status=st.none() | st.integers(0, 3),
    sqltext=st.none() | AWKWARD,
    proxy_user=st.none() | AWKWARD,
    extra=st.none() | EXTRAS,
)


@given(st.lists(RARE, max_size=5))
def test_what_is_remembered_does_not_change_what_is_written(records: list[AuditRecord]) -> None:
    place = Place(segment="0123abcd", path="/var/log/100%d %s.log")
    encoder, several = EcsEncoder(place), block(*records, *records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ecs, "parted", lambda _extra: None)  # nothing odd is remembered
        expected = EcsEncoder(place).bulk(several, ARRIVAL)
    assert encoder.bulk(several, ARRIVAL) == expected
    assert encoder.bulk(several, ARRIVAL) == expected


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        (QUERY, 1146, {"type": "ER_NO_SUCH_TABLE", "message": "the table does not exist"}),
        (CONNECT, 1146, {}),  # no login is refused like that: nothing is made up
        (QUERY, 9999, {}),
    ],
)
def test_an_error_of_a_statement_has_a_name(kind: str, status: int, error: dict[str, str]) -> None:
    record = AuditRecord(name="Query", kind=kind, format="percona-json", status=status)
    assert document(record)["error"] == {"code": str(status), **error}
