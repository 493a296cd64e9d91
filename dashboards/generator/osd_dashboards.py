"""The dashboards of OpenSearch Dashboards: failed logins, activity, one user, the pipeline."""

from __future__ import annotations

from typing import Any, Final

from dashboards.generator.osd import (
    PATTERN,
    TIME_FIELD,
    Dashboard,
    Json,
    Metric,
    Placed,
    Search,
    Split,
    Vis,
    control_reference,
    packed,
    plain,
)

RECORDS: Final = "event.kind:event"
REFUSED: Final = "event.category:authentication AND event.outcome:failure"
LOGINS: Final = "event.category:authentication"
STATEMENTS: Final = "mysql.audit.kind:query"
ALERTS: Final = "event.kind:alert"

_NUMBER: Final = Metric(label="Records")
_OVER_TIME: Final = Split("date_histogram", label="Time")


def _count(title: str, description: str, query: str, *metrics: Metric) -> Placed:
    made = Vis("metric", title, description, query, metrics or (Metric(label=title),))
    return Placed(made, 12, 7)


def _by_time(title: str, description: str, query: str, field: str, label: str) -> Placed:
    splits = (_OVER_TIME, Split("terms", field, label, 10, "group"))
    return Placed(Vis("histogram", title, description, query, (_NUMBER,), splits))


def _table(title: str, description: str, query: str, *fields: tuple[str, str]) -> Placed:
    splits = [Split("terms", field, label, 20, "bucket") for field, label in fields]
    return Placed(Vis("table", title, description, query, (_NUMBER,), splits), 16, 15)


def _pie(title: str, description: str, query: str, field: str) -> Placed:
    made = Vis("pie", title, description, query, (_NUMBER,), (Split("terms", field),))
    return Placed(made, 16, 15)


# --- searches ----------------------------------------------------------------------------------

REFUSED_LOGINS: Final = Search(
    "MySQL audit: refused logins",
    "Each login that a server refused, newest first.",
    REFUSED,
    ("user.name", "source.ip", "source.domain", "error.code", "error.type", "service.name"),
)
FINDINGS: Final = Search(
    "MySQL audit: findings",
    "What the shipper's detector found. `mysql.audit.alert.samples` are ids of records.",
    ALERTS,
    (
        *("event.severity", "rule.name", "message", "user.name", "source.ip"),
        *("mysql.audit.alert.count", "service.name"),
    ),
)
ALL_RECORDS: Final = Search(
    "MySQL audit: records",
    "All records, newest first.",
    RECORDS,
    ("event.action", "event.outcome", "user.name", "source.ip", "db.namespace", "db.query.text"),
)

# --- those that bring their own query ----------------------------------------------------------


def _controls() -> Json:
    """Give the lists that choose a user and an address."""
    fields = (("user.name", "User"), ("source.ip", "Address"), ("service.name", "Server"))
    controls = [
        {
            "fieldName": field,
            "id": f"{index + 1}",
            "indexPatternRefName": f"control_{index}_index_pattern",
            "label": label,
            "options": {
                "dynamicOptions": True,
                "multiselect": True,
                "order": "desc",
                "size": 5,
                "type": "terms",
            },
            "parent": "",
            "type": "list",
        }
        for index, (field, label) in enumerate(fields)
    ]
    params = {
        "controls": controls,
        "pinFilters": False,
        "updateFiltersOnChange": True,
        "useTimeFilter": True,
    }
    return plain(
        "MySQL audit: whom and from where",
        "Lists of users, addresses and servers.",
        {"aggs": [], "params": params, "type": "input_control_vis"},
        [control_reference(index) for index in range(len(fields))],
    )


def _tsvb() -> Json:
    """Give refused logins against all logins, over time."""
    series = [
        {
            "axis_position": "right",
            "chart_type": "line",
            "color": color,
            "fill": 0.2,
            "filter": {"language": "lucene", "query": query},
            "formatter": "number",
            "id": f"series-{index}",
            "label": label,
            "line_width": 2,
            "metrics": [{"id": f"metric-{index}", "type": "count"}],
            "point_size": 1,
            "separate_axis": 0,
            "split_mode": "filter",
            "stacked": "none",
        }
        for index, (label, color, query) in enumerate(
            (("Logins", "#54B399", LOGINS), ("Refused", "#E7664C", REFUSED)), 1
        )
    ]
    params = {
        "axis_formatter": "number",
        "axis_min": 0,
        "axis_position": "left",
        "axis_scale": "normal",
        "id": "logins",
        # Not a reference: the title itself stands here.
        "index_pattern": PATTERN,
        "interval": "",
        "isModelInvalid": False,
        "series": series,
        "show_grid": 1,
        "show_legend": 1,
        "time_field": TIME_FIELD,
        "type": "timeseries",
    }
    return plain(
        "MySQL audit: logins and refusals",
        "Refused logins against all logins.",
        {"aggs": [], "params": params, "type": "metrics"},
    )


