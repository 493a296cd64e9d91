"""Grafana dashboards as plain dicts: the classic model, schema version 42, its last one.

A table of panels (`grafana_*.py`) says what is shown; this module says how. Everything is written
out and in a fixed order, so that the same table gives the same file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct

SCHEMA_VERSION: Final = 42
COLUMNS: Final = 24  # width of Grafana's grid
TAG: Final = "mysql-audit"
# A variable of each dashboard: the same file works with whatever the data source is called.
PROMETHEUS: Final = {"type": "prometheus", "uid": "${datasource}"}
OPENSEARCH: Final = {"type": "grafana-opensearch-datasource", "uid": "${datasource}"}
# Where runbooks are: a path in this repository. `setup dashboards --runbooks URL` replaces it.
RUNBOOKS: Final = "docs/runbooks"
# What every query is limited to. `.*` as the value of "All" also matches a series without the
# label: a shipper on a host has neither namespace nor pod.
SCOPE: Final = 'namespace=~"$namespace", pod=~"$pod"'

Json = dict[str, Any]
Steps = tuple[tuple[float | None, str], ...]

GOOD: Final[Steps] = ((None, "green"),)
NEUTRAL: Final[Steps] = ((None, "blue"),)


def bad_from(orange: float | None, red: float | None = None) -> Steps:
    """Give thresholds where less is better."""
    steps: list[tuple[float | None, str]] = [(None, "green")]
    steps += [(value, color) for value, color in ((orange, "orange"), (red, "red")) if value]
    return tuple(steps)


class Query(NamedTuple):
    """One PromQL query; `{$scope}` in it becomes the limits of the dashboard's variables."""

    expr: str
    legend: str = ""


class Panel(Struct, frozen=True):
    """One panel, as its table has it. Sizes are columns (of 24) and rows (of about 36 pixels)."""

    kind: str  # one of KINDS
    title: str
    description: str
    queries: Sequence[Query | Json]
    unit: str = "short"
    width: int = 8
    height: int = 8
    thresholds: Steps = NEUTRAL
    decimals: int | None = None
    colors: dict[str, str] = {}  # by the name of a series
    columns: dict[str, str] = {}  # of a table: label -> its heading, in this order
    values: Sequence[str] = ()  # of a table with several queries: heading of each one's number
    bars: bool = True  # a bar behind each number of a table
    interval: str = ""  # the least step of its queries
    options: Json = {}
    custom: Json = {}
    mappings: Sequence[Json] = ()
    runbook: str = ""  # name of the alert that this panel explains
    no_value: str = "0"
    source: Json | None = None  # PROMETHEUS


class Row(NamedTuple):
    """A heading, with panels below it."""

    title: str
    panels: Sequence[Panel]


class Board(NamedTuple):
    """One dashboard."""

    uid: str
    title: str
    description: str
    rows: Sequence[Row]
    variables: Sequence[Json]
    annotations: Sequence[Json] = ()
    since: str = "now-6h"
    refresh: str = "30s"


# --- kinds of panels ---------------------------------------------------------------------------

_LEGEND: Final = {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True}
_LINE: Final = {
    "axisBorderShow": False,
    "axisCenteredZero": False,
    "axisColorMode": "text",
    "axisLabel": "",
    "axisPlacement": "auto",
    "barAlignment": 0,
    "drawStyle": "line",
    "fillOpacity": 10,
    "gradientMode": "opacity",
    "hideFrom": {"legend": False, "tooltip": False, "viz": False},
    "insertNulls": False,
    "lineInterpolation": "linear",
    "lineWidth": 2,
    "pointSize": 5,
    "scaleDistribution": {"type": "linear"},
    "showPoints": "auto",
    "spanNulls": False,
    "stacking": {"group": "A", "mode": "none"},
    "thresholdsStyle": {"mode": "off"},
}
_BARS: Final = _LINE | {
    "axisSoftMax": 1,
    "drawStyle": "bars",
    "fillOpacity": 80,
    "gradientMode": "none",
    "lineWidth": 0,
    "showPoints": "never",
    "stacking": {"group": "A", "mode": "normal"},
}
_REDUCE: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}


class _Kind(NamedTuple):
    """What panels of one kind have in common."""

    type: str
    options: Json
    custom: Json
    instant: bool
    format: str = "time_series"
    interval: str = ""
    color: str = "palette-classic"


