"""The dashboard "Pipeline health": whether the log is shipped whole and in time."""

from __future__ import annotations

from typing import Final

from dashboards.generator.grafana import Board, Panel, Query, Row, annotation, bad_from, where

_JOB: Final = "{$scope} and on (job, instance) audit_shipper_build_info{$scope}"
# taken = filtered + acknowledged + duplicates + dead letters + dropped + returned + pending
IDENTITY: Final = (
    "sum by (namespace, pod, sink) (audit_shipper_sink_taken_records_total{$scope})\n"
    + "".join(
        f"- (sum by (namespace, pod, sink) ({name}{{$scope}}))\n"
        for name in (
            "audit_shipper_records_filtered_total",
            "audit_shipper_sink_records_total",
            "audit_shipper_sink_duplicate_records_total",
            "audit_shipper_sink_dead_lettered_records_total",
            "audit_shipper_sink_dropped_records_total",
            "audit_shipper_sink_returned_records_total",
            "audit_shipper_sink_pending_records",
        )
    )
).rstrip()

_OVERVIEW: Final = (
    Panel(
        "stat",
        "Targets down",
        "Sinks whose last attempt to deliver failed.",
        [Query("count(audit_shipper_sink_up{$scope} == 0) or vector(0)")],
        width=4,
        height=4,
        thresholds=bad_from(None, 1),
        options={"colorMode": "background"},
        runbook="AuditShipperSinkDown",
    ),
    Panel(
        "stat",
        "Backlog",
        "Bytes of the log that the slowest sink has not shipped, rotated files included.",
        [Query("max(sum by (namespace, pod, sink) (audit_shipper_source_pending_bytes{$scope}))")],
        unit="bytes",
        width=4,
        height=4,
        thresholds=bad_from(10_485_760, 104_857_600),
        runbook="AuditShipperBacklogGrowing",
    ),
    Panel(
        "stat",
        "Dead letters",
        "Records in the chosen time that a target refuses for good. They are kept in a file.",
        [Query("sum(increase(audit_shipper_sink_dead_lettered_records_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(1),
        runbook="AuditShipperDeadLettering",
    ),
    Panel(
        "stat",
        "Gaps",
        "Stretches of the log, in the chosen time, that a sink will never get.",
        [Query("sum(increase(audit_shipper_source_gaps_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(None, 1),
        options={"colorMode": "background"},
        runbook="AuditShipperSourceGap",
    ),
    Panel(
        "stat",
        "Dropped",
        "Records given up in the chosen time because the configuration says so.",
        [Query("sum(increase(audit_shipper_sink_dropped_records_total{$scope}[$__range]))")],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(None, 1),
        runbook="AuditShipperRecordsDropped",
    ),
    Panel(
        "stat",
        "Unaccounted",
        "Records taken from the log that are neither filtered, acknowledged, a duplicate, in the "
        "dead letters, dropped, returned nor pending, the worst sink. Anything but 0 is a bug.",
        [Query(f"max(abs(\n{IDENTITY}\n))")],
        width=4,
        height=4,
        decimals=0,
        thresholds=bad_from(None, 1),
        options={"colorMode": "background"},
    ),
)
_LAG: Final = (
    Panel(
        "lines",
        "Lag in seconds",
        "Age of the newest record that a sink acknowledged, while records wait for it. A quiet "
        "log is no lag: then the line is at 0. A sink that never acknowledged anything has no "
        "line: see its bytes.",
        [
            Query(
                "max by (pod, sink) ((time() - audit_shipper_sink_acked_record_timestamp_seconds"
                "{$scope})\n* (audit_shipper_sink_pending_records{$scope} > bool 0))",
                "{{pod}} {{sink}}",
            )
        ],
        unit="s",
        width=12,
        thresholds=bad_from(60, 300),
        runbook="AuditShipperDeliveryLagging",
    ),
    Panel(
        "lines",
        "Lag in bytes",
        "Bytes of the log on disk that are not shipped to a sink.",
        [
            Query(
                "sum by (pod, source, sink) (audit_shipper_source_pending_bytes{$scope})",
                "{{pod}} {{source}} to {{sink}}",
            )
        ],
        unit="bytes",
        width=12,
        runbook="AuditShipperBacklogGrowing",
    ),
    Panel(
        "lines",
        "From the event to the acknowledgement, 95 %",
        "Time that 95 of 100 batches stayed below, from the event of their newest record to the "
        "sink's acknowledgement. The goal is 2 seconds.",
        [
            Query(
                "histogram_quantile(0.95, sum by (le, sink) (rate("
                "audit_shipper_sink_delivery_latency_seconds_bucket{$scope}[$__rate_interval]"
                "))) >= 0",
                "{{sink}}",
            )
        ],
        unit="s",
        width=12,
        thresholds=bad_from(2, 60),
        no_value="no delivery",
    ),
    Panel(
        "lines",
        "One attempt to deliver, 95 %",
        "Time that 95 of 100 attempts stayed below.",
        [
            Query(
                "histogram_quantile(0.95, sum by (le, sink) (rate("
                "audit_shipper_sink_request_duration_seconds_bucket{$scope}[$__rate_interval]"
                "))) >= 0",
                "{{sink}}",
            )
        ],
        unit="s",
        width=12,
        no_value="no attempt",
    ),
)
_FLOW: Final = (
    Panel(
        "lines",
        "Records acknowledged",
        "Records a second that each sink acknowledged.",
        [
            Query(
                "sum by (sink) (rate(audit_shipper_sink_records_total{$scope}[$__rate_interval]))",
                "{{sink}}",
            )
        ],
        unit="ops",
    ),
    Panel(
        "lines",
        "Log read",
        "Bytes of the log a second that each sink's lane read.",
        [
            Query(
                "sum by (source, sink) "
                "(rate(audit_shipper_source_read_bytes_total{$scope}[$__rate_interval]))",
                "{{source}} to {{sink}}",
            )
        ],
        unit="Bps",
    ),
    Panel(
        "lines",
        "Sent",
        "Bytes a second that each sink acknowledged, before compression.",
        [
            Query(
                "sum by (sink) (rate(audit_shipper_sink_bytes_total{$scope}[$__rate_interval]))",
                "{{sink}}",
            )
        ],
        unit="Bps",
    ),
    Panel(
        "bars",
        "Records decoded",
        "Records by what they are about.",
        [
            Query(
                "sum by (record_class) (increase("
                "audit_shipper_records_decoded_total{$scope}[$__rate_interval])) > 0",
                "{{record_class}}",
            )
        ],
        width=12,
        decimals=0,
    ),
    Panel(
        "bars",
        "Left out on purpose",
        "Records that a filter of the configuration kept from a sink.",
        [
            Query(
                "sum by (sink, filter) (increase("
                "audit_shipper_records_filtered_total{$scope}[$__rate_interval])) > 0",
                "{{sink}} {{filter}}",
            )
        ],
        width=12,
        decimals=0,
        no_value="none",
    ),
    Panel(
        "table",
        "Accounts of each sink",
        "Where the records are that a lane took: acknowledged by the sink, waiting, and those of "
        "which nothing is known. The last must be 0.",
        [
            Query("sum by (pod, sink) (audit_shipper_sink_taken_records_total{$scope})"),
            Query("sum by (pod, sink) (audit_shipper_sink_records_total{$scope})"),
            Query("sum by (pod, sink) (audit_shipper_sink_pending_records{$scope})"),
            Query(f"sum by (pod, sink) (\n{IDENTITY}\n)"),
        ],
        width=24,
        height=7,
        decimals=0,
        columns={"pod": "Pod", "sink": "Sink"},
        values=("Taken", "Acknowledged", "Waiting", "Unaccounted"),
    ),
)
_TROUBLE: Final = (
    Panel(
        "bars",
        "Failed attempts",
        "Attempts to deliver that failed, by reason. They are tried again.",
        [
            Query(
                "sum by (sink, reason) (increase("
                "audit_shipper_sink_request_failures_total{$scope}[$__rate_interval])) > 0",
                "{{sink}} {{reason}}",
            )
        ],
        decimals=0,
        no_value="none",
        runbook="AuditShipperSinkDown",
    ),
    Panel(
        "lines",
        "Attempts and repetitions",
        "Attempts to deliver a second, and those of them that repeat an earlier one.",
        [
            Query(
                "sum by (sink) (rate(audit_shipper_sink_requests_total{$scope}[$__rate_interval]))",
                "{{sink}}",
            ),
            Query(
                "sum by (sink) (rate(audit_shipper_sink_retries_total{$scope}[$__rate_interval]))",
                "{{sink}} again",
            ),
        ],
        unit="ops",
    ),
    Panel(
        "lines",
        "Age of the saved position",
        "Time since a lane last saved how far it is. It grows while there is nothing to ship.",
        [
            Query(
                "max by (source, sink) "
                "(time() - audit_shipper_checkpoint_timestamp_seconds{$scope})",
                "{{source}} to {{sink}}",
            )
        ],
        unit="s",
        runbook="AuditShipperCheckpointStale",
    ),
    Panel(
        "bars",
        "Refused by targets, and dropped",
        "Records in the dead letters by reason, and records dropped on purpose.",
        [
            Query(
                "sum by (sink, reason) (increase("
                "audit_shipper_sink_dead_lettered_records_total{$scope}[$__rate_interval])) > 0",
                "{{sink}} refused: {{reason}}",
            ),
            Query(
                "sum by (sink, reason) (increase("
                "audit_shipper_sink_dropped_records_total{$scope}[$__rate_interval])) > 0",
                "{{sink}} dropped: {{reason}}",
            ),
        ],
        decimals=0,
        no_value="none",
        runbook="AuditShipperDeadLettering",
    ),
    Panel(
        "bars",
        "Unreadable",
        "Byte ranges of the log that are no record. They are kept in the dead letters.",
        [
            Query(
                "sum by (source, reason) (increase("
                "audit_shipper_decode_failures_total{$scope}[$__rate_interval])) > 0",
                "{{source}} {{reason}}",
            )
        ],
        decimals=0,
        no_value="none",
        runbook="AuditShipperDecodeFailures",
    ),
    Panel(
        "bars",
        "Senders sent away",
        "Senders that a source which receives the log did not take from, or not whole.",
        [
            Query(
                "sum by (source, reason) (increase("
                "audit_shipper_source_rejections_total{$scope}[$__rate_interval])) > 0",
                "{{source}} {{reason}}",
            )
        ],
        decimals=0,
        no_value="none",
    ),
    Panel(
        "bars",
        "Rotations and truncations",
        "How often the log was rotated or cut.",
        [
            Query(
                "sum by (source) (increase("
                "audit_shipper_source_rotations_total{$scope}[$__rate_interval]))",
                "{{source}} rotated",
            ),
            Query(
                "sum by (source) (increase("
                "audit_shipper_source_truncations_total{$scope}[$__rate_interval]))",
                "{{source}} cut",
            ),
        ],
        decimals=0,
    ),
    Panel(
        "table",
        "Lost for good",
        "Stretches that a sink will never get, and their bytes, since the shipper began to count.",
        [
            Query("sum by (source, sink, reason) (audit_shipper_source_gaps_total{$scope}) > 0"),
        ],
        width=16,
        decimals=0,
        thresholds=bad_from(None, 1),
        columns={"source": "Source", "sink": "Sink", "reason": "Reason"},
        no_value="nothing",
        runbook="AuditShipperSourceGap",
    ),
)
_PROCESS: Final = (
    Panel(
        "lines",
        "Memory",
        "Resident memory of the shipper.",
        [Query(f"max by (pod) (process_resident_memory_bytes{_JOB})", "{{pod}}")],
        unit="bytes",
        width=8,
        height=7,
        thresholds=bad_from(67_108_864),
    ),
    Panel(
        "lines",
        "Processor",
        "Share of one core that the shipper uses.",
        [
            Query(
                "max by (pod) (rate(process_cpu_seconds_total{$scope}[$__rate_interval]) "
                "and on (job, instance) audit_shipper_build_info{$scope})",
                "{{pod}}",
            )
        ],
        unit="percentunit",
        width=8,
        height=7,
    ),
    Panel(
        "bars",
        "Own log",
        "Messages of the shipper's own log, by level.",
        [
            Query(
                "sum by (level) (increase("
                'audit_shipper_log_messages_total{$scope, level!="debug"}[$__rate_interval]))',
                "{{level}}",
            )
        ],
        width=8,
        height=7,
        decimals=0,
        colors={"error": "red", "warning": "orange", "info": "blue"},
    ),
    Panel(
        "table",
        "Versions",
        "What runs where, and whether its configuration is the one on disk (1) or an older one "
        "(0).",
        [
            Query(
                "sum by (namespace, pod, version, python_version) (audit_shipper_build_info{$scope}"
                " * on (namespace, pod, job, instance) group_left () "
                "audit_shipper_config_last_reload_successful{$scope})"
            )
        ],
        width=16,
        height=6,
        bars=False,
        columns={
            "namespace": "Namespace",
            "pod": "Pod",
            "version": "Version",
            "python_version": "Python",
        },
    ),
    Panel(
        "stat",
        "Dead letters on disk",
        "Size of the files of dead letters. They grow until somebody looks at them.",
        [Query("sum(audit_shipper_dead_letter_bytes{$scope})")],
        unit="bytes",
        width=4,
        height=6,
        thresholds=bad_from(1_048_576, 104_857_600),
        runbook="AuditShipperDeadLettering",
    ),
    Panel(
        "stat",
        "Bytes lost",
        "Bytes of the log known to be lost, the worst sink.",
        [
            Query(
                "max(sum by (namespace, pod, sink) (audit_shipper_source_gap_bytes_total{$scope}))"
            )
        ],
        unit="bytes",
        width=4,
        height=6,
        thresholds=bad_from(None, 1),
        runbook="AuditShipperSourceGap",
    ),
)
RELOADS: Final = annotation(
    "Configuration read",
    "blue",
    "changes(audit_shipper_config_last_reload_success_timestamp_seconds{$scope}[1m]) > 0",
    "configuration read",
    "{{pod}}",
)

BOARD: Final = Board(
    "mysql-audit-pipeline",
    "MySQL audit: pipeline health",
    "Whether the audit log is shipped whole and in time: lag, throughput, retries, dead letters, "
    "gaps, memory, processor, and the accounts of every sink.",
    (
        Row("At a glance", _OVERVIEW),
        Row("Lag", _LAG),
        Row("Flow", _FLOW),
        Row("Trouble", _TROUBLE),
        Row("The process", _PROCESS),
    ),
    where(),
    (RELOADS,),
)