VEGA_BODY: Final[Json] = {
    "aggs": {
        "addresses": {
            "aggs": {"accounts": {"cardinality": {"field": "user.name"}}},
            "terms": {"field": "source.ip", "order": {"accounts": "desc"}, "size": 30},
        }
    },
    "query": {
        "bool": {
            # Words that the plugin replaces by the dashboard's own filters and time.
            "filter": ["%dashboard_context-filter_clause%"],
            "must": [
                "%dashboard_context-must_clause%",
                {"query_string": {"query": REFUSED}},
                {"range": {TIME_FIELD: {"%timefilter%": True}}},
            ],
            "must_not": ["%dashboard_context-must_not_clause%"],
        }
    },
    "size": 0,
}


def _vega() -> Json:
    """Give the map of guessing: how many accounts an address tried, and how often."""
    data = {
        "format": {"property": "aggregations.addresses.buckets"},
        "url": {"body": VEGA_BODY, "index": PATTERN},
    }
    spec: dict[str, Any] = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": data,
        "encoding": {
            "color": {
                "condition": {"test": "datum.accounts.value >= 5", "value": "#E7664C"},
                "value": "#6092C0",
            },
            "size": {"value": 120},
            "tooltip": [
                {"field": "key", "title": "Address", "type": "nominal"},
                {"field": "doc_count", "title": "Refused logins", "type": "quantitative"},
                {"field": "accounts.value", "title": "Accounts", "type": "quantitative"},
            ],
            "x": {
                "axis": {"title": "Refused logins"},
                "field": "doc_count",
                "scale": {"type": "symlog"},
                "type": "quantitative",
            },
            "y": {
                "axis": {"tickMinStep": 1, "title": "Accounts tried"},
                "field": "accounts.value",
                "type": "quantitative",
            },
        },
        "mark": {"filled": True, "opacity": 0.8, "type": "point"},
        "padding": 5,
    }
    return plain(
        "MySQL audit: guessing by address",
        "Each address by its refused logins and the accounts that it tried; red: five or more.",
        {"aggs": [], "params": {"spec": packed(spec)}, "type": "vega"},
    )


# --- dashboards --------------------------------------------------------------------------------

