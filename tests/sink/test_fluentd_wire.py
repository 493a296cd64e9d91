"""The forward protocol as bytes. No sockets."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from datetime import datetime
from typing import Any

import msgpack
import pytest
from fluent.sender import EventTime
from hypothesis import given
from hypothesis import strategies as st
from sink.blocks import SEGMENT, batch, failed_login
from sink.test_syslog_wire import RECORDS

from shipper.document.ecs import EcsEncoder, Place
from shipper.document.percona import percona
from shipper.model import AuditRecord
from shipper.sink.fluentd_wire import (
    Credentials,
    Encoder,
    Login,
    Tags,
    ack_in,
    chunk_of,
    event_time,
    message,
    tag_problems,
)

NOW = 1_795_428_000.25


def seconds_of(time: msgpack.ExtType) -> float:
    assert (time.code, len(time.data)) == (0, 8)
    seconds, nanoseconds = (int.from_bytes(time.data[at : at + 4], "big") for at in (0, 4))
    return seconds + nanoseconds / 1e9


@given(st.lists(RECORDS, min_size=1, max_size=4), st.sampled_from(("ecs", "percona")))
def test_entries_are_the_documents_of_the_records(records: list[AuditRecord], shape: str) -> None:
    records *= 2  # the second time from a stencil
    (block,) = batch(*records).blocks
    entries = Encoder(shape, SEGMENT, "audit.log", "db-prod-7").entries(block, NOW)
    place = Place(SEGMENT, "audit.log", instance="db-prod-7")
    documents = EcsEncoder(place).documents(block).splitlines()
    for index, (record, entry) in enumerate(zip(records, entries, strict=True)):
        time, document = msgpack.unpackb(entry)
        if shape == "ecs":
            assert document == json.loads(documents[index])
        else:
            assert document == {**percona(record), "segment": SEGMENT, "offset": 10 * index}
        expected = NOW
        if record.timestamp is not None:
            expected = datetime.fromisoformat(record.timestamp).timestamp()
        assert seconds_of(time) == expected


@pytest.mark.parametrize("shape", ["ecs", "percona"])
def test_numbers_that_messagepack_does_not_have_become_text(shape: str) -> None:
    record = failed_login()
    numbers = (5, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40)
    for extra in ({"n": 1, "deep": {"list": [10**30, 7]}}, *({"n": n} for n in numbers)):
        record.extra = extra
        entries = Encoder(shape, SEGMENT, "audit.log").entries(batch(record, record).blocks[0], NOW)
        for entry in entries:
            _, document = msgpack.unpackb(entry)
            found = document["mysql"]["audit"]["raw"] if shape == "ecs" else None
            found = found or document["audit_record"]["extra"]
            number = extra["n"]
            assert isinstance(number, int)
            assert found["n"] == (number if -(2**63) <= number < 2**64 else str(number))
            assert found.get("deep", {"list": [str(10**30), 7]}) == {"list": [str(10**30), 7]}


@pytest.mark.parametrize(
    ("timestamp", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T10:00:00.123456Z", 1_795_428_000.123456),
        ("2105-12-31T23:59:59Z", 4_291_747_199),
        (None, NOW),
        ("1969-12-31T23:59:59Z", NOW),
        ("2106-12-31T00:00:00Z", NOW),
        ("0001-01-01T00:00:00Z", NOW),
        ("9999-12-31T23:59:59Z", NOW),
    ],
)
def test_event_times(timestamp: str | None, seconds: float) -> None:
    packed = event_time(timestamp, NOW)
    assert len(packed) == 10
    assert seconds_of(msgpack.unpackb(packed)) == pytest.approx(seconds, abs=1e-6)
    assert packed == msgpack.packb(EventTime(*divmod(round(seconds * 1e6) * 1000, 10**9)))


@pytest.mark.parametrize("compress", [False, True])
def test_a_message_holds_its_entries(compress: bool) -> None:  # noqa: FBT001
    (block,) = batch(failed_login(), failed_login("eve")).blocks
    entries = Encoder("ecs", SEGMENT, "audit.log").entries(block, NOW)
    written = message("mysql.audit", entries, "a chunk", compress=compress)
    assert written == message("mysql.audit", entries, "a chunk", compress=compress)
    tag, body, options = msgpack.unpackb(written)
    assert tag == "mysql.audit"
    assert (options["chunk"], options["size"]) == ("a chunk", 2)
    assert options.get("compressed") == ("gzip" if compress else None)
    unpacker = msgpack.Unpacker()
    unpacker.feed(gzip.decompress(body) if compress else body)
    assert [document["user"]["name"] for _, document in unpacker] == ["bob", "eve"]


def test_the_same_records_have_the_same_chunk_and_no_others_do() -> None:
    chunks = {
        chunk_of(segment, start, end, tag)
        for segment in (SEGMENT, "ff" * 16)
        for start, end in ((0, 10), (0, 20), (10, 20), (1, 10))
        for tag in ("a", "b")
    }
    assert len(chunks) == 16
    assert chunk_of(SEGMENT, 0, 10, "a") in chunks
    assert {len(base64.b64decode(chunk)) for chunk in chunks} == {16}


def test_tags_are_made_of_closed_sets_and_the_operators_names() -> None:
    tags = Tags("mysql.{kind}.{source}.{instance}.{format}", "main.log", "db 1\n")
    assert tags.vary
    assert tags.of("connect", "percona-json") == "mysql.connect.main_log.db_1_.percona-json"
    assert not Tags("mysql.{source}", "main", "").vary


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("{user}", "none of kind, format"),
        ("{kind.__class__}", "none of kind"),
        ("{kind", "expected '}'"),
        ("a b", "may have letters"),
        ("", "may have letters"),
        ("{}", "none of kind"),
    ],
)
def test_a_bad_tag_is_told(tag: str, problem: str) -> None:
    assert problem in " ".join(tag_problems(tag))


def digest(*parts: bytes) -> bytes:
    return hashlib.sha512(b"".join(parts)).hexdigest().encode()


def login() -> Login:
    return Login(Credentials("key", "bob", "pass"), "me", b"\x01" * 16)


def test_the_handshake_is_that_of_the_specification() -> None:
    ours = login()
    ping = ours.ping([b"HELO", {b"nonce": b"n", b"auth": b"salt", b"keepalive": True}])
    kind, hostname, salt, key, username, password = msgpack.unpackb(ping, raw=True)
    assert (kind, hostname, username) == (b"PING", b"me", b"bob")
    assert key == digest(salt, b"me", b"n", b"key")
    assert password == digest(b"salt", b"bob", b"pass")
    good = [b"PONG", True, b"", b"server", digest(salt, b"server", b"n", b"key")]
    assert ours.refusal(good) is None
    refused = ours.refusal([b"PONG", False, b"no\xff", b"server", b""])
    assert refused is not None
    assert refused.reason == "no\ufffd"


def test_a_server_without_accounts_gets_no_name() -> None:
    for auth in (b"", "", None):
        ping = login().ping([b"HELO", {b"nonce": b"n", b"auth": auth}])
        assert msgpack.unpackb(ping)[4:] == ["", ""]


@pytest.mark.parametrize("helo", [None, [], [b"HELO"], [b"HELO", {}], {b"ack": b"x"}, b"HELO"])
def test_what_is_no_helo_is_told(helo: Any) -> None:
    with pytest.raises(ValueError, match="HELO"):
        login().ping(helo)


@pytest.mark.parametrize(
    "pong", [None, [b"PONG"], [b"PONG", True, b"", b"server", b"wrong"], [b"HELO", {}], 5]
)
def test_an_impostor_is_not_believed(pong: Any) -> None:
    ours = login()
    ours.ping([b"HELO", {b"nonce": b"n"}])
    with pytest.raises(ValueError, match=r"shared key|PONG"):
        ours.refusal(pong)


def test_acks() -> None:
    assert ack_in({b"ack": b"abc"}) == "abc"
    for other in ({b"ack": 5}, {}, None, [b"ack"], b"ack", {b"nack": b"abc"}):
        assert ack_in(other) is None
