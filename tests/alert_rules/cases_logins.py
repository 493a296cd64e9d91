"""When each alert on what the audit log says fires, and when not. The notation: promtool.py."""

from __future__ import annotations

from typing import Final

from alert_rules.promtool import BIRTH, BOUNDARY, CLEARS, FIRES, GAP, HOLDS, OTHER, RESET, Case
from alert_rules.shapes import BUILD, UP, J, P, bursts, counter, kept_counter

from shipper.detection import AUDIT_SWITCHED_OFF, NEW_ERROR_CODE, RULES, SUCCESS_AFTER_BURST


def _failures(code: str, more: str = "") -> str:
    error = f'event="connect",error_code="{code}",error="E"'
    return f"mysql_audit_connect_failures_total{{{J},{P},{error}{more}}}"


def _found(rule: str) -> str:
    return f'mysql_audit_detections_total{{{J},{P},rule="{rule}"}}'


# All rules but the one that has an alert of its own and the one that is for information.
_DETECTED = sorted(set(RULES) - {SUCCESS_AFTER_BURST, NEW_ERROR_CODE})


def _severity(rule: str) -> str:
    """Nobody is woken for what a restart of the server looks like."""
    return "warning" if rule == AUDIT_SWITCHED_OFF else RULES[rule].severity


_LOGGING = f"mysql_audit_logging_enabled{{{J},{P}}}"
_NEWEST = f"mysql_audit_last_record_timestamp_seconds{{{J},{P}}}"
_CONNECTIONS = f'mysql_global_status_connections{{job="mysqld",instance="m",{P}}}'
_CONNECTS = f'mysql_audit_connects_total{{{J},{P},event="connect"}}'

