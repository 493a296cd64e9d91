"""Findings as documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest
from msgspec import structs

from shipper.detection import RULES, Detection, Sample
from shipper.document.alert import alert, record_of, sentence
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.fields import FIELDS
from shipper.model import Block

BURST = Detection(
    "source_burst",
    Sample("ab", 1900),
    20,
    1_788_220_800,
    1_788_220_819,
    source="203.0.113.9",
    accounts=1,
    samples=(Sample("ab", 0), Sample("ab", 100)),
)


def leaves(document: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield path + key


def test_a_burst_as_a_document() -> None:
    document = alert(record_of(BURST), instance="db1", ingested="2026-11-26T10:00:00.000Z")
    assert document["service"] == {"type": "mysql", "name": "db1"}
    assert document["event"]["kind"] == "alert"
    assert document["event"]["start"] == "2026-09-01T00:00:00.000Z"
    assert document["source"] == {"ip": "203.0.113.9"}
    assert document["mysql"]["audit"]["alert"]["samples"] == ["ab-0", "ab-100"]
    assert document["message"] == (
        "many refused logins from one address, from 203.0.113.9, 20 in 19 seconds"
    )


def test_the_accounts_that_were_tried_stand_in_it() -> None:
    spray = Detection(
        "password_spray", Sample("ab", 1), 9, 5, 9, source="web1", accounts=3, users=("", "a\x1b")
    )
    document = alert(record_of(spray))
    assert document["related"]["user"] == ["a\x1b"]
    assert document["message"].endswith("3 accounts ((none), a\x1b, …)")


@pytest.mark.parametrize(("user", "named"), [("root", "root"), ("", "(none)")])
def test_the_one_account_that_a_source_tried_is_named(user: str, named: str) -> None:
    burst = structs.replace(BURST, users=(user,))
    assert f"from 203.0.113.9, account {named}, 20 in 19 seconds" in sentence(burst)


def test_an_account_is_tried_from_somewhere() -> None:
    sources = ("203.0.113.9", "::1", "web1", "(socket)")
    burst = Detection(
        "account_burst", Sample("ab", 1), 30, 5, 9, "root", addresses=7, sources=sources
    )
    document = alert(record_of(burst))
    assert document["related"]["ip"] == ["203.0.113.9", "::1"]
    assert document["related"]["hosts"] == ["web1", "(socket)"]
    assert "source" not in document  # it is not one
    assert "from 7 addresses (203.0.113.9, ::1, web1, (socket), …)" in document["message"]
    extra = record_of(burst).extra or {}
    assert (extra["addresses"], extra["sources"]) == (7, list(sources))
    one = Detection("account_burst", Sample("ab", 1), 30, 5, 9, "root", sources=("::1",))
    assert "account root, from ::1, 30 in" in sentence(one)


@pytest.mark.parametrize("rule", RULES)
def test_only_fields_of_the_table(rule: str) -> None:
    full = Detection(
        rule,
        Sample("ab", 1),
        9,
        5,
        9,
        "\x1beve",
        "web1",
        3,
        4,
        1045,
        (Sample("ab", 0),),
        again=True,
    )
    document = alert(record_of(full), instance="db1", ingested="2026-11-26T10:00:00.000Z")
    assert set(leaves(document)) <= set(FIELDS)
    assert "still going on" in sentence(full)
    assert document["source"] == {"domain": "web1"}


def test_a_replay_writes_the_same_id_into_the_same_index() -> None:
    encoder = EcsEncoder(Place("findings", index="mysql-audit-%Y.%m.%d", instance="db1"))

    def action(at: int, ingested: str) -> Any:
        block = Block(at, at + 9, [record_of(BURST)], [at], [at + 9], [])
        lines = encoder.bulk(block, ingested).splitlines()
        document = alert(record_of(BURST), instance="db1", ingested=ingested)
        assert orjson.loads(lines[1]) == document | {"log": {"segment": "findings", "offset": at}}
        return orjson.loads(lines[0])

    first = action(0, "2026-11-26T10:00:00.000Z")
    assert first == action(700, "2026-12-24T10:00:00.000Z")
    assert first["create"] == {
        "_index": "mysql-audit-2026.09.01",
        "_id": "ab-1900-source_burst",
    }


def test_an_error_that_only_mariadb_has_is_named() -> None:
    """Detections do not say which server's number it is; MySQL refuses no login with this one."""
    found = Detection("new_error_code", Sample("s", 0), 1, 0, 0, error_code=4151)
    assert sentence(found).endswith("error 4151: the account is locked")