FAILED_LOGINS: Final = Dashboard(
    "MySQL audit: failed logins",
    "Who was refused, from where, why; bursts, spraying, findings.",
    (
        _count("Refused logins", "Logins that a server refused.", REFUSED),
        _count(
            "Accounts refused",
            "Different accounts that were refused.",
            REFUSED,
            Metric("cardinality", "user.name", "Accounts refused"),
        ),
        _count(
            "Addresses refused",
            "Different addresses that were refused.",
            REFUSED,
            Metric("cardinality", "source.ip", "Addresses refused"),
        ),
        _count("Findings", "Findings of the shipper's detector.", ALERTS),
        Placed(_tsvb()),
        _by_time(
            "Refused logins by error", "Why they were refused.", REFUSED, "error.type", "Error"
        ),
        _table(
            "Refused by account",
            "Accounts with most refused logins.",
            REFUSED,
            ("user.name", "Account"),
        ),
        _table(
            "Refused by address",
            "Addresses with most refused logins.",
            REFUSED,
            ("source.ip", "Address"),
        ),
        _table(
            "Refused by host name",
            "Host names with most refused logins, of servers that write them.",
            REFUSED,
            ("source.domain", "Host"),
        ),
        Placed(_vega(), 24, 15),
        Placed(
            Vis(
                "table",
                "Spraying",
                "Addresses by the number of different accounts that they were refused as.",
                REFUSED,
                (Metric("cardinality", "user.name", "Accounts"), Metric(label="Refused logins")),
                (Split("terms", "source.ip", "Address", 20, "bucket"),),
            ),
            24,
            15,
        ),
        Placed(FINDINGS, 48, 12),
        Placed(REFUSED_LOGINS, 48, 18),
    ),
)
ACTIVITY: Final = Dashboard(
    "MySQL audit: activity",
    "What the servers are asked to do, by whom, on what.",
    (
        _count("Records", "All records.", RECORDS),
        _count("Statements", "Statements.", STATEMENTS),
        _count(
            "Failed statements",
            "Statements that ended with an error.",
            f"{STATEMENTS} AND event.outcome:failure",
        ),
        _count("Users", "Different users.", RECORDS, Metric("cardinality", "user.name", "Users")),
        _by_time("Records by action", "What was done.", RECORDS, "event.action", "Action"),
        _by_time(
            "Statements by class",
            "What kind of statements.",
            STATEMENTS,
            "mysql.audit.command_class",
            "Class",
        ),
        _table("Busiest users", "Users with most records.", RECORDS, ("user.name", "User")),
        _table(
            "Busiest schemas", "Schemas with most records.", RECORDS, ("db.namespace", "Schema")
        ),
        _table(
            "Tables",
            "Tables with most records, of servers that write them.",
            RECORDS,
            ("mysql.audit.table", "Table"),
        ),
        _table(
            "Errors of statements",
            "Failed statements by error.",
            f"{STATEMENTS} AND event.outcome:failure",
            ("error.code", "Error"),
            ("error.type", "Name"),
        ),
        _pie("Outcome", "What worked and what did not.", RECORDS, "event.outcome"),
        _table(
            "Changes",
            "Records of statements and tables that change something, by user and class.",
            f"{RECORDS} AND event.type:change",
            ("user.name", "User"),
            ("mysql.audit.command_class", "Class"),
        ),
        Placed(ALL_RECORDS, 48, 18),
    ),
)
ONE_USER: Final = Dashboard(
    "MySQL audit: investigate a user",
    "Choose a user or an address; everything below is about them.",
    (
        Placed(_controls(), 48, 6),
        _by_time("What they did", "Records by action.", RECORDS, "event.action", "Action"),
        _by_time("Whether it worked", "Records by outcome.", RECORDS, "event.outcome", "Outcome"),
        _table("Where they came from", "Addresses.", RECORDS, ("source.ip", "Address")),
        _table(
            "As whom",
            "Users, and the accounts that the server gave them.",
            RECORDS,
            ("user.name", "User"),
            ("user.effective.name", "Account"),
        ),
        _pie(
            "Classes of statements", "Statements by class.", STATEMENTS, "mysql.audit.command_class"
        ),
        _table("Schemas they used", "Schemas.", RECORDS, ("db.namespace", "Schema")),
        _table("Tables they used", "Tables.", RECORDS, ("mysql.audit.table", "Table")),
        _table(
            "Sessions",
            "Sessions with most records.",
            RECORDS,
            ("mysql.audit.connection_id", "Session"),
            ("user.name", "User"),
        ),
        Placed(FINDINGS, 48, 12),
        Placed(ALL_RECORDS, 48, 20),
    ),
)
PIPELINE: Final = Dashboard(
    "MySQL audit: pipeline",
    "What arrives, from which server and file, in which format, and how long it took.",
    (
        _count("Records", "All records.", RECORDS),
        _count(
            "Servers",
            "Servers that send.",
            RECORDS,
            Metric("cardinality", "service.name", "Servers"),
        ),
        _count(
            "Segments of logs",
            "Generations of log files that records came from.",
            RECORDS,
            Metric("cardinality", "log.segment", "Segments of logs"),
        ),
        _count(
            "Newest record",
            "Event time of the newest record.",
            RECORDS,
            Metric("max", TIME_FIELD, "Newest record"),
        ),
        Placed(
            Vis(
                "line",
                "From the event to the index",
                "Seconds from a record's event to its arrival, percentiles.",
                RECORDS,
                (Metric("percentiles", "delivery_seconds", "Seconds"),),
                (_OVER_TIME,),
            )
        ),
        Placed(
            Vis(
                "histogram",
                "Arrivals",
                "Records by the time at which they arrived.",
                RECORDS,
                (_NUMBER,),
                (Split("date_histogram", "event.ingested", "Arrival"),),
            )
        ),
        _table("Records by server", "Servers.", RECORDS, ("service.name", "Server")),
        _table("Records by format", "Formats.", RECORDS, ("mysql.audit.format", "Format")),
        _table("Records by file", "Log files.", RECORDS, ("log.file.path", "File")),
        _table("Records by kind", "What records are about.", RECORDS, ("mysql.audit.kind", "Kind")),
        _table(
            "Servers' own names of events",
            "As the servers write them.",
            RECORDS,
            ("mysql.audit.name", "Event"),
        ),
    ),
)
DASHBOARDS: Final = {
    "failed-logins": FAILED_LOGINS,
    "activity": ACTIVITY,
    "investigate-a-user": ONE_USER,
    "pipeline": PIPELINE,
}
