"""The dashboard "Activity": statements by class, their errors, and what changes the database."""

from __future__ import annotations

from typing import Final

from dashboards.generator.grafana import Board, Panel, Query, Row, bad_from, where
from dashboards.generator.grafana_logins import DETECTIONS

_RIGHTS: Final = "grant|revoke|create_user|alter_user|drop_user|set_password"
_SCHEMA: Final = "create_.*|alter_table|drop_.*|truncate"

_OVERVIEW: Final = (
    Panel(
        "stat",
        "Statements",
        "Statements in the audit log, in the chosen time.",
        [Query("sum(increase(mysql_audit_queries_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
    ),
    Panel(
        "stat",
        "Failed",
        "Statements that ended with an error.",
        [Query("sum(increase(mysql_audit_query_failures_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(1),
    ),
    Panel(
        "stat",
        "Share failed",
        "Failed statements by statements.",
        [
            Query(
                "sum(increase(mysql_audit_query_failures_total{$scope}[$__range]))\n/\n"
                "(sum(increase(mysql_audit_queries_total{$scope}[$__range])) > 0)"
            )
        ],
        unit="percentunit",
        width=4,
        height=4,
        decimals=2,
        thresholds=bad_from(0.01, 0.1),
    ),
    Panel(
        "stat",
        "Rights changed",
        "GRANT, REVOKE and statements on accounts.",
        [
            Query(
                "sum(increase(mysql_audit_queries_total"
                f'{{$scope, command_class=~"{_RIGHTS}"}}[$__range]))'
            )
        ],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(1),
    ),
    Panel(
        "stat",
        "Schema changed",
        "CREATE, ALTER, DROP and TRUNCATE, accounts left out.",
        [
            Query(
                "sum(increase(mysql_audit_queries_total"
                f'{{$scope, command_class=~"{_SCHEMA}", command_class!~".*_user"}}[$__range]))'
            )
        ],
        width=4,
        height=4,
        decimals=0,
    ),
    Panel(
        "stat",
        "Last record",
        "Age of the newest record. A server that takes connections writes one every few seconds.",
        [Query("max(time() - mysql_audit_last_record_timestamp_seconds{$scope})")],
        unit="s",
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(300, 900),
        no_value="no record yet",
        runbook="MySQLAuditSilent",
    ),
)
_STATEMENTS: Final = (
    Panel(
        "lines",
        "Statements by class",
        "The ten busiest classes of statements, a second.",
        [
            Query(
                "topk(10, sum by (command_class) "
                "(rate(mysql_audit_queries_total{$scope}[$__rate_interval]))) > 0",
                "{{command_class}}",
            )
        ],
        unit="ops",
        width=16,
        height=9,
        custom={"stacking": {"group": "A", "mode": "normal"}, "fillOpacity": 30},
    ),
    Panel(
        "table",
        "Classes",
        "Statements by class, in the chosen time.",
        [
            Query(
                "topk(20, sum by (command_class) "
                "(increase(mysql_audit_queries_total{$scope}[$__range])) > 0)"
            )
        ],
        height=9,
        decimals=0,
        columns={"command_class": "Class"},
    ),
    Panel(
        "lines",
        "Statements by server",
        "Statements a second of each server.",
        [
            Query(
                "sum by (pod) (rate(mysql_audit_queries_total{$scope}[$__rate_interval]))",
                "{{pod}}",
            )
        ],
        unit="ops",
        width=12,
    ),
    Panel(
        "bars",
        "Rights and schema",
        "Statements that change accounts, rights or tables.",
        [
            Query(
                "sum by (command_class) (increase(mysql_audit_queries_total"
                f'{{$scope, command_class=~"{_RIGHTS}|{_SCHEMA}"}}[$__rate_interval])) > 0',
                "{{command_class}}",
            )
        ],
        width=12,
        decimals=0,
        no_value="none",
    ),
)
_ERRORS: Final = (
    Panel(
        "bars",
        "Failed statements by error",
        "Unknown tables and columns, syntax errors and refused rights in numbers are the traces of "
        "a scanner; lock errors are a matter of load.",
        [
            Query(
                "sum by (error_code, error) (increase("
                "mysql_audit_query_failures_by_error_total{$scope}[$__rate_interval])) > 0",
                "{{error_code}} {{error}}",
            )
        ],
        width=14,
        decimals=0,
    ),
    Panel(
        "table",
        "Errors",
        "Failed statements by error, in the chosen time.",
        [
            Query(
                "sum by (error_code, error) (increase("
                "mysql_audit_query_failures_by_error_total{$scope}[$__range])) > 0"
            )
        ],
        width=10,
        decimals=0,
        thresholds=bad_from(1),
        columns={"error_code": "Error", "error": "Name"},
        no_value="none",
    ),
)
_SESSIONS: Final = (
    Panel(
        "lines",
        "Sessions",
        "Logins that worked and session ends, a second. Where the second stays below the first, "
        "sessions pile up, or the server does not log their end.",
        [
            Query(
                'sum(rate(mysql_audit_connects_total{$scope, event="connect"}[$__rate_interval]))'
                "\n-\nsum(rate(mysql_audit_connect_failures_total"
                '{$scope, event="connect"}[$__rate_interval]))',
                "begun",
            ),
            Query("sum(rate(mysql_audit_disconnects_total{$scope}[$__rate_interval]))", "ended"),
        ],
        unit="ops",
        width=12,
        height=7,
        colors={"begun": "green", "ended": "purple"},
    ),
    Panel(
        "bars",
        "Auditing switched on and off",
        "Records by which a server says that auditing begins or ends, a restart included.",
        [
            Query(
                "sum by (state, pod) (increase("
                "mysql_audit_state_changes_total{$scope}[$__rate_interval])) > 0",
                "{{state}} {{pod}}",
            )
        ],
        width=12,
        height=7,
        decimals=0,
        no_value="none",
        runbook="MySQLAuditLoggingDisabled",
    ),
)

BOARD: Final = Board(
    "mysql-audit-activity",
    "MySQL audit: activity",
    "What the servers are asked to do, by class of statement. Users and objects have no series of "
    "their own: they are in the index, see the dashboard Investigation.",
    (
        Row("At a glance", _OVERVIEW),
        Row("Statements", _STATEMENTS),
        Row("Errors", _ERRORS),
        Row("Sessions", _SESSIONS),
    ),
    where(),
    (DETECTIONS,),
)
