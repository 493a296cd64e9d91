"""Saved objects of OpenSearch Dashboards, one JSON object a line.

What its importer wants: numbers as integers, JSON in strings, references by name, ids that do not
change, and a migration version that the oldest supported server knows.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from shipper.document.fields import FIELDS

Json = dict[str, Any]

# Ids are made of a kind and a name: the same in every build, and nobody else's.
NAMESPACE: Final = uuid.UUID("5d0fb1c8-6c5d-5b7e-9d0e-5a1f6f0f7d11")
# The indexes of the sink `opensearch`; `setup dashboards` puts in its `index` where that differs.
PATTERN: Final = "mysql-audit-*"
TIME_FIELD: Final = "@timestamp"
TITLE: Final = "MySQL audit: "
COLUMNS: Final = 48
MIGRATIONS: Final = {
    "index-pattern": "7.6.0",
    "search": "7.9.3",
    "visualization": "7.10.0",
    "dashboard": "7.9.3",
}
_SEARCH_INDEX: Final = "kibanaSavedObjectMeta.searchSourceJSON.index"


def id_of(kind: str, name: str) -> str:
    """Give the id of an object."""
    return str(uuid.uuid5(NAMESPACE, f"{kind}/{name}"))


def packed(value: Any) -> str:
    """Write JSON that stands in a string."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _object(kind: str, name: str, attributes: Json, references: Sequence[Json]) -> Json:
    return {
        "attributes": attributes,
        "id": id_of(kind, name),
        "migrationVersion": {kind: MIGRATIONS[kind]},
        "references": list(references),
        "type": kind,
    }


def _reference(kind: str, name: str, called: str) -> Json:
    return {"id": id_of(kind, name), "name": called, "type": kind}


# --- the index pattern -------------------------------------------------------------------------

_OSD_TYPES: Final = {
    "keyword": "string",
    "match_only_text": "string",
    "date": "date",
    "long": "number",
    "boolean": "boolean",
    "ip": "ip",
    "flat_object": "string",
}
_FORMATS: Final[dict[str, Json]] = {
    # An id, not an amount: no thousands separators.
    "log.offset": {"id": "number", "params": {"pattern": "0"}},
    "mysql.audit.status": {"id": "number", "params": {"pattern": "0"}},
    "mysql.audit.alert.error_code": {"id": "number", "params": {"pattern": "0"}},
    "delivery_seconds": {"id": "number", "params": {"pattern": "0,0.[0]"}},
}
# From the event to its arrival. An alert has no arrival where it was written by hand.
DELIVERY_SECONDS: Final = (
    "doc['event.ingested'].size() == 0 || doc['@timestamp'].size() == 0 ? 0 : "
    "(doc['event.ingested'].value.toInstant().toEpochMilli() - "
    "doc['@timestamp'].value.toInstant().toEpochMilli()) / 1000.0"
)
SCRIPTED: Final = {"delivery_seconds": DELIVERY_SECONDS}
# Fields whose mapping cannot be counted (document/fields.py says why).
_NOT_AGGREGATED: Final = ("match_only_text", "flat_object")
_NO_DOC_VALUES: Final = ("event.id",)
_NOT_SEARCHED: Final = ("log.offset",)


def index_pattern() -> Json:
    """Give the index pattern: every field of the table, typed and formatted."""
    fields = [_field(name, type_) for name, type_ in FIELDS.items()]
    fields += [_scripted(name, script) for name, script in SCRIPTED.items()]
    attributes = {
        "fieldFormatMap": packed(_FORMATS),
        "fields": packed(fields),
        "timeFieldName": TIME_FIELD,
        "title": PATTERN,
    }
    return _object("index-pattern", "records", attributes, ())


def _field(name: str, type_: str) -> Json:
    aggregated = type_ not in _NOT_AGGREGATED and name not in _NO_DOC_VALUES
    return {
        "aggregatable": aggregated,
        "count": 0,
        "esTypes": [type_],
        "name": name,
        "readFromDocValues": aggregated,
        "scripted": False,
        "searchable": name not in _NOT_SEARCHED,
        "type": _OSD_TYPES[type_],
    }


def _scripted(name: str, script: str) -> Json:
    return {
        "aggregatable": True,
        "count": 0,
        "lang": "painless",
        "name": name,
        "readFromDocValues": False,
        "script": script,
        "scripted": True,
        "searchable": True,
        "type": "number",
    }


# --- searches and visualizations ---------------------------------------------------------------


class Search(NamedTuple):
    """A saved search: a table of records."""

    title: str
    description: str
    query: str
    columns: Sequence[str]


