"""When each alert fires and when it does not, as series in promtool's notation.

One sample every 15 seconds: `0x40` is 0 for ten minutes (and the sample before), `_x40` is a gap of
ten minutes, `1+2x40` rises by 2. Values keep away from the thresholds: Prometheus extrapolates, and
2.x and 3.x do not agree on the sample at a window's edge.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shipper.detection import AUDIT_SWITCHED_OFF, NEW_ERROR_CODE, RULES, SUCCESS_AFTER_BURST

P = 'namespace="n",pod="p"'
J = 'job="a",instance="i"'


@dataclass(frozen=True)
class Case:
    """One run: the alert fires at the first times and is silent at the second ones."""

    alert: str
    what: str
    series: dict[str, str]
    firing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    labels: str = ""  # that the firing alert must carry


def _bursts(alert: str, metric: str, label: str) -> list[Case]:
    up = {f"up{{{J}}}": "1x400"}
    one = f'{metric}{{{J},{P},{label}="x"}}'
    other = f'{metric}{{{J},{P},{label}="__other__"}}'
    gone = {f"up{{{J}}}": "1x40 0x40 1x40"}
    elsewhere = {one: "0x8 9x40", one.replace('"p"', '"q"').replace('"i"', '"k"'): "0x8 14x40"}
    return [
        Case(
            alert,
            "a series born at 25 fires, holds for 15 minutes, clears",
            {**up, one: "_x40 25x200"},
            ("11m", "14m", "28m"),
            ("9m", "32m"),
            f'severity="warning",namespace="n",{label}="x"',
        ),
        Case(alert, "from 0 to 25", {**up, one: "0x40 25x200"}, ("11m", "25m"), ("9m", "35m")),
        Case(alert, "a slow drip", {**up, one: "0+1x400"}, ("30m",)),
        Case(alert, "a slower drip", {**up, one: "0+0.5x400"}, silent=("10m", "30m", "60m")),
        Case(alert, "below the threshold", {**up, one: "0x40 17x200"}, silent=("11m", "14m")),
        Case(alert, "above the threshold", {**up, one: "0x40 22x200"}, ("11m",)),
        Case(alert, "born below it", {**up, one: "_x40 17x200"}, silent=("11m", "14m")),
        Case(alert, "a counter reset to 3", {**up, one: "500x40 3x200"}, silent=("11m", "14m")),
        Case(alert, "a counter reset to 25", {**up, one: "500x40 25x200"}, ("11m",), ("9m",)),
        Case(alert, "a reset in a steady flow", {**up, one: "0+2x40 0+2x40"}, ("9m", "15m")),
        Case(
            alert,
            "a series that was removed and returns",
            {**up, one: "2x40 stale _x120 25x40"},
            ("42m",),
            ("9m", "39m"),
        ),
        Case(alert, "a scrape gap", {**gone, one: "0x40 _x40 900x40"}, silent=("21m", "24m")),
        Case(
            alert,
            "Prometheus was not there",
            {f"up{{{J}}}": "1x40 _x40 1x40", one: "0x40 _x40 900x40"},
            silent=("21m", "24m"),
        ),
        Case(
            alert,
            "a shipper that starts with the counts of its former life",
            {f"up{{{J}}}": "_x40 1x40", one: "_x40 900x40"},
            silent=("11m", "14m"),
        ),
        Case(
            alert,
            "born a moment after the first scrape of all",
            {f"up{{{J}}}": "_x40 1x40", one: "_x42 25x40"},
            ("12m",),
        ),
        Case(alert, "no series of its own", {**up, other: "0x40 500x200"}, silent=("11m", "14m")),
        Case(alert, "two servers together", {**up, **elsewhere}, ("4m",), ("1m",)),
    ]


BY_SOURCE = _bursts(
    "MySQLAuditFailedLoginBurstBySource",
    "mysql_audit_connect_failures_by_source_total",
    "source_ip",
)
BY_SOURCE.append(
    Case(
        "MySQLAuditFailedLoginBurstBySource",
        "a proxy, behind which are many clients",
        {
            f"up{{{J}}}": "1x400",
            f'mysql_audit_connect_failures_by_source_total{{{J},{P},source_ip="__proxy__"}}': (
                "0x40 500x200"
            ),
        },
        silent=("11m", "14m"),
    )
)
BY_ACCOUNT = _bursts(
    "MySQLAuditFailedLoginBurstByAccount",
    "mysql_audit_connect_failures_by_account_total",
    "user",
)


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


def _counter(alert: str, series: str, hold: str, labels: str) -> list[Case]:
    """An alert on any increase, that holds for a while."""
    minutes = 10 + 15 + int(hold)
    return [
        Case(
            alert,
            "one is enough; it holds, and clears",
            {series: "0x40 1x800"},
            ("11m", "24m", f"{minutes - 2}m"),
            ("9m", f"{minutes + 2}m"),
            labels,
        ),
        Case(alert, "it stands still", {series: "7x800"}, silent=("11m", "60m")),
        Case(alert, "a reset to 0", {series: "7x40 0x400"}, silent=("11m", "60m")),
        Case(alert, "a scrape gap", {series: "7x40 _x40 7x40"}, silent=("21m", "30m")),
        Case(alert, "a gap with one behind it", {series: "7x40 _x20 8x40"}, ("16m",)),
        Case(
            alert,
            "one while Prometheus was away for an hour",
            {series: "0x8 _x240 1x100"},
            ("64m", "76m"),
            ("2m", "61m"),
        ),
        Case(
            alert,
            "none while Prometheus was away for an hour",
            {series: "7x8 _x240 7x100"},
            silent=("64m", "76m"),
        ),
    ]


# Since when the process runs: promtool's clock begins at 0. The shipper is told from the exporters
# beside it by what only it exports.
_BEGAN = f"process_start_time_seconds{{{J},{P}}}"
_BUILD = f'audit_shipper_build_info{{{J},{P},version="1"}}'
_LONG_AGO = "-90000"  # a day, and more


def _kept_counter(alert: str, series: str) -> Case:
    """A count that goes on in the next process says nothing about the process."""
    return Case(
        alert,
        "the counts of a former life",
        {
            series: "7x80 _x8 7x100",
            _BEGAN: f"{_LONG_AGO}x80 _x8 1300x100",
            _BUILD: "1x80 _x8 1x100",
        },
        silent=("19m", "23m", "30m"),
    )


def _process_counter(alert: str, series: str, hold: str) -> list[Case]:
    """A counter that begins at 0 with the process, as those of the pipeline do."""
    minutes = 10 + 15 + int(hold)

    def case(
        what: str,
        began: str,
        values: str,
        firing: tuple[str, ...] = (),
        silent: tuple[str, ...] = (),
    ) -> Case:
        return Case(alert, what, {_BUILD: "1x900", _BEGAN: began, series: values}, firing, silent)

    return [
        case(
            "a new process, first seen at 1; it holds, and clears",
            "_x40 610x800",
            "_x40 1x800",
            ("12m", "23m", f"{minutes - 2}m"),
            ("9m", f"{minutes + 2}m"),
        ),
        case("a new process, first seen at 0", "_x40 610x400", "_x40 0x400", silent=("12m", "30m")),
        case(
            "an old process that is seen for the first time",
            f"_x40 {_LONG_AGO}x400",
            "_x40 7x400",
            silent=("12m", "30m"),
        ),
        case(
            "one before a restart and one after",
            f"{_LONG_AGO}x80 1200x100",
            "1x180",
            ("22m", "33m"),
            ("18m",),
        ),
        case(
            "one before a restart and none after",
            f"{_LONG_AGO}x80 1200x100",
            "1x80 0x100",
            silent=("18m", "22m", "33m"),
        ),
        case(
            "one just before a restart",
            f"{_LONG_AGO}x80 1200x100",
            "0x76 1x4 0x100",
            ("21m", "30m"),
            ("18m",),
        ),
        case(
            "one after a restart, both while Prometheus was away",
            f"{_LONG_AGO}x8 _x240 1200x100",
            "1x8 _x240 1x100",
            ("64m", "76m"),
            ("2m",),
        ),
        case(
            "one while Prometheus was away, fewer than in a process before",
            f"{_LONG_AGO}x8 125x80 _x240 125x100",
            "7x8 0x80 _x240 1x100",
            ("84m", "96m"),
            ("2m", "22m"),
        ),
        Case(
            alert,
            "a new process, but of another program in the pod",
            {
                _BUILD: "1x200",
                _BEGAN: f"{_LONG_AGO}x200",
                _BEGAN.replace(J, 'job="mysqld",instance="m"'): "_x40 610x160",
                series: "7x200",
            },
            silent=("12m", "30m"),
        ),
    ]


_PAIR = 'namespace="n",pod="p"'
_GAPS = f'audit_shipper_source_gaps_total{{{J},{P},source="db",sink="index",reason="r"}}'
_DEAD = f'audit_shipper_sink_dead_lettered_records_total{{{J},{P},sink="index",reason="r"}}'
_DROPPED = f'audit_shipper_sink_dropped_records_total{{{J},{P},sink="index",reason="r"}}'

LOGINS = [
    Case(
        "MySQLAuditFailedLoginBurst",
        "100 of several codes fire, hold, clear",
        {_failures("1045"): "0x40 50x400", _failures("1698"): "0x40 50x400"},
        ("11m", "28m"),
        ("9m", "33m"),
        'severity="warning",namespace="n"',
    ),
    Case(
        "MySQLAuditFailedLoginBurst",
        "below the threshold",
        {_failures("1045"): "0x40 50x400"},
        silent=("11m", "14m"),
    ),
    Case(
        "MySQLAuditFailedLoginBurst",
        "a full server",
        {_failures("1040"): "0x40 9000x400", _failures("1203"): "0x40 9000x400"},
        silent=("11m", "14m"),
    ),
    Case(
        "MySQLAuditFailedLoginBurst",
        "a reset",
        {_failures("1045"): "9000x40 5x400"},
        silent=("11m", "14m"),
    ),
    Case(
        "MySQLAuditFailedLoginBurst",
        "a scrape gap",
        {_failures("1045"): "0x40 _x40 900x40"},
        silent=("21m", "24m"),
    ),
    Case(
        "MySQLAuditPasswordSpraying",
        "six accounts fire, hold, clear",
        {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "_x40 6x20 stale"},
        ("11m", "14m", "28m"),
        ("9m", "32m"),
        f'severity="critical",{_PAIR},source_ip="x"',
    ),
    Case(
        "MySQLAuditPasswordSpraying",
        "five are enough",
        {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "5x40"},
        ("5m",),
    ),
    Case(
        "MySQLAuditPasswordSpraying",
        "four are not",
        {f'mysql_audit_source_failed_accounts{{{J},{P},source_ip="x"}}': "4x40"},
        silent=("5m",),
    ),
    *_counter(
        "MySQLAuditLoginAfterFailureBurst",
        _found("success_after_burst"),
        "60",
        f'severity="critical",{_PAIR}',
    ),
    _kept_counter("MySQLAuditLoginAfterFailureBurst", _found("success_after_burst")),
    Case(
        "MySQLAuditLoginAfterFailureBurst",
        "another rule's finding",
        {_found("source_burst"): "0x40 9x40"},
        silent=("11m",),
    ),
    *_counter(
        "MySQLAuditDetection",
        _found("distributed_burst"),
        "0",
        f'severity="warning",{_PAIR},rule="distributed_burst"',
    ),
    *(
        Case(
            "MySQLAuditDetection",
            f"one {rule}, to whom it should be told",
            {_found(rule): "0x40 1x100"},
            ("11m", "24m"),
            ("9m", "27m"),
            f'severity="{_severity(rule)}",{_PAIR},rule="{rule}"',
        )
        for rule in _DETECTED
    ),
    _kept_counter("MySQLAuditDetection", _found("source_burst")),
    Case(
        "MySQLAuditDetection",
        "what has an alert of its own, or is told by day",
        {_found("success_after_burst"): "0x40 9x40", _found("new_error_code"): "0x40 9x40"},
        silent=("11m",),
    ),
    Case(
        "MySQLAuditNewErrorCode",
        "not seen before: fires, clears",
        {_failures("3118"): "0x240 1x400"},
        ("61m",),
        ("59m", "71m"),
        f'severity="info",{_PAIR},error_code="3118"',
    ),
    Case(
        "MySQLAuditNewErrorCode",
        "seen an hour ago",
        {_failures("1045"): "0x20 1x240 2x100"},
        silent=("66m",),
    ),
    Case(
        "MySQLAuditNewErrorCode",
        "a reset",
        {_failures("1045"): "5x240 0x100"},
        silent=("61m", "65m"),
    ),
]

_LOGGING = f"mysql_audit_logging_enabled{{{J},{P}}}"
_NEWEST = f"mysql_audit_last_record_timestamp_seconds{{{J},{P}}}"
_CONNECTIONS = f'mysql_global_status_connections{{job="mysqld",instance="m",{P}}}'

LOGGING = [
    Case(
        "MySQLAuditLoggingDisabled",
        "off for more than a minute",
        {_LOGGING: "1x40 0x40 1x40"},
        ("12m",),
        ("9m", "10m30s", "21m"),
        f'severity="critical",{_PAIR}',
    ),
    Case(
        "MySQLAuditLoggingDisabled",
        "a restart of the server",
        {_LOGGING: "1x40 0x2 1x40"},
        silent=("11m", "12m"),
    ),
    Case("MySQLAuditLoggingDisabled", "not scraped", {_LOGGING: "1x4 _x80"}, silent=("15m",)),
    Case(
        "MySQLAuditSilent",
        "no record for 15 minutes while clients connect",
        {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "0+1x400"},
        ("31m",),
        ("9m", "24m", "26m"),
        f'severity="critical",{_PAIR}',
    ),
    Case(
        "MySQLAuditSilent",
        "nobody connects",
        {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "90x400"},
        silent=("31m", "60m"),
    ),
    Case(
        "MySQLAuditSilent",
        "a record a minute",
        {_NEWEST: "0+15x400", _CONNECTIONS: "0+1x400"},
        silent=("31m", "60m"),
    ),
    Case(
        "MySQLAuditSilent",
        "the server was restarted",
        {_NEWEST: "0+15x40 600x400", _CONNECTIONS: "9x80 0x100"},
        silent=("31m",),
    ),
]

_CONNECTS = f'mysql_audit_connects_total{{{J},{P},event="connect"}}'
LOGGING += [
    Case(
        "MySQLAuditNoRecords",
        "nothing was ever read while clients connect, until something is",
        {_CONNECTS: "0x400", _CONNECTIONS: "0+1x400", _NEWEST: "_x160 2400+15x100"},
        ("20m", "39m"),
        ("9m", "42m", "50m"),
        f'severity="critical",{_PAIR}',
    ),
    Case(
        "MySQLAuditNoRecords",
        "nobody connects",
        {_CONNECTS: "0x400", _CONNECTIONS: "90x400"},
        silent=("20m", "60m"),
    ),
    Case(
        "MySQLAuditNoRecords",
        "a shipper that does not count records",
        {_BUILD: "1x400", _CONNECTIONS: "0+1x400"},
        silent=("20m", "60m"),
    ),
    Case(
        "MySQLAuditNoRecords",
        "records that are old",
        {_CONNECTS: "7x400", _CONNECTIONS: "0+1x400", _NEWEST: "600x400"},
        silent=("20m", "60m"),
    ),
    Case(
        "MySQLAuditNoRecords",
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
        "MySQLAuditNoRecords",
        "a scrape gap",
        {_CONNECTS: "7x40 _x80 7x40", _NEWEST: "0+15x40 _x80 1800+15x40", _CONNECTIONS: "0+1x200"},
        silent=("20m", "32m", "36m"),
    ),
]


def _sink(name: str) -> str:
    return f'audit_shipper_sink_{name}{{{J},{P},sink="index"}}'


def _source(name: str) -> str:
    return f'audit_shipper_{name}{{{J},{P},source="db",sink="index"}}'


_OTHER_BUILD = _BUILD.replace('"p"', '"q"').replace('"i"', '"k"')
_MIB = 1024 * 1024

DELIVERY = [
    Case("AuditShipperTargetMissing", "never seen", {"x": "0x100"}, ("20m",), ("3m",)),
    Case(
        "AuditShipperTargetMissing",
        "gone, and back",
        {_BUILD: "1x40 stale _x100 1x20"},
        ("26m",),
        ("9m", "22m", "37m"),
        'severity="critical"',
    ),
    Case("AuditShipperTargetMissing", "a short gap", {_BUILD: "1x40 _x20 1x40"}, silent=("15m",)),
    Case(
        "AuditShipperTargetGone",
        "one of two is gone for the night; it clears by itself",
        {_BUILD: "1x40 stale", _OTHER_BUILD: "1x3200"},
        ("27m", "11h"),
        ("9m", "18m", "13h"),
        f'severity="warning",{_PAIR}',
    ),
    Case(
        "AuditShipperTargetGone",
        "gone, and back",
        {_BUILD: "1x40 stale _x100 1x40", _OTHER_BUILD: "1x400"},
        ("27m",),
        ("9m", "37m", "40m"),
    ),
    Case(
        "AuditShipperTargetGone", "a short gap", {_BUILD: "1x40 _x20 1x40"}, silent=("15m", "25m")
    ),
    Case(
        "AuditShipperTargetGone",
        "back after a restart, with another version at another address",
        {
            _BUILD: "1x40 stale",
            _BUILD.replace('"i"', '"k"').replace('version="1"', 'version="2"'): "_x44 1x400",
        },
        silent=("9m", "27m", "60m"),
    ),
    Case(
        "AuditShipperTargetGone",
        "Prometheus was away",
        {_BUILD: "1x40 _x240 1x100", _OTHER_BUILD: "1x40 _x240 1x100"},
        silent=("71m", "77m"),
    ),
    Case(
        "AuditShipperDeliveryLagging",
        "ten minutes behind with records waiting",
        {_sink("acked_record_timestamp_seconds"): "0x400", _sink("pending_records"): "5x400"},
        ("17m",),
        ("4m", "14m"),
        f'severity="warning",{_PAIR},sink="index"',
    ),
    Case(
        "AuditShipperDeliveryLagging",
        "an idle server",
        {_sink("acked_record_timestamp_seconds"): "0x400", _sink("pending_records"): "0x400"},
        silent=("17m", "60m"),
    ),
    Case(
        "AuditShipperDeliveryLagging",
        "a sink that is done now and then",
        {
            _sink("acked_record_timestamp_seconds"): "0x400",
            _sink("pending_records"): "5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0 5x8 0",
        },
        silent=("17m", "20m"),
    ),
    Case(
        "AuditShipperDeliveryLagging",
        "in time",
        {_sink("acked_record_timestamp_seconds"): "0+15x400", _sink("pending_records"): "5x400"},
        silent=("30m",),
    ),
    Case(
        "AuditShipperBacklogGrowing",
        "more than 100 MiB and growing",
        {_source("source_pending_bytes"): f"0+{5 * _MIB}x200"},
        ("25m",),
        ("3m", "15m"),
        f'severity="warning",{_PAIR},source="db"',
    ),
    Case(
        "AuditShipperBacklogGrowing",
        "shrinking",
        {_source("source_pending_bytes"): f"{900 * _MIB}-{_MIB}x400"},
        silent=("25m", "60m"),
    ),
    Case(
        "AuditShipperBacklogGrowing",
        "growing below 100 MiB",
        {_source("source_pending_bytes"): "0+100000x400"},
        silent=("25m", "60m"),
    ),
    Case(
        "AuditShipperSinkDown",
        "down for ten minutes, then up",
        {_sink("up"): "1x40 0x60 1x40"},
        ("21m",),
        ("14m", "19m", "26m"),
        f'severity="critical",{_PAIR},sink="index"',
    ),
    Case(
        "AuditShipperSinkDown",
        "up now and then",
        {_sink("up"): "0x15 1 0x15 1 0x15 1 0x15 1 0x15 1 0x15 1"},
        silent=("12m", "20m"),
    ),
    Case("AuditShipperSinkDown", "not scraped", {_sink("up"): "1x40 _x80"}, silent=("25m",)),
    *_counter(
        "AuditShipperDeadLettering",
        _DEAD,
        "30",
        f'severity="warning",{_PAIR},sink="index",reason="r"',
    ),
    *_process_counter("AuditShipperDeadLettering", _DEAD, "30"),
    *_counter(
        "AuditShipperRecordsDropped",
        _DROPPED,
        "60",
        f'severity="critical",{_PAIR},sink="index",reason="r"',
    ),
    *_process_counter("AuditShipperRecordsDropped", _DROPPED, "60"),
]

_DECODED = f'audit_shipper_records_decoded_total{{{J},{P},source="db",record_class="query"}}'
_FAILED = f'audit_shipper_decode_failures_total{{{J},{P},source="db",reason="cut"}}'
_UNTRACKED = f'audit_shipper_untracked_label_values_total{{{J},{P},metric="m",reason="max_series"}}'

SOURCE = [
    *_counter(
        "AuditShipperSourceGap", _GAPS, "60", f'severity="critical",{_PAIR},source="db",reason="r"'
    ),
    *_process_counter("AuditShipperSourceGap", _GAPS, "60"),
    Case(
        "AuditShipperDecodeFailures",
        "one in a hundred, for long enough",
        {_DECODED: "0+100x400", _FAILED: "0+1x400"},
        ("20m",),
        ("14m",),
        f'severity="warning",{_PAIR},source="db"',
    ),
    Case(
        "AuditShipperDecodeFailures",
        "one in ten thousand",
        {_DECODED: "0+10000x400", _FAILED: "0+1x400"},
        silent=("20m", "60m"),
    ),
    Case(
        "AuditShipperDecodeFailures",
        "nothing at all",
        {_DECODED: "5x400", _FAILED: "0x400"},
        silent=("20m", "60m"),
    ),
    Case(
        "AuditShipperDecodeFailures",
        "a reset of both",
        {_DECODED: "90000+100x40 0+100x400", _FAILED: "50x40 0x400"},
        silent=("20m", "60m"),
    ),
    Case(
        "AuditShipperCheckpointStale",
        "reading without saving",
        {
            _source("checkpoint_timestamp_seconds"): "0x400",
            _source("source_read_bytes_total"): "0+100x400",
        },
        ("16m",),
        ("9m", "14m"),
        f'severity="warning",{_PAIR},source="db",sink="index"',
    ),
    Case(
        "AuditShipperCheckpointStale",
        "nothing to read",
        {
            _source("checkpoint_timestamp_seconds"): "0x400",
            _source("source_read_bytes_total"): "900x400",
        },
        silent=("16m", "60m"),
    ),
    Case(
        "AuditShipperLabelValuesCapped",
        "some found no room",
        {_UNTRACKED: "0x8 0+1x400"},
        ("20m",),
        ("14m",),
        f'severity="info",{_PAIR},metric="m"',
    ),
    Case("AuditShipperLabelValuesCapped", "none", {_UNTRACKED: "7x400"}, silent=("20m",)),
]

CASES = [*BY_SOURCE, *BY_ACCOUNT, *LOGINS, *LOGGING, *DELIVERY, *SOURCE]


@dataclass
class Group:
    """Cases as promtool reads them."""

    cases: list[Case] = field(default_factory=lambda: list(CASES))

    def document(self, rule_files: list[str]) -> dict[str, object]:
        return {
            "rule_files": rule_files,
            "evaluation_interval": "15s",
            "tests": [self._test(case) for case in self.cases],
        }

    def _test(self, case: Case) -> dict[str, object]:
        checks = [(time, 1) for time in case.firing] + [(time, 0) for time in case.silent]
        own = f",{case.labels}" if case.labels else ""
        expr = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"%s}}) or vector(0)'
        return {
            "name": f"{case.alert}: {case.what}",
            "interval": "15s",
            "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
            "promql_expr_test": [
                {
                    "expr": expr % (own if value else ""),
                    "eval_time": time,
                    "exp_samples": [{"labels": "{}", "value": value}],
                }
                for time, value in checks
            ],
        }
