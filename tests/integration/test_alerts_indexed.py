"""From refused logins in a log to an alert that the saved dashboards show, in a real OpenSearch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from app.running import configure, daemon
from boards import saved
from boards.asking import GRAFANA
from document.test_alert import leaves
from servers.waiting import until
from sink.rigs.opensearch import OpenSearchRig

from shipper.document.fields import FIELDS

MONITORS = sorted((Path(__file__).parents[2] / "alert-rules/opensearch").glob("*.json"))
CLIENT = "203.0.113.9"
USER = "root'\"; DROP"


def count(rig: OpenSearchRig, query: Any) -> int:
    rig.server.call("POST", f"/{rig.base}*/_refresh")
    found: int = rig.server.ask(f"/{rig.base}*/_count", {"query": query})["count"]
    return found


def words(query: str) -> Any:
    return {"query_string": {"query": query, "analyze_wildcard": True}}


def test_a_burst_is_found_by_what_the_dashboards_ask(tmp_path: Path, rig: OpenSearchRig) -> None:
    rows = [
        f"20261126 10:00:{second:02},db1,{USER},{CLIENT},{second},0,FAILED_CONNECT,,,1045\n"
        for second in range(20)
    ]
    rows.append(f"20261126 10:00:30,db1,{USER},{CLIENT},30,0,CONNECT,,,0\n")
    (tmp_path / "main.log").write_text("".join(rows))
    sink = f"{{type: opensearch, alerts: on, urls: ['{rig.server.url}'], retention: off, "
    sink += f"index: '{rig.base}-%Y.%m.%d'}}"
    config = configure(tmp_path, sinks=f"{{type: metrics}}, {sink}", more="instance: db1")
    with daemon(config) as running:
        until(lambda: count(rig, {"match_all": {}}) == 23)
        assert running.stop() == 0, running.log

    # The index pattern, the template and the retention are those of the records.
    hits = [hit for hit in rig.documents() if hit["_source"]["event"]["kind"] == "alert"]
    documents = {hit["_source"]["rule"]["name"]: hit["_source"] for hit in hits}
    assert set(documents) == {"source_burst", "success_after_burst"}
    assert {hit["_index"] for hit in hits} == {f"{rig.base}-2026.11.26"}
    assert all(hit["_id"] == hit["_source"]["event"]["id"] for hit in hits)
    burst = documents["source_burst"]
    assert burst["service"] == {"type": "mysql", "name": "db1"}
    assert burst["source"] == {"ip": CLIENT}
    # Each sample is a document beside it.
    samples = burst["mysql"]["audit"]["alert"]["samples"]
    assert count(rig, {"ids": {"values": samples}}) == len(samples) == 5

    # `dynamic: false`: what the mapping does not have cannot be asked for.
    for document in documents.values():
        for path in leaves(document):
            assert FIELDS[path]
            only = {"term": {"rule.name": document["rule"]["name"]}}
            asked = {"bool": {"filter": [only, {"exists": {"field": path}}]}}
            assert count(rig, asked) == 1, path

    # What the dashboards ask for alerts finds both, and what they ask for records neither.
    asking = [saved.source(each) for each in saved.every() if each["type"] != "index-pattern"]
    queries = {each["query"]["query"] for each in asking if each.get("query")}
    kinds = {query: count(rig, words(query)) for query in queries if "event.kind:" in query}
    assert kinds["event.kind:alert"] == 2
    assert kinds["event.kind:event"] == 21
    investigation = (GRAFANA / "investigation.json").read_text()
    assert "event.kind:alert AND" in investigation
    for query in kinds.keys() - {"event.kind:alert"}:
        mixed = {"bool": {"filter": [words(query), {"term": {"event.kind": "alert"}}]}}
        assert count(rig, mixed) == 0, query


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_no_monitor_takes_an_alert_for_a_refused_login(path: Path) -> None:
    for one in json.loads(path.read_text())["inputs"]:
        filters = one["search"]["query"]["query"]["bool"]["filter"]
        assert {"term": {"event.kind": "event"}} in filters