class Metric(NamedTuple):
    """What is counted."""

    type: str = "count"  # count, cardinality, percentiles, max
    field: str = ""
    label: str = ""
    percents: Sequence[int] = (50, 95, 99)


class Split(NamedTuple):
    """By what it is split."""

    type: str  # terms, date_histogram
    field: str = TIME_FIELD
    label: str = ""
    size: int = 10
    schema: str = "segment"  # segment, group, bucket


class Vis(NamedTuple):
    """A visualization made of aggregations."""

    type: str  # one of _PARAMS
    title: str
    description: str
    query: str
    metrics: Sequence[Metric] = (Metric(label="Records"),)
    splits: Sequence[Split] = ()


class Placed(NamedTuple):
    """One panel of a dashboard; sizes are columns (of 48) and rows."""

    what: Vis | Search | Json
    width: int = 24
    height: int = 14


class Dashboard(NamedTuple):
    """One dashboard."""

    title: str
    description: str
    panels: Sequence[Placed]
    since: str = "now-24h"
    query: str = ""


def search(made: Search) -> Json:
    """Give a saved search."""
    attributes = {
        "columns": list(made.columns),
        "description": made.description,
        "hits": 0,
        "kibanaSavedObjectMeta": {"searchSourceJSON": _source(made.query)},
        "sort": [[TIME_FIELD, "desc"]],
        "title": made.title,
        "version": 1,
    }
    reference = _reference("index-pattern", "records", _SEARCH_INDEX)
    return _object("search", made.title, attributes, [reference])


def _source(query: str) -> str:
    return packed(
        {
            "filter": [],
            "indexRefName": _SEARCH_INDEX,
            "query": {"language": "lucene", "query": query},
        }
    )


def visualization(made: Vis) -> Json:
    """Give a visualization; its title says whose it is, in a list with those of others."""
    title = f"{TITLE}{made.title}"
    aggs = [_metric(metric, index + 1) for index, metric in enumerate(made.metrics)]
    aggs += [_split(split, len(aggs) + index + 1) for index, split in enumerate(made.splits)]
    state = {
        "aggs": aggs,
        "params": _params(made),
        "title": title,
        "type": made.type,
    }
    attributes = _attributes(title, made.description, state, _source(made.query))
    reference = _reference("index-pattern", "records", _SEARCH_INDEX)
    return _object("visualization", title, attributes, [reference])


def plain(title: str, description: str, state: Json, references: Sequence[Json] = ()) -> Json:
    """Give a visualization that brings its own query: TSVB, Vega, text, a control."""
    source = packed({"filter": [], "query": {"language": "lucene", "query": ""}})
    attributes = _attributes(title, description, state | {"title": title}, source)
    return _object("visualization", title, attributes, references)


def control_reference(number: int) -> Json:
    """Give the reference of a control to its index pattern."""
    return _reference("index-pattern", "records", f"control_{number}_index_pattern")


def _attributes(title: str, description: str, state: Json, source: str) -> Json:
    return {
        "description": description,
        "kibanaSavedObjectMeta": {"searchSourceJSON": source},
        "title": title,
        "uiStateJSON": "{}",
        "version": 1,
        "visState": packed(state),
    }


def _metric(metric: Metric, number: int) -> Json:
    params: Json = {"customLabel": metric.label} if metric.label else {}
    if metric.field:
        params["field"] = metric.field
    if metric.type == "percentiles":
        params["percents"] = list(metric.percents)
    return _agg(number, metric.type, "metric", params)


def _split(split: Split, number: int) -> Json:
    params: Json = {"customLabel": split.label} if split.label else {}
    params["field"] = split.field
    if split.type == "date_histogram":
        params |= {
            "drop_partials": False,
            "extended_bounds": {},
            "interval": "auto",
            "min_doc_count": 1,
            "scaleMetricValues": False,
            "useNormalizedOpenSearchInterval": True,
        }
    else:
        params |= {
            "missingBucket": False,
            "missingBucketLabel": "Missing",
            "order": "desc",
            "orderBy": "1",
            "otherBucket": False,
            "otherBucketLabel": "Other",
            "size": split.size,
        }
    return _agg(number, split.type, split.schema, params)


def _agg(number: int, type_: str, schema: str, params: Json) -> Json:
    return {
        "enabled": True,
        "id": str(number),
        "params": params,
        "schema": schema,
        "type": type_,
    }


# --- what each type of visualization wants -----------------------------------------------------


def _params(made: Vis) -> Json:
    if made.type == "metric":
        return _METRIC
    if made.type == "pie":
        return _PIE
    if made.type == "table":
        return _TABLE
    return _series(made)


