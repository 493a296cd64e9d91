"""The dashboard "Investigation", over the records themselves: the plugin for OpenSearch.

Queries are Lucene. A variable that stands for everything is written `(* OR *:*)`: `*` alone leaves
out records without the field, and a record without a user may be the one that is looked for.
"""

from __future__ import annotations

from typing import Any, Final

from dashboards.generator.grafana import OPENSEARCH, Board, Json, Panel, Row, datasource

ALL: Final = "(* OR *:*)"
FILTER: Final = "user.name:$user AND source.ip:$address AND ($filter)"
RECORDS: Final = f"event.kind:event AND {FILTER}"
REFUSED: Final = f"event.category:authentication AND event.outcome:failure AND {FILTER}"
ALERTS: Final = f"event.kind:alert AND {FILTER}"
STATEMENTS: Final = f"mysql.audit.kind:query AND {FILTER}"
COUNT: Final = {"id": "1", "type": "count"}


def over_time(by: str, size: int = 10) -> list[Json]:
    """Give buckets of time, split by a field."""
    return [
        _terms("3", by, size),
        {
            "field": "@timestamp",
            "id": "2",
            "settings": {"interval": "auto", "min_doc_count": "0", "trimEdges": "0"},
            "type": "date_histogram",
        },
    ]


def _terms(number: str, field: str, size: int) -> Json:
    settings = {"min_doc_count": "1", "order": "desc", "orderBy": "_count", "size": str(size)}
    return {"field": field, "id": number, "settings": settings, "type": "terms"}


def target(
    query: str, buckets: list[Json], metric: Json | None = None, *, table: bool = False
) -> Json:
    """Give one query of the OpenSearch plugin."""
    made: dict[str, Any] = {
        "alias": "",
        "bucketAggs": buckets,
        "luceneQueryType": "Metric",
        "metrics": [metric or COUNT],
        "query": query,
        "queryType": "lucene",
        "timeField": "@timestamp",
    }
    if table:
        made["format"] = "table"
    return made


def documents(query: str, size: int = 500) -> Json:
    """Give the records themselves, newest first."""
    settings = {"order": "desc", "size": str(size), "useTimeRange": True}
    metric = {"id": "1", "settings": settings, "type": "raw_data"}
    made = target(query, [], metric, table=True)
    made["luceneQueryType"] = "RawData"
    return made


def _panel(kind: str, title: str, description: str, query: Json, **more: Any) -> Panel:
    return Panel(kind, title, description, [query], source=OPENSEARCH, **more)


def _counted(query: str, *fields: str, size: int = 20) -> Json:
    buckets = [_terms(str(2 + index), field, size) for index, field in enumerate(fields)]
    return target(query, buckets, table=True)


def _top(title: str, description: str, query: str, **columns: str) -> Panel:
    fields = {name.replace("__", "."): heading for name, heading in columns.items()}
    return _panel("table", title, description, _counted(query, *fields), columns=fields, decimals=0)


_TIMELINE: Final = (
    _panel(
        "bars",
        "Timeline",
        "Everything that the chosen user or address did, by what it was.",
        target(RECORDS, over_time("event.action")),
        width=16,
        decimals=0,
    ),
    _top(
        "Outcome",
        "What it was, and whether it worked.",
        RECORDS,
        event__action="Action",
        event__outcome="Outcome",
    ),
)
_LOGINS: Final = (
    _panel(
        "bars",
        "Refused logins by account",
        "Refused logins of the chosen user or address.",
        target(REFUSED, over_time("user.name")),
        width=12,
        decimals=0,
    ),
    _panel(
        "bars",
        "Refused logins by address",
        "Refused logins of the chosen user or address.",
        target(REFUSED, over_time("source.ip")),
        width=12,
        decimals=0,
    ),
    _top("Addresses", "Where the chosen user came from.", RECORDS, source__ip="Address"),
    _top("Accounts", "As whom the chosen address came.", RECORDS, user__name="Account"),
    _top(
        "Reasons of refusal",
        "The server's error of each refused login.",
        REFUSED,
        error__code="Error",
        error__type="Name",
    ),
)
_ALERTS: Final = (
    _panel(
        "table",
        "Findings of the detector",
        "Alerts about the chosen user or address. `samples` are the ids of records in this index: "
        'put `_id:"…"` into Filter to see them.',
        documents(ALERTS, 100),
        width=24,
    ),
)
_STATEMENTS_ROW: Final = (
    _panel(
        "bars",
        "Statements by class",
        "What kind of statements were run.",
        target(STATEMENTS, over_time("mysql.audit.command_class")),
        width=8,
        decimals=0,
    ),
    _top("Schemas", "Which schemas were used.", RECORDS, db__namespace="Schema"),
    _top(
        "Failed statements",
        "Statements that ended with an error, by error.",
        f"event.outcome:failure AND {STATEMENTS}",
        error__code="Error",
        error__type="Name",
    ),
)
_RECORDS: Final = (
    _panel(
        "table",
        "Refused logins: the records behind a burst",
        "Choose the time of the burst above, and its address or account.",
        documents(REFUSED),
        width=24,
        height=9,
    ),
    _panel(
        "table",
        "All records",
        "The newest 500 of the chosen user or address.",
        documents(RECORDS),
        width=24,
        height=12,
    ),
)


def _terms_variable(name: str, label: str, field: str) -> Json:
    query = f'{{"find": "terms", "field": "{field}", "size": 200}}'
    return {
        "allValue": ALL,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": OPENSEARCH,
        "hide": 0,
        "includeAll": True,
        "label": label,
        "multi": True,
        "name": name,
        "options": [],
        "query": query,
        "refresh": 2,
        "regex": "",
        "skipUrlSync": False,
        "sort": 1,
        "type": "query",
    }


_FILTER_VARIABLE: Final = {
    "current": {"selected": True, "text": "*:*", "value": "*:*"},
    "hide": 0,
    "label": "Filter",
    "name": "filter",
    "options": [{"selected": True, "text": "*:*", "value": "*:*"}],
    "query": "*:*",
    "skipUrlSync": False,
    "type": "textbox",
}

BOARD: Final = Board(
    "mysql-audit-investigation",
    "MySQL audit: investigation",
    "The records of one user or one address: timeline, logins, findings, statements, the records.",
    (
        Row("Timeline", _TIMELINE),
        Row("Logins", _LOGINS),
        Row("Findings", _ALERTS),
        Row("Statements", _STATEMENTS_ROW),
        Row("Records", _RECORDS),
    ),
    (
        datasource("grafana-opensearch-datasource"),
        _terms_variable("user", "User", "user.name"),
        _terms_variable("address", "Address", "source.ip"),
        _FILTER_VARIABLE,
    ),
    since="now-24h",
    refresh="",
)