CASES: Final[dict[str, list[Case]]] = {
    "MySQLAuditFailedLoginBurstBySource": [
        *bursts("mysql_audit_connect_failures_by_source_total", "source_ip"),
        Case(
            "a proxy, behind which are many clients",
            {
                UP: "1x400",
                f'mysql_audit_connect_failures_by_source_total{{{J},{P},source_ip="__proxy__"}}': (
                    "0x40 500x200"
                ),
            },
            silent=("11m", "14m"),
        ),
    ],
    "MySQLAuditFailedLoginBurstByAccount": bursts(
        "mysql_audit_connect_failures_by_account_total", "user"
    ),
    "MySQLAuditFailedLoginBurst": [
        Case(
            "100 of several codes fire, hold, clear",
            {_failures("1045"): "0x40 50x400", _failures("1698"): "0x40 50x400"},
            ("11m", "28m"),
            ("9m", "33m"),
            'severity="warning",namespace="n"',
            (FIRES, HOLDS, CLEARS),
        ),
        Case("above the threshold", {_failures("1045"): "0x40 66x400"}, ("11m",)),
        Case(
            "below the threshold",
            {_failures("1045"): "0x40 50x400"},
            silent=("11m", "14m"),
            shows=BOUNDARY,
        ),
        Case(
            "a full server",
            {_failures("1040"): "0x40 9000x400", _failures("1203"): "0x40 9000x400"},
            silent=("11m", "14m"),
        ),
        Case(
            "broken handshakes",
            {_failures("1156"): "0x40 9000x400", _failures("1159"): "0x40 9000x400"},
            silent=("11m", "14m"),
        ),
        Case("a reset", {_failures("1045"): "9000x40 5x400"}, silent=("11m", "14m"), shows=RESET),
        Case(
            "a scrape gap",
            {_failures("1045"): "0x40 _x40 900x40"},
            silent=("21m", "24m"),
            shows=GAP,
        ),
        Case(
            "a shipper that starts with the counts of its former life",
            {_failures("1045"): "_x40 900x40"},
            silent=("11m", "14m"),
            shows=BIRTH,
        ),
        Case(
            "errors that have no number of their own",
            {_failures("other"): "0x40 100x40"},
            ("11m",),
            ("9m",),
            shows=OTHER,
        ),
    ],
    "MySQLAuditPasswordSpraying": [
        Case(
            "six accounts fire, hold, clear",
            {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "_x40 6x20 stale"},
            ("11m", "14m", "28m"),
            ("9m", "32m"),
            f'severity="critical",{P},source_ip="x"',
            (FIRES, HOLDS, CLEARS, BIRTH),
        ),
        Case(
            "five are enough",
            {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "5x40"},
            ("5m",),
        ),
        Case(
            "four are not",
            {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "4x40"},
            silent=("5m",),
            shows=BOUNDARY,
        ),
        Case(
            "an address that is not shown, but it is one",
            {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="__other__"}}': "6x40"},
            ("5m",),
            shows=OTHER,
        ),
        Case(
            "a scrape gap does not end it, and is no beginning",
            {
                f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "6x8 _x40 6x8",
                f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="y"}}': "4x8 _x40 4x8",
            },
            ("1m", "6m", "11m", "13m"),
            shows=GAP,
        ),
    ],
    "MySQLAuditLoginAfterFailureBurst": [
        *counter(_found("success_after_burst"), 60, f'severity="critical",{P}'),
        kept_counter(_found("success_after_burst")),
        Case("another rule's finding", {_found("source_burst"): "0x40 9x40"}, silent=("11m",)),
    ],
    "MySQLAuditDetection": [
        *counter(
            _found("distributed_burst"), 0, f'severity="warning",{P},rule="distributed_burst"'
        ),
        *(
            Case(
                f"one {rule}, to whom it should be told",
                {_found(rule): "0x40 1x100"},
                ("11m", "24m"),
                ("9m", "27m"),
                f'severity="{_severity(rule)}",{P},rule="{rule}"',
            )
            for rule in _DETECTED
        ),
        kept_counter(_found("source_burst")),
        Case(
            "what has an alert of its own, or is told by day",
            {_found("success_after_burst"): "0x40 9x40", _found("new_error_code"): "0x40 9x40"},
            silent=("11m",),
        ),
    ],
    "MySQLAuditNewErrorCode": [
        Case(
            "not seen before: fires, clears",
            {_failures("3118"): "0x240 1x400"},
            ("61m",),
            ("59m", "71m"),
            f'severity="info",{P},error_code="3118"',
            (FIRES, CLEARS),
        ),
        Case(
            "seen an hour ago",
            {_failures("1045"): "0x20 1x240 2x100"},
            silent=("66m",),
            shows=BOUNDARY,
        ),
        Case(
            "a reset",
            {_failures("1045"): "5x240 0x100"},
            silent=("61m", "65m"),
            shows=RESET,
        ),
        Case(
            "a shipper that starts with the counts of its former life",
            {_failures("1045"): "_x40 900x100"},
            silent=("11m", "21m"),
            shows=BIRTH,
        ),
        Case(
            "one while Prometheus was away for an hour",
            {_failures("3118"): "0x8 _x240 1x100"},
            ("64m", "71m"),
            ("2m", "61m", "74m"),
            shows=GAP,
        ),
        Case(
            "none while Prometheus was away for an hour",
            {_failures("3118"): "7x8 _x240 7x100"},
            silent=("64m", "71m"),
            shows=GAP,
        ),
        Case(
            "one without a number of its own",
            {_failures("other"): "0x240 1x100"},
            ("61m",),
            shows=OTHER,
        ),
    ],
    "MySQLAuditLoggingDisabled": [
        Case(
            "off for more than a minute",
            {_LOGGING: "1x40 0x40 1x40"},
            ("12m",),
            ("9m", "10m30s", "21m"),
            f'severity="critical",{P}',
            (FIRES, CLEARS),
        ),
        Case(
            "a restart of the server",
            {_LOGGING: "1x40 0x2 1x40"},
            silent=("11m", "12m"),
            shows=BOUNDARY,
        ),
        Case("not scraped", {_LOGGING: "1x4 _x80"}, silent=("15m",), shows=GAP),
        Case(
            "off when the shipper begins",
            {_LOGGING: "_x40 0x40"},
            ("12m",),
            ("9m", "10m30s"),
            shows=BIRTH,
        ),
    ],
    "MySQLAuditSilent": [
        Case(
            "no record for 15 minutes while clients connect",
            {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "0+1x400"},
            ("31m",),
            ("9m", "24m", "26m"),
            f'severity="critical",{P}',
            (FIRES, BOUNDARY),
        ),
        Case(
            "until there is one",
            {_NEWEST: "0+15x40 600x100 2130+15x40", _CONNECTIONS: "0+1x400"},
            ("31m",),
            ("36m", "40m"),
            shows=CLEARS,
        ),
        Case(
            "an old log is all that a new shipper finds",
            {_NEWEST: "_x80 0x100", _CONNECTIONS: "0+1x400"},
            ("27m",),
            ("19m", "24m"),
            shows=BIRTH,
        ),
        Case(
            "a scrape gap",
            {_NEWEST: "0+15x40 _x80 1815+15x100", _CONNECTIONS: "0+1x400"},
            silent=("20m", "31m", "36m"),
            shows=GAP,
        ),
        Case(
            "nobody connects",
            {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "90x400"},
            silent=("31m", "60m"),
        ),
        Case(
            "a record a minute",
            {_NEWEST: "0+15x400", _CONNECTIONS: "0+1x400"},
            silent=("31m", "60m"),
        ),
        Case(
            "the server was restarted",
            {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "9x80 0x100"},
            silent=("31m",),
            shows=RESET,
        ),
    ],
    "MySQLAuditNoRecords": [
        Case(
            "nothing was ever read while clients connect, until something is",
            {_CONNECTS: "0x400", _CONNECTIONS: "0+1x400", _NEWEST: "_x160 2400+15x100"},
            ("20m", "39m"),
            ("9m", "42m", "50m"),
            f'severity="critical",{P}',
            (FIRES, CLEARS),
        ),
        Case(
            "hardly anybody connects",
            {_CONNECTS: "0x400", _CONNECTIONS: "90x20 92x20 94x400"},
            silent=("20m", "40m"),
            shows=BOUNDARY,
        ),
        Case(
            "the server was restarted, and nobody connects",
            {_CONNECTS: "0x400", _CONNECTIONS: "90x80 1x400"},
            silent=("31m", "40m"),
            shows=RESET,
        ),
        Case(
            "a shipper that comes later",
            {_CONNECTS: "_x80 0x400", _CONNECTIONS: "0+1x400"},
            ("32m",),
            ("19m", "28m"),
            shows=BIRTH,
        ),
        Case(
            "nobody connects", {_CONNECTS: "0x400", _CONNECTIONS: "90x400"}, silent=("20m", "60m")
        ),
        Case(
            "a shipper that does not count records",
            {BUILD: "1x400", _CONNECTIONS: "0+1x400"},
            silent=("20m", "60m"),
        ),
        Case(
            "records that are old",
            {_CONNECTS: "7x400", _CONNECTIONS: "0+1x400", _NEWEST: "600x400"},
            silent=("20m", "60m"),
        ),
        Case(
            "another server has none, and no clients",
            {
                _CONNECTS: "7x400",
                _CONNECTIONS: "0+1x400",
                _NEWEST: "0+15x400",
                _CONNECTS.replace('"p"', '"q"').replace('"i"', '"k"'): "0x400",
            },
            silent=("20m", "60m"),
        ),
        Case(
            "a scrape gap",
            {
                _CONNECTS: "7x40 _x80 7x40",
                _NEWEST: "0+15x40 _x80 1800+15x40",
                _CONNECTIONS: "0+1x200",
            },
            silent=("20m", "32m", "36m"),
            shows=GAP,
        ),
    ],
}