_METRIC: Final = {
    "addLegend": False,
    "addTooltip": True,
    "metric": {
        "colorSchema": "Green to Red",
        "colorsRange": [{"from": 0, "to": 10_000}],
        "invertColors": False,
        "labels": {"show": True},
        "metricColorMode": "None",
        "percentageMode": False,
        "style": {
            "bgColor": False,
            "bgFill": "#000",
            "fontSize": 40,
            "labelColor": False,
            "subText": "",
        },
        "useRanges": False,
    },
    "type": "metric",
}
_PIE: Final = {
    "addLegend": True,
    "addTooltip": True,
    "isDonut": True,
    "labels": {"last_level": True, "show": False, "truncate": 100, "values": True},
    "legendPosition": "right",
    "type": "pie",
}
_TABLE: Final = {
    "perPage": 10,
    "percentageCol": "",
    "showMetricsAtAllLevels": False,
    "showPartialRows": False,
    "showTotal": False,
    "totalFunc": "sum",
}


def _series(made: Vis) -> Json:
    """Give the parameters of `line`, `area` and `histogram`."""
    shape = {"interpolate": "linear", "lineWidth": 2, "showCircles": True}
    mode = "normal" if made.type == "line" else "stacked"
    return {
        "addLegend": True,
        "addTimeMarker": False,
        "addTooltip": True,
        "categoryAxes": [
            {
                "id": "CategoryAxis-1",
                "labels": {"filter": True, "show": True, "truncate": 100},
                "position": "bottom",
                "scale": {"type": "linear"},
                "show": True,
                "style": {},
                "title": {},
                "type": "category",
            }
        ],
        "grid": {"categoryLines": False},
        "labels": {"show": False},
        "legendPosition": "right",
        "seriesParams": [
            {
                "data": {"id": str(index + 1), "label": metric.label or "Count"},
                "drawLinesBetweenPoints": True,
                "mode": mode,
                "show": True,
                "type": made.type,
                "valueAxis": "ValueAxis-1",
                **shape,
            }
            for index, metric in enumerate(made.metrics)
        ],
        "thresholdLine": {
            "color": "#E7664C",
            "show": False,
            "style": "full",
            "value": 10,
            "width": 1,
        },
        "times": [],
        "type": made.type,
        "valueAxes": [
            {
                "id": "ValueAxis-1",
                "labels": {"filter": False, "rotate": 0, "show": True, "truncate": 100},
                "name": "LeftAxis-1",
                "position": "left",
                "scale": {"mode": "normal", "type": "linear"},
                "show": True,
                "style": {},
                "title": {"text": made.metrics[0].label or "Count"},
                "type": "value",
            }
        ],
    }


# --- dashboards --------------------------------------------------------------------------------


def dashboard(made: Dashboard) -> Json:
    """Give a dashboard."""
    panels, references = [], []
    x = y = tallest = 0
    for index, placed in enumerate(made.panels):
        if x + placed.width > COLUMNS:
            x, y, tallest = 0, y + tallest, 0
        number = str(index + 1)
        grid = {"h": placed.height, "i": number, "w": placed.width, "x": x, "y": y}
        panels.append(
            {
                "embeddableConfig": {},
                "gridData": grid,
                "panelIndex": number,
                "panelRefName": f"panel_{index}",
                "version": "7.10.0",
            }
        )
        target = object_of(placed.what)
        panels[-1]["title"] = target["attributes"]["title"].removeprefix(TITLE)
        references.append({"id": target["id"], "name": f"panel_{index}", "type": target["type"]})
        x, tallest = x + placed.width, max(tallest, placed.height)
    attributes = {
        "description": made.description,
        "hits": 0,
        "kibanaSavedObjectMeta": {
            "searchSourceJSON": packed(
                {"filter": [], "query": {"language": "lucene", "query": made.query}}
            )
        },
        "optionsJSON": packed({"hidePanelTitles": False, "useMargins": True}),
        "panelsJSON": packed(panels),
        "refreshInterval": {"pause": True, "value": 60_000},
        "timeFrom": made.since,
        "timeRestore": True,
        "timeTo": "now",
        "title": made.title,
        "version": 1,
    }
    return _object("dashboard", made.title, attributes, references)


def object_of(what: Vis | Search | Json) -> Json:
    """Give the saved object of a panel."""
    if isinstance(what, Vis):
        return visualization(what)
    if isinstance(what, Search):
        return search(what)
    return what


def bundle(made: Dashboard) -> Iterator[Json]:
    """Give everything that a dashboard needs, each object before those that refer to it."""
    yield index_pattern()
    objects = {each["id"]: each for each in (object_of(panel.what) for panel in made.panels)}
    for kind in ("search", "visualization"):
        yield from (each for each in objects.values() if each["type"] == kind)
    yield dashboard(made)
