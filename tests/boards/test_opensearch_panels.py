"""Each panel's aggregation on the real server, against a count by hand, with every sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from boards import saved
from boards.asking import board, panels
from clocks import FakeClock
from servers.opensearch import shared
from sink.rigs.opensearch import OpenSearchRig

from shipper.decode import FORMATS, Decoder
from shipper.detection import RULES, Detection, Sample
from shipper.document.alert import alert, record_of
from shipper.sink import Batch, Surroundings

SAMPLES = Path(__file__).parents[1] / "samples"
FILES = sorted(p for p in SAMPLES.glob("*/*") if not p.name.endswith(".expected.jsonl"))
ROWS = [made for made in saved.of_type("visualization") if saved.request(made)]
GRAFANA = list(panels(board("investigation")))


class Filled:
    """An index with every sample and one finding of each rule, and what is in it."""

    def __init__(self, rig: OpenSearchRig) -> None:
        self.rig = rig
        clock = FakeClock()
        with closing(rig.sink(Surroundings(clock=clock, instance="db-1"))) as sink:
            sink.prepare()
            for path in FILES:
                decoder = Decoder(FORMATS)
                blocks = [decoder.feed(path.read_bytes()), decoder.finish()]
                sink.deliver(Batch(f"{path.parent.name}.{path.name}", str(path), blocks))
        lines = [line for number, rule in enumerate(RULES) for line in self._finding(number, rule)]
        rig.server.call("POST", "/_bulk", b"".join(line + b"\n" for line in lines))
        self.documents = [hit["_source"] for hit in rig.documents()]

    def _finding(self, number: int, rule: str) -> tuple[bytes, bytes]:
        at = Sample("s", number)
        found = Detection(rule, at, 20, 1_700_000_000, 1_700_000_300, user="root",
                          source="203.0.113.9", samples=(at,))  # fmt: skip
        index = f"{self.rig.base}-2023.11.14"
        document = alert(record_of(found), ingested="2023-11-14T22:20:00.000Z")
        return orjson.dumps({"create": {"_index": index, "_id": found.id}}), orjson.dumps(document)

    def search(self, body: Any) -> Any:
        return self.rig.server.call("POST", f"/{self.rig.base}-*/_search", body)

    def meant(self, query: str) -> list[Any]:
        return [each for each in self.documents if saved.matches(each, query)]


@pytest.fixture(scope="module")
def filled() -> Iterator[Filled]:
    rig = OpenSearchRig(shared("core"))
    try:
        yield Filled(rig)
    finally:
        rig.remove()


def title(made: Any) -> str:
    return str(made["attributes"]["title"])


def key(value: Any) -> Any:
    return str(value)


def by_hand(documents: list[Any], splits: list[Any]) -> Counter[tuple[Any, ...]]:
    """Count documents by the values of each split's field."""
    counts: Counter[tuple[Any, ...]] = Counter()
    for document in documents:
        keys: list[tuple[Any, ...]] = [()]
        for split in splits:
            found = saved.values(document, split["params"]["field"])
            if split["type"] == "date_histogram":
                found = [each[:10] for each in found]
            keys = [(*before, key(each)) for before in keys for each in dict.fromkeys(found)]
        counts.update(keys)
    return counts


def buckets(answer: Any, splits: list[Any], before: tuple[Any, ...] = ()) -> Counter[Any]:
    """What the server counted, by the keys of its buckets."""
    if not splits:
        return Counter({before: answer["doc_count"]})
    counts: Counter[Any] = Counter()
    for bucket in answer[f"s{splits[0]['id']}"]["buckets"]:
        word = bucket.get("key_as_string", bucket["key"])
        if splits[0]["type"] == "date_histogram":
            word = word[:10]
        counts += buckets(bucket, splits[1:], (*before, key(word)))
    return counts


@pytest.mark.parametrize("made", ROWS, ids=title)
def test_a_panel_counts_what_a_count_by_hand_gives(filled: Filled, made: Any) -> None:
    asked = saved.request(made)
    assert asked is not None
    answer = filled.search(asked.body)
    meant = filled.meant(asked.query)
    assert meant, "a panel that shows nothing of any sample proves nothing"
    assert answer["hits"]["total"]["value"] == len(meant)
    for metric in asked.metrics:
        if not asked.splits:
            check_metric(metric, answer, meant)
    if not asked.splits:
        return
    found = buckets(answer["aggregations"], asked.splits)
    wanted = by_hand(meant, asked.splits)
    assert wanted
    assert found == wanted


def check_metric(metric: Any, answer: Any, meant: list[Any]) -> None:
    if metric["type"] == "count":
        return
    value = answer["aggregations"][f"m{metric['id']}"]
    field = metric["params"]["field"]
    found = [each for document in meant for each in saved.values(document, field)]
    if metric["type"] == "cardinality":
        assert value["value"] == len(set(found))
    elif metric["type"] == "max":
        assert value["value_as_string"][:19] == max(found)[:19]
    else:
        raise AssertionError(metric)


