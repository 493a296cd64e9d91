"""Every sample in the real index: no document refused, no field that the mapping does not know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, get_args

import orjson
import pytest
from clocks import FakeClock
from servers.opensearch import Flavour, shared
from sink.blocks import batch, failed_login
from sink.rigs.opensearch import OpenSearchRig

from shipper.clock import rfc3339
from shipper.decode import FORMATS, Decoder
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.fields import FIELDS, IGNORE_ABOVE
from shipper.model import QUERY, AuditRecord, Block
from shipper.sink import Batch, Surroundings

SAMPLES = Path(__file__).parents[1] / "samples"
FILES = sorted(p for p in SAMPLES.glob("*/*") if not p.name.endswith(".expected.jsonl"))
# Below a keyword of the index; the document has what is longer.
UNSEARCHED = ("db.query.text", "log.offset")


@pytest.fixture(params=get_args(Flavour))
def rig(request: pytest.FixtureRequest) -> Iterator[OpenSearchRig]:
    """Both versions that are promised: 3.7 and 2.19."""
    rig = OpenSearchRig(shared(request.param))
    try:
        yield rig
    finally:
        rig.remove()


def login(rig: OpenSearchRig) -> dict[str, Any]:
    if rig.server.authority is None:
        return {}
    certificate, key = rig.server.authority.pair("admin")
    ca_file = str(rig.server.authority.ca_file)
    return {"client_cert": certificate, "client_key": key, "ca_file": ca_file}


def samples() -> Iterator[Batch]:
    for path in FILES:
        decoder = Decoder(FORMATS)
        blocks = [decoder.feed(path.read_bytes()), decoder.finish()]
        yield Batch(f"{path.parent.name}.{path.name}", str(path), blocks)


def expected(each: Batch, rig: OpenSearchRig, clock: FakeClock) -> Iterator[Any]:
    place = Place(each.segment, each.path, rig.settings().index, "db-1")
    for block in each.blocks:
        lines = EcsEncoder(place).bulk(block, rfc3339(clock.now())).splitlines()
        yield from map(orjson.loads, lines[1::2])


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and FIELDS.get(path) != "flat_object":
        for key, inner in value.items():
            yield from leaves(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def test_every_sample_is_indexed_and_every_field_of_it_found(rig: OpenSearchRig) -> None:
    clock = FakeClock()
    documents: dict[str, Any] = {}
    with closing(rig.sink(Surroundings(clock=clock, instance="db-1"), **login(rig))) as sink:
        sink.prepare()
        for each in samples():
            receipt = sink.deliver(each)
            assert receipt.refusals == (), each.path
            assert receipt.new == each.count
            for document in expected(each, rig, clock):
                log = document["log"]
                documents[f"{log['segment']}-{log['offset']}"] = document
    assert len(documents) > 100
    held = {hit["_id"]: hit["_source"] for hit in rig.documents()}
    assert held == documents
    counts = Counter(path for each in documents.values() for path, _ in leaves(each))
    assert set(counts) <= set(FIELDS)
    for path, count in counts.items():
        found = rig.server.call("GET", f"/{rig.base}-*/_count?q=_exists_:{path}")["count"]
        assert found == count, path


def test_sql_is_found_by_its_words_and_counted_as_a_whole(rig: OpenSearchRig) -> None:
    short, long = "SELECT * FROM orders WHERE id = 7", "INSERT " + "secret, " * 1000
    records = [AuditRecord(kind=QUERY, sqltext=text) for text in (short, short, long)]
    records[2].user = "u" * (IGNORE_ABOVE + 1)
    with closing(rig.sink(**login(rig))) as sink:
        sink.prepare()
        assert sink.deliver(batch(*records)).new == 3
    rig.server.call("POST", f"/{rig.base}-*/_refresh")

    def hits(query: Any) -> int:
        found = rig.server.call("POST", f"/{rig.base}-*/_search", {"query": query})
        value: int = found["hits"]["total"]["value"]
        return value

    assert hits({"match": {"db.query.text": "orders"}}) == 2
    assert hits({"match_phrase": {"db.query.text": "secret, secret"}}) == 1
    assert hits({"exists": {"field": "user.name"}}) == 0  # kept in the document, not indexed
    body = {"size": 0, "aggs": {"sql": {"terms": {"field": "db.query.text.keyword"}}}}
    found = rig.server.call("POST", f"/{rig.base}-*/_search", body)
    buckets = found["aggregations"]["sql"]["buckets"]
    assert [(each["key"], each["doc_count"]) for each in buckets] == [(short, 2)]


HOSTILE: list[dict[str, Any]] = [
    {"long": "x" * 100_000},
    {"k" * 100_000: 1},
    {"": {"": [None, {"a.b": {"..": "."}}]}},
    {"deep": orjson.loads('{"a":' * 200 + "1" + "}" * 200)},
    {"lists": [[[[[[[[1]]]]]]]]},
    {"wide": {f"key{number}": "\U0001f42c" * 5000 for number in range(50)}},
    {"numbers": [2**63 - 1, -(2**63), 1e308, True, None]},
    {"serverhost": {"a": 1}, "table": {"b": [2]}, "connection_type": [3]},
]


@pytest.mark.parametrize("extra", HOSTILE, ids=lambda extra: str(extra)[:20])
def test_no_content_is_refused(rig: OpenSearchRig, extra: dict[str, Any]) -> None:
    hostile = failed_login("\x00\u202e\ud7ff\U0010ffff" * 9000)
    hostile.extra = extra
    hostile.host = hostile.db = hostile.sqltext = hostile.priv_user = hostile.user
    hostile.ip, hostile.status = "::ffff:10.0.0.1", -(2**63)
    block = Block(0, 10, [hostile], [2**62], [2**62 + 1], [])
    with closing(rig.sink(**login(rig))) as sink:
        sink.prepare()
        assert sink.deliver(Batch("s", "audit.log", [block])).new == 1
