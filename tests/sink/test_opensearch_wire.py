"""What an answer means: bytes in, values out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.errors import MisconfiguredError, ShipperError, UnavailableError
from shipper.sink.base import FAILURES, REFUSALS
from shipper.sink.opensearch_body import Body, fitting, halves, without
from shipper.sink.opensearch_wire import (
    StatusError,
    judged,
    read,
)


def body(count: int) -> Body:
    pairs = [b'{"create":{"_id":"%d"}}\n{"text":"\\r\\n%d"}\n' % (at, at) for at in range(count)]
    return Body(b"".join(pairs), list(range(0, count * 10, 10)))


def answer(*outcomes: tuple[int, str, str]) -> bytes:
    items = [
        {"create": {"status": status} | ({"error": {"type": kind, "reason": why}} if kind else {})}
        for status, kind, why in outcomes
    ]
    return orjson.dumps({"errors": any(kind for _, kind, _ in outcomes), "items": items})


def test_every_outcome_has_its_place() -> None:
    reading = read(
        answer(
            (201, "", ""),
            (409, "version_conflict_engine_exception", "exists"),
            (400, "mapper_parsing_exception", "failed to parse field [x]"),
            (429, "rejected_execution_exception", "queue"),
            (503, "unavailable_shards_exception", "primary shard is not active"),
        ),
        body(5),
    )
    assert (reading.new, reading.duplicates, reading.again) == ([0], [10], [30, 40])
    ((offset, reason, detail, _),) = reading.refusals
    assert (offset, reason) == (20, "mapping")
    assert "failed to parse field [x]" in detail
    assert isinstance(reading.failure, UnavailableError)
    assert reading.failure.reason == "throttled"


@pytest.mark.parametrize(
    ("status", "kind", "why", "expected"),
    [
        (429, "rejected_execution_exception", "", "throttled"),
        (429, "cluster_block_exception", "flood-stage watermark", "rejected"),
        (403, "cluster_block_exception", "FORBIDDEN/8/index write (api)", "rejected"),
        (400, "index_closed_exception", "closed", "rejected"),
        (404, "index_not_found_exception", "no such index", "rejected"),
        (400, "validation_exception", "this action would add [2] total shards", "rejected"),
        (503, "unavailable_shards_exception", "", "unavailable"),
        (500, "null_pointer_exception", "", "unavailable"),
        (409, "resource_already_exists_exception", "", "unavailable"),
        (403, "security_exception", "no permissions", "misconfigured"),
        (400, "illegal_argument_exception", "pipeline with id [x] does not exist", "misconfigured"),
        (400, "illegal_argument_exception", "no write index is defined for alias", "misconfigured"),
        (400, "illegal_argument_exception", "mapper [x] cannot be changed", "mapping"),
        (400, "illegal_argument_exception", "Document contains an immense term", "mapping"),
        (400, "mapper_parsing_exception", "", "mapping"),
        (400, "strict_dynamic_mapping_exception", "", "mapping"),
        (400, "document_parsing_exception", "", "mapping"),
        (400, "something_new_exception", "", "invalid"),
        (413, "x", "", "too_large"),
        (500, "fail_processor_exception", "not this one", "other"),
    ],
)
def test_what_the_record_did_not_cause_does_not_cost_the_record(
    status: int, kind: str, why: str, expected: str
) -> None:
    reading = read(answer((status, kind, why), (201, "", "")), body(2))
    assert reading.new == [10]
    if expected in REFUSALS:
        assert reading.failure is None
        assert [refusal.reason for refusal in reading.refusals] == [expected]
    else:
        assert (reading.again, reading.refusals) == ([0], [])
        assert _outcome(reading.failure) == expected


def _outcome(error: ShipperError | None) -> str:
    if isinstance(error, UnavailableError):
        assert error.reason in FAILURES
        return error.reason
    assert isinstance(error, MisconfiguredError)
    return "misconfigured"


def test_what_no_waiting_mends_is_said_first() -> None:
    busy, denied = (429, "rejected_execution_exception", ""), (403, "security_exception", "no")
    for order in ((busy, denied), (denied, busy)):
        assert _outcome(read(answer(*order), body(2)).failure) == "misconfigured"


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"errors":false}',
        b'{"errors":false,"items":[]}',
        b'{"errors":false,"items":[{"index":{"status":201}},{"index":{"status":201}}]}',
        b'{"errors":false,"items":[{"create":{"status":201}},{"create":{"st',
        b"<html><body>login</body></html>",
        b"\xff\xfe",
    ],
)
def test_what_is_no_answer_acknowledges_nothing(said: bytes) -> None:
    with pytest.raises(UnavailableError) as raised:
        read(said, body(2))
    assert raised.value.reason == "protocol"


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_stumble(said: bytes) -> None:
    with pytest.raises(UnavailableError):
        read(said, body(3))


def ids(part: Body) -> list[int]:
    actions: list[Any] = [orjson.loads(line) for line in part.lines.splitlines()[::2]]
    return [int(action["create"]["_id"]) * 10 for action in actions]


@given(st.integers(1, 60), st.integers(1, 4000))
def test_cut_bodies_hold_every_document_once_and_in_order(count: int, limit: int) -> None:
    parts = list(fitting(body(count), limit))
    assert b"".join(part.lines for part in parts) == body(count).lines
    for part in parts:
        assert ids(part) == list(part.offsets)
        assert len(part.lines) <= limit or len(part.offsets) == 1


@given(st.integers(2, 60))
def test_halves_are_halves(count: int) -> None:
    left, right = halves(body(count))
    assert ids(left) + ids(right) == list(body(count).offsets)
    assert abs(len(left.offsets) - len(right.offsets)) <= 1


@given(st.integers(1, 30), st.sets(st.integers(0, 29)))
def test_settled_documents_are_left_out(count: int, settled: set[int]) -> None:
    rest = without(body(count), {10 * at for at in settled})
    assert ids(rest) == list(rest.offsets) == [10 * at for at in range(count) if at not in settled]


@pytest.mark.parametrize(
    ("status", "said", "first", "later"),
    [
        (429, b"", "throttled", "throttled"),
        (503, b"OpenSearch Security not initialized.", "unavailable", "unavailable"),
        (502, b"<html>Bad Gateway</html>", "unavailable", "unavailable"),
        (500, b"", "unavailable", "unavailable"),
        (408, b"", "unavailable", "unavailable"),
        (401, b"Unauthorized", "misconfigured", "misconfigured"),
        (403, b'{"error":{"type":"security_exception","reason":"no"}}', *["misconfigured"] * 2),
        (403, b'{"error":{"type":"cluster_block_exception"}}', "rejected", "rejected"),
        (403, b"<html>blocked by the firewall</html>", "misconfigured", "protocol"),
        (403, b'{"Message":"User: x is not authorized"}', "misconfigured", "protocol"),
        (302, b"", "misconfigured", "protocol"),
        (404, b"<html>no such page</html>", "misconfigured", "protocol"),
        (405, b'{"error":"Incorrect HTTP method"}', "misconfigured", "protocol"),
        (400, b'{"error":{"type":"illegal_argument_exception"}}', "misconfigured", "protocol"),
    ],
)
def test_a_failed_request_means(status: int, said: bytes, first: str, later: str) -> None:
    error = StatusError("http://x:9200", status, said, 7.0)
    assert _outcome(judged(error, proven=False)) == first
    assert _outcome(judged(error, proven=True)) == later
    assert "http://x:9200" in str(judged(error, proven=True))


def test_amazons_own_refusal_is_not_called_a_wrong_url() -> None:
    said = b'{"Message":"User: anonymous is not authorized to perform: es:ESHttpPost"}'
    error = judged(StatusError("https://x", 403, said, None), proven=False)
    assert "not authorized to perform" in str(error)
    assert "access policy" in str(error)
    assert "does not look like OpenSearch" not in str(error)
