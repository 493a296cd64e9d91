"""Reads saved objects, and asks an OpenSearch what OpenSearch Dashboards would ask for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "dashboards" / "opensearch"
FILES = sorted(FOLDER.glob("*.ndjson"))
PATTERN = "mysql-audit-*"
TIME = "@timestamp"
SIZE = 10_000
# What a dashboard's filter, and its time, put in the place of Vega's words.
_VEGA_CONTEXT = re.compile(r"^%dashboard_context-\w+_clause%$")


def objects(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def every() -> list[Any]:
    """Each object once, whatever files it stands in."""
    found = {each["id"]: each for path in FILES for each in objects(path)}
    return list(found.values())


def of_type(kind: str) -> list[Any]:
    return [each for each in every() if each["type"] == kind]


def source(made: Any) -> Any:
    return json.loads(made["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])


def state(made: Any) -> Any:
    return json.loads(made["attributes"]["visState"])


def scripts() -> dict[str, str]:
    """The scripted fields of the index pattern."""
    (pattern,) = of_type("index-pattern")
    fields = json.loads(pattern["attributes"]["fields"])
    return {field["name"]: field["script"] for field in fields if field["scripted"]}


class Request:
    """One search: its query, and its nested aggregations with what they count by."""

    def __init__(
        self, query: str, splits: list[Any] | None = None, metrics: list[Any] | None = None
    ) -> None:
        self.query = query
        self.splits = splits or []
        self.metrics = metrics or []

    @property
    def body(self) -> Any:
        aggs: Any = {
            f"m{agg['id']}": _metric(agg) for agg in self.metrics if agg["type"] != "count"
        }
        for agg in reversed(self.splits):
            inner = _split(agg)
            if aggs:
                inner["aggs"] = aggs
            aggs = {f"s{agg['id']}": inner}
        text = {"query_string": {"query": self.query or "*", "analyze_wildcard": True}}
        return {"size": 0, "track_total_hits": True, "query": text, "aggs": aggs}


def _split(agg: Any) -> Any:
    params = agg["params"]
    if agg["type"] == "date_histogram":
        # What "auto" becomes for a range of years.
        return {"date_histogram": {"field": params["field"], "calendar_interval": "1d",
                                   "min_doc_count": 1}}  # fmt: skip
    # A panel shows the first few; that these are counted right is seen where none is cut off.
    return {"terms": {"field": params["field"], "size": SIZE, "order": {"_count": "desc"}}}


def _metric(agg: Any) -> Any:
    params = {key: value for key, value in agg["params"].items() if key != "customLabel"}
    script = scripts().get(params["field"])
    if script is not None:
        del params["field"]
        params["script"] = {"source": script, "lang": "painless"}
    return {agg["type"]: params}


def request(made: Any) -> Request | None:
    """The search of a visualization made of aggregations; None for others."""
    shown = state(made)
    if shown["type"] in ("metrics", "vega", "markdown", "input_control_vis"):
        return None
    metrics = [agg for agg in shown["aggs"] if agg["schema"] == "metric"]
    splits = [agg for agg in shown["aggs"] if agg["schema"] != "metric"]
    return Request(source(made)["query"]["query"], splits, metrics)


def series(made: Any) -> Iterator[Request]:
    """The searches of a TSVB panel: one a series, by time."""
    by_time = {"id": "t", "type": "date_histogram", "params": {"field": TIME}}
    for one in state(made)["params"]["series"]:
        yield Request(one["filter"]["query"], [by_time])


def vega_body(made: Any) -> Any:
    """The body of a Vega panel, as its plugin sends it with no filter and all time."""
    spec = json.loads(state(made)["params"]["spec"])
    return _without_context(spec["data"]["url"]["body"])


def _without_context(value: Any) -> Any:
    if isinstance(value, list):
        kept = [each for each in value if not (isinstance(each, str) and _VEGA_CONTEXT.match(each))]
        return [_without_context(each) for each in kept]
    if isinstance(value, dict):
        if "%timefilter%" in value:
            return {"gte": "1970-01-01", "lte": "2100-01-01"}
        return {key: _without_context(each) for key, each in value.items()}
    return value


# --- by hand -----------------------------------------------------------------------------------


def values(document: Any, field: str) -> list[Any]:
    """What an index would hold of a field: none, one or several values."""
    found: Any = document
    for name in field.split("."):
        if not isinstance(found, dict) or name not in found:
            return []
        found = found[name]
    return found if isinstance(found, list) else [found]


def matches(document: Any, query: str) -> bool:
    """Whether a document is meant by `field:value AND field:value`."""
    for term in filter(None, query.split(" AND ")):
        field, _, wanted = term.partition(":")
        if wanted not in map(str, values(document, field)):
            return False
    return True