def test_the_scripted_field_is_the_time_from_event_to_arrival(filled: Filled) -> None:
    (made,) = [one for one in ROWS if title(one).endswith("From the event to the index")]
    asked = saved.request(made)
    assert asked is not None
    (day,) = [
        bucket
        for bucket in filled.search(asked.body)["aggregations"]["s2"]["buckets"]
        if bucket["key_as_string"].startswith("2024-09-03")
    ]
    # FakeClock's now, less the time of the record: more than a year of seconds, never 0.
    assert all(abs(value) > 86_400 for value in day["m1"]["values"].values())


def test_tsvb_asks_for_logins_and_refusals(filled: Filled) -> None:
    (made,) = [
        one for one in saved.of_type("visualization") if saved.state(one)["type"] == "metrics"
    ]
    totals = [filled.search(one.body)["hits"]["total"]["value"] for one in saved.series(made)]
    assert totals == [len(filled.meant(one.query)) for one in saved.series(made)]
    assert totals[0] > totals[1] > 0


def test_vega_gives_accounts_by_address(filled: Filled) -> None:
    (made,) = [one for one in saved.of_type("visualization") if saved.state(one)["type"] == "vega"]
    found = filled.search(saved.vega_body(made))["aggregations"]["addresses"]["buckets"]
    accounts: dict[str, set[str]] = {}
    query = "event.category:authentication AND event.outcome:failure"
    for document in filled.meant(query):
        for address in saved.values(document, "source.ip"):
            accounts.setdefault(address, set()).update(saved.values(document, "user.name"))
    assert {each["key"]: each["accounts"]["value"] for each in found} == {
        address: len(names) for address, names in accounts.items()
    }


@pytest.mark.parametrize("made", saved.of_type("search"), ids=title)
def test_a_search_finds_what_it_says(filled: Filled, made: Any) -> None:
    query = saved.source(made)["query"]["query"]
    sort = [{field: direction} for field, direction in made["attributes"]["sort"]]
    body = {"query": {"query_string": {"query": query}}, "sort": sort, "track_total_hits": True}
    total = filled.search(body)["hits"]["total"]["value"]
    assert total == len(filled.meant(query)) > 0


# --- Grafana's dashboard over the same index ---------------------------------------------------


def lucene(query: str, **variables: str) -> str:
    values = {"user": "(* OR *:*)", "address": "(* OR *:*)", "filter": "*:*"} | variables
    for name, value in values.items():
        query = query.replace(f"${name}", value)
    return query


def body_of(target: Any, **variables: str) -> Any:
    """The search that the OpenSearch plugin makes of a target."""
    text = {
        "query_string": {"analyze_wildcard": True, "query": lucene(target["query"], **variables)}
    }
    if target["metrics"][0]["type"] == "raw_data":
        return {"size": 100, "query": text, "sort": [{"@timestamp": "desc"}],
                "track_total_hits": True}  # fmt: skip
    aggs: Any = {}
    for agg in reversed(target["bucketAggs"]):
        settings, field = agg["settings"], agg["field"]
        if agg["type"] == "terms":
            one: Any = {"terms": {"field": field, "size": int(settings["size"]),
                                  "min_doc_count": int(settings["min_doc_count"]),
                                  "order": {settings["orderBy"]: settings["order"]}}}  # fmt: skip
        else:
            one = {"date_histogram": {"field": field, "calendar_interval": "1d",
                                      "min_doc_count": 1}}  # fmt: skip
        aggs = {agg["id"]: one | ({"aggs": aggs} if aggs else {})}
    return {"size": 0, "query": text, "aggs": aggs, "track_total_hits": True}


@pytest.mark.parametrize("panel", GRAFANA, ids=lambda panel: panel["title"])
def test_a_panel_of_the_investigation_finds_everything_and_one_user(
    filled: Filled, panel: Any
) -> None:
    (target,) = panel["targets"]
    plain = target["query"].partition(" AND user.name:$user")[0]
    if not plain.startswith("event"):
        plain = target["query"].replace(" AND user.name:$user AND source.ip:$address", "").replace(
            " AND ($filter)", "")  # fmt: skip
    wanted = filled.meant(plain)
    answer = filled.search(body_of(target))
    assert answer["hits"]["total"]["value"] == len(wanted) > 0
    if target["bucketAggs"]:
        assert answer["aggregations"][target["bucketAggs"][0]["id"]]["buckets"]
    ones = filled.search(body_of(target, user='("root")', address='("203.0.113.9" OR "10.0.0.1")'))
    assert ones["hits"]["total"]["value"] == sum(
        "root" in saved.values(each, "user.name")
        and bool({"203.0.113.9", "10.0.0.1"} & set(saved.values(each, "source.ip")))
        for each in wanted
    )