KINDS: Final = {
    "stat": _Kind(
        "stat",
        {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "percentChangeColorMode": "standard",
            "reduceOptions": _REDUCE,
            "showPercentChange": False,
            "textMode": "auto",
            "wideLayout": True,
        },
        {},
        instant=True,
        color="thresholds",
    ),
    "lines": _Kind(
        "timeseries",
        {"legend": _LEGEND, "tooltip": {"hideZeros": False, "mode": "multi", "sort": "desc"}},
        _LINE,
        instant=False,
    ),
    "bars": _Kind(
        "timeseries",
        {"legend": _LEGEND, "tooltip": {"hideZeros": True, "mode": "multi", "sort": "desc"}},
        _BARS,
        instant=False,
        # `$__rate_interval` is four scrapes at least. With shorter steps, bars would overlap and
        # show each event several times.
        interval="1m",
    ),
    "ranking": _Kind(
        "bargauge",
        {
            "displayMode": "gradient",
            "legend": _LEGEND | {"showLegend": False},
            "maxVizHeight": 300,
            "minVizHeight": 16,
            "minVizWidth": 8,
            "namePlacement": "auto",
            "orientation": "horizontal",
            "reduceOptions": _REDUCE,
            "showUnfilled": True,
            "sizing": "auto",
            "valueMode": "color",
        },
        {},
        instant=True,
        color="thresholds",
    ),
    "table": _Kind(
        "table",
        {
            "cellHeight": "sm",
            "showHeader": True,
            "sortBy": [{"desc": True, "displayName": "Count"}],
        },
        {
            "align": "auto",
            "cellOptions": {"type": "auto"},
            "filterable": False,
            "footer": {"reducers": []},
            "inspect": False,
        },
        instant=True,
        format="table",
        color="thresholds",
    ),
}
VALUE: Final = "Count"  # heading of a table's numbers; also what the OpenSearch plugin calls them


def build(board: Board) -> Json:
    """Give the dashboard's JSON."""
    return {
        "annotations": {"list": [_OWN_ANNOTATIONS, *board.annotations]},
        "description": board.description,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "id": None,
        "links": [_links()],
        "panels": list(_laid_out(board.rows)),
        "refresh": board.refresh,
        "schemaVersion": SCHEMA_VERSION,
        "tags": [TAG],
        "templating": {"list": [*board.variables, _runbooks()]},
        "time": {"from": board.since, "to": "now"},
        "timepicker": {},
        "timezone": "browser",
        "title": board.title,
        "uid": board.uid,
        "version": 1,
        "weekStart": "",
    }


def _laid_out(rows: Iterable[Row]) -> Iterator[Json]:
    """Place panels from left to right, and number them."""
    y = number = 0
    for row in rows:
        number += 1
        yield _heading(row.title, number, y)
        y += 1
        x = tallest = 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                y, x, tallest = y + tallest, 0, 0
            number += 1
            grid = {"h": panel.height, "w": panel.width, "x": x, "y": y}
            yield _panel(panel, number, grid)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _heading(title: str, number: int, y: int) -> Json:
    return {
        "collapsed": False,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        "id": number,
        "panels": [],
        "title": title,
        "type": "row",
    }


def _panel(panel: Panel, number: int, grid: Json) -> Json:
    kind = KINDS.get(panel.kind) or _Kind(panel.kind, {}, {}, instant=False)
    return {
        "datasource": panel.source or PROMETHEUS,
        "description": panel.description,
        "fieldConfig": _fields(panel, kind),
        "gridPos": grid,
        "id": number,
        "interval": panel.interval or kind.interval,
        "links": _runbook_link(panel.runbook),
        "options": kind.options | panel.options,
        "targets": [
            _target(query, kind, chr(ord("A") + index)) for index, query in enumerate(panel.queries)
        ],
        "title": panel.title,
        "transformations": _transformations(panel),
        "type": kind.type,
    }


def _target(query: Query | Json, kind: _Kind, letter: str) -> Json:
    if isinstance(query, dict):  # of OpenSearch, as grafana_investigate.py writes it
        return {"datasource": OPENSEARCH, "refId": letter} | query
    return {
        "datasource": PROMETHEUS,
        "editorMode": "code",
        "expr": query.expr.replace("$scope", SCOPE),
        "format": kind.format,
        "instant": kind.instant,
        "legendFormat": query.legend,
        "range": not kind.instant,
        "refId": letter,
    }


