"""When each alert fires and when it does not. The notation of series: promtool.py."""

from __future__ import annotations

from typing import Final

from alert_rules.promtool import Case
from alert_rules.shapes import BUILD, UP, J, P, bursts, counter, kept_counter, process_counter

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


_GAPS = f'audit_shipper_source_gaps_total{{{J},{P},source="db",sink="index",reason="r"}}'
_DEAD = f'audit_shipper_sink_dead_lettered_records_total{{{J},{P},sink="index",reason="r"}}'
_DROPPED = f'audit_shipper_sink_dropped_records_total{{{J},{P},sink="index",reason="r"}}'
_LOGGING = f"mysql_audit_logging_enabled{{{J},{P}}}"
_NEWEST = f"mysql_audit_last_record_timestamp_seconds{{{J},{P}}}"
_CONNECTIONS = f'mysql_global_status_connections{{job="mysqld",instance="m",{P}}}'
_CONNECTS = f'mysql_audit_connects_total{{{J},{P},event="connect"}}'


def _sink(name: str) -> str:
    return f'audit_shipper_sink_{name}{{{J},{P},sink="index"}}'


def _source(name: str) -> str:
    return f'audit_shipper_{name}{{{J},{P},source="db",sink="index"}}'


_OTHER_BUILD = BUILD.replace('"p"', '"q"').replace('"i"', '"k"')
_MIB = 1024 * 1024
_DECODED = f'audit_shipper_records_decoded_total{{{J},{P},source="db",record_class="query"}}'
_FAILED = f'audit_shipper_decode_failures_total{{{J},{P},source="db",reason="cut"}}'
_UNTRACKED = f'audit_shipper_untracked_label_values_total{{{J},{P},metric="m",reason="max_series"}}'

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
        ),
        Case("below the threshold", {_failures("1045"): "0x40 50x400"}, silent=("11m", "14m")),
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
        Case("a reset", {_failures("1045"): "9000x40 5x400"}, silent=("11m", "14m")),
        Case("a scrape gap", {_failures("1045"): "0x40 _x40 900x40"}, silent=("21m", "24m")),
    ],
    "MySQLAuditPasswordSpraying": [
        Case(
            "six accounts fire, hold, clear",
            {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "_x40 6x20 stale"},
            ("11m", "14m", "28m"),
            ("9m", "32m"),
            f'severity="critical",{P},source_ip="x"',
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
        ),
        Case("seen an hour ago", {_failures("1045"): "0x20 1x240 2x100"}, silent=("66m",)),
        Case("a reset", {_failures("1045"): "5x240 0x100"}, silent=("61m", "65m")),
    ],
    "MySQLAuditLoggingDisabled": [
        Case(
            "off for more than a minute",
            {_LOGGING: "1x40 0x40 1x40"},
            ("12m",),
            ("9m", "10m30s", "21m"),
            f'severity="critical",{P}',
        ),
        Case("a restart of the server", {_LOGGING: "1x40 0x2 1x40"}, silent=("11m", "12m")),
        Case("not scraped", {_LOGGING: "1x4 _x80"}, silent=("15m",)),
    ],
    "MySQLAuditSilent": [
        Case(
            "no record for 15 minutes while clients connect",
            {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "0+1x400"},
            ("31m",),
            ("9m", "24m", "26m"),
            f'severity="critical",{P}',
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
        ),
    ],
    "MySQLAuditNoRecords": [
        Case(
            "nothing was ever read while clients connect, until something is",
            {_CONNECTS: "0x400", _CONNECTIONS: "0+1x400", _NEWEST: "_x160 2400+15x100"},
            ("20m", "39m"),
            ("9m", "42m", "50m"),
            f'severity="critical",{P}',
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
        ),
    ],
    "AuditShipperTargetMissing": [
        Case("never seen", {"x": "0x100"}, ("20m",), ("3m",)),
        Case(
            "gone, and back",
            {BUILD: "1x40 stale _x100 1x20"},
            ("26m",),
            ("9m", "22m", "37m"),
            'severity="critical"',
        ),
        Case("a short gap", {BUILD: "1x40 _x20 1x40"}, silent=("15m",)),
    ],
    "AuditShipperTargetGone": [
        Case(
            "one of two is gone for the night; it clears by itself",
            {BUILD: "1x40 stale", _OTHER_BUILD: "1x3200"},
            ("27m", "11h"),
            ("9m", "18m", "13h"),
            f'severity="warning",{P}',
        ),
        Case(
            "gone, and back",
            {BUILD: "1x40 stale _x100 1x40", _OTHER_BUILD: "1x400"},
            ("27m",),
            ("9m", "37m", "40m"),
        ),
        Case("a short gap", {BUILD: "1x40 _x20 1x40"}, silent=("15m", "25m")),
        Case(
            "back after a restart, with another version at another address",
            {
                BUILD: "1x40 stale",
                BUILD.replace('"i"', '"k"').replace('version="1"', 'version="2"'): "_x44 1x400",
            },
            silent=("9m", "27m", "60m"),
        ),
        Case(
            "Prometheus was away",
            {BUILD: "1x40 _x240 1x100", _OTHER_BUILD: "1x40 _x240 1x100"},
            silent=("71m", "77m"),
        ),
    ],
    "AuditShipperDeliveryLagging": [
        Case(
            "ten minutes behind with records waiting",
            {_sink("acked_record_timestamp_seconds"): "0x400", _sink("pending_records"): "5x400"},
            ("17m",),
            ("4m", "14m"),
            f'severity="warning",{P},sink="index"',
        ),
        Case(
            "an idle server",
            {_sink("acked_record_timestamp_seconds"): "0x400", _sink("pending_records"): "0x400"},
            silent=("17m", "60m"),
        ),
        Case(
            "a sink that is done now and then",
            {
                _sink("acked_record_timestamp_seconds"): "0x400",
                _sink("pending_records"): "5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0",
            },
            silent=("17m", "20m"),
        ),
        Case(
            "in time",
            {
                _sink("acked_record_timestamp_seconds"): "0+15x400",
                _sink("pending_records"): "5x400",
            },
            silent=("30m",),
        ),
    ],
    "AuditShipperBacklogGrowing": [
        Case(
            "more than 100 MiB and growing",
            {_source("source_pending_bytes"): f"0+{5 * _MIB}x200"},
            ("25m",),
            ("3m", "15m"),
            f'severity="warning",{P},source="db"',
        ),
        Case(
            "shrinking",
            {_source("source_pending_bytes"): f"{900 * _MIB}-{_MIB}x400"},
            silent=("25m", "60m"),
        ),
        Case(
            "growing below 100 MiB",
            {_source("source_pending_bytes"): "0+100000x400"},
            silent=("25m", "60m"),
        ),
    ],
    "AuditShipperSinkDown": [
        Case(
            "down for ten minutes, then up",
            {_sink("up"): "1x40 0x60 1x40"},
            ("21m",),
            ("14m", "19m", "26m"),
            f'severity="critical",{P},sink="index"',
        ),
        Case(
            "up now and then",
            {_sink("up"): "0x15 1 0x15 1 0x15 1 0x15 1 0x15 1 0x15 1"},
            silent=("12m", "20m"),
        ),
        Case("not scraped", {_sink("up"): "1x40 _x80"}, silent=("25m",)),
    ],
    "AuditShipperDeadLettering": [
        *counter(_DEAD, 30, f'severity="warning",{P},sink="index",reason="r"'),
        *process_counter(_DEAD, 30),
    ],
    "AuditShipperRecordsDropped": [
        *counter(_DROPPED, 60, f'severity="critical",{P},sink="index",reason="r"'),
        *process_counter(_DROPPED, 60),
    ],
    "AuditShipperSourceGap": [
        *counter(_GAPS, 60, f'severity="critical",{P},source="db",reason="r"'),
        *process_counter(_GAPS, 60),
    ],
    "AuditShipperDecodeFailures": [
        Case(
            "one in a hundred, for long enough",
            {_DECODED: "0+100x400", _FAILED: "0+1x400"},
            ("20m",),
            ("14m",),
            f'severity="warning",{P},source="db"',
        ),
        Case(
            "one in ten thousand",
            {_DECODED: "0+10000x400", _FAILED: "0+1x400"},
            silent=("20m", "60m"),
        ),
        Case("nothing at all", {_DECODED: "5x400", _FAILED: "0x400"}, silent=("20m", "60m")),
        Case(
            "a reset of both",
            {_DECODED: "90000+100x40 0+100x400", _FAILED: "50x40 0x400"},
            silent=("20m", "60m"),
        ),
    ],
    "AuditShipperCheckpointStale": [
        Case(
            "reading without saving",
            {
                _source("checkpoint_timestamp_seconds"): "0x400",
                _source("source_read_bytes_total"): "0+100x400",
            },
            ("16m",),
            ("9m", "14m"),
            f'severity="warning",{P},source="db",sink="index"',
        ),
        Case(
            "nothing to read",
            {
                _source("checkpoint_timestamp_seconds"): "0x400",
                _source("source_read_bytes_total"): "900x400",
            },
            silent=("16m", "60m"),
        ),
    ],
    "AuditShipperLabelValuesCapped": [
        Case(
            "some found no room",
            {_UNTRACKED: "0x8 0+1x400"},
            ("20m",),
            ("14m",),
            f'severity="info",{P},metric="m"',
        ),
        Case("none", {_UNTRACKED: "7x400"}, silent=("20m",)),
    ],
}