def _fields(panel: Panel, kind: _Kind) -> Json:
    steps = [{"color": color, "value": value} for value, color in panel.thresholds]
    custom = kind.custom | panel.custom
    if kind.type == "timeseries" and len(steps) > 1:
        custom |= {"thresholdsStyle": {"mode": "dashed"}}
    defaults: Json = {
        "color": {"mode": kind.color},
        "custom": custom,
        "mappings": list(panel.mappings),
        "noValue": panel.no_value,
        "thresholds": {"mode": "absolute", "steps": steps},
        # In full where somebody counts: "1 K" of 1,049 is no count.
        "unit": "locale" if panel.unit == "short" and kind.instant else panel.unit,
    }
    if not custom:
        del defaults["custom"]
    if panel.decimals is not None:
        defaults["decimals"] = panel.decimals
    if kind.type in ("timeseries", "bargauge"):
        defaults["min"] = 0
    overrides = [
        _override(name, "color", {"fixedColor": color, "mode": "fixed"})
        for name, color in panel.colors.items()
    ]
    # Labels are text, also where one is a number: an error code has no thousands.
    overrides += [_override(heading, "unit", "string") for heading in panel.columns.values()]
    if panel.columns and panel.bars and not panel.values:
        bar = {"mode": "gradient", "type": "gauge", "valueDisplayMode": "text"}
        # A bar that begins at the least of its column hides that one.
        overrides += [_override(VALUE, "custom.cellOptions", bar), _override(VALUE, "min", 0)]
    return {"defaults": defaults, "overrides": overrides}


def _override(name: str, what: str, value: Any) -> Json:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": what, "value": value}],
    }


def _transformations(panel: Panel) -> list[Json]:
    if not panel.columns:
        return []
    numbers = {"Value": VALUE}
    if panel.values:
        letters = (chr(ord("A") + index) for index in range(len(panel.values)))
        numbers = {
            f"Value #{letter}": name for letter, name in zip(letters, panel.values, strict=True)
        }
    names = {**panel.columns, **numbers}
    organize = {
        "excludeByName": {"Time": True},
        "includeByName": {},
        "indexByName": {name: index for index, name in enumerate(names)},
        "renameByName": names,
    }
    merge = [{"id": "merge", "options": {}}] if panel.values else []
    return [*merge, {"id": "organize", "options": organize}]


# --- links, variables, annotations -------------------------------------------------------------


def _runbook_link(alert: str) -> list[Json]:
    if not alert:
        return []
    url = f"${{runbooks}}/{alert}.md"
    link = {"icon": "doc", "targetBlank": True, "title": f"Runbook {alert}", "type": "link"}
    return [_LINK | link | {"url": url}]


_LINK: Final = {
    "asDropdown": False,
    "icon": "external link",
    "includeVars": False,
    "keepTime": False,
    "tags": [],
    "targetBlank": False,
    "title": "",
    "tooltip": "",
    "type": "link",
    "url": "",
}


def _links() -> Json:
    """Give links to the other dashboards of the audit log, which Grafana finds by their tag."""
    tooltip = "The other dashboards of the audit log"
    found = {"tags": [TAG], "tooltip": tooltip, "type": "dashboards"}
    return _LINK | found | {"includeVars": True, "keepTime": True}


def datasource(type_: str) -> Json:
    """Give the variable that chooses the data source."""
    return {
        "hide": 0,
        "includeAll": False,
        "label": "Data source",
        "multi": False,
        "name": "datasource",
        "options": [],
        "query": type_,
        "refresh": 1,
        "regex": "",
        "skipUrlSync": False,
        "type": "datasource",
    }


def label_values(name: str, label: str, metric: str) -> Json:
    """Give a variable with the values of a label, "All" to begin with."""
    query = f"label_values({metric}, {name})"
    return {
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": PROMETHEUS,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": {"qryType": 1, "query": query, "refId": "labels"},
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }


def _runbooks() -> Json:
    return {
        "hide": 2,
        "label": "Where the runbooks are",
        "name": "runbooks",
        "query": RUNBOOKS,
        "skipUrlSync": True,
        "type": "constant",
    }


def where() -> list[Json]:
    """Give the variables of every dashboard over metrics."""
    build_info = "audit_shipper_build_info"
    return [
        datasource("prometheus"),
        label_values("namespace", "Namespace", build_info),
        label_values("pod", "Pod", f'{build_info}{{namespace=~"$namespace"}}'),
    ]


def annotation(name: str, color: str, expr: str, title: str, text: str) -> Json:
    """Give marks on all graphs while `expr` has a value."""
    return {
        "datasource": PROMETHEUS,
        "enable": True,
        "expr": expr.replace("$scope", SCOPE),
        "hide": False,
        "iconColor": color,
        "name": name,
        "step": "30s",
        "tagKeys": "rule,pod",
        "textFormat": text,
        "titleFormat": title,
        "useValueForTime": False,
    }


_OWN_ANNOTATIONS: Final = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}


def grown(metric: str, labels: str, window: str) -> str:
    """Write how much a counter grew whose series are born with their first event.

    `increase` of a series that is born at 25 is 0. One that was not there before the window has its
    value as its increase.
    """
    series = f"{metric}{{{labels}}}"
    return f"(({series} unless {series} offset {window}) or increase({series}[{window}]))"
