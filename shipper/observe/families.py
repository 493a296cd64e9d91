"""Every metric family of the program: the one table that code, alert rules and dashboards share.

Two prefixes: `mysql_audit_*` is what the audit log says, `audit_shipper_*` how the pipeline does.
Names, labels and help texts are a promise to other people's dashboards: add, never rename.
`docs/metrics.md` is made from this table.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"

# Seconds. Attempts: a local target answers in a millisecond, the longest timeout is minutes.
ATTEMPT_BUCKETS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
# From the event to its acknowledgement: 2 s is the goal; a backlog may be hours.
LATENCY_BUCKETS: Final = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600)


class Family(NamedTuple):
    """One family as it is exposed."""

    name: str
    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


def _table(*families: Family) -> dict[str, Family]:
    return {family.name: family for family in families}


AUDIT: Final = _table(
    Family(
        "mysql_audit_connects_total",
        COUNTER,
        ("event",),
        "Login attempts in the audit log, successful or not.",
    ),
    Family(
        "mysql_audit_connect_failures_total",
        COUNTER,
        ("event", "error_code", "error"),
        "Login attempts the server refused, health probes excepted.",
    ),
    Family(
        "mysql_audit_connect_probes_total",
        COUNTER,
        (),
        "Connections that broke off in the handshake with no user named: health probes.",
    ),
    Family(
        "mysql_audit_connect_failures_by_source_total",
        COUNTER,
        ("source_ip",),
        "Refused logins by client address; a full server or a broken handshake does not count.",
    ),
    Family(
        "mysql_audit_connect_failures_by_account_total",
        COUNTER,
        ("user",),
        "Refused logins by requested account; a full server or a broken handshake does not count.",
    ),
    Family(
        "mysql_audit_source_failed_accounts",
        GAUGE,
        ("source_ip",),
        "Distinct accounts refused from this address in the sliding window, where 2 or more.",
    ),
    Family(
        "mysql_audit_detections_total",
        COUNTER,
        ("rule",),
        "Findings of the detector.",
    ),
    Family("mysql_audit_disconnects_total", COUNTER, (), "Session ends in the audit log."),
    Family(
        "mysql_audit_queries_total", COUNTER, ("command_class",), "Statements in the audit log."
    ),
    Family(
        "mysql_audit_query_failures_total",
        COUNTER,
        ("command_class",),
        "Statements that ended with an error.",
    ),
    Family(
        "mysql_audit_query_failures_by_error_total",
        COUNTER,
        ("error_code", "error"),
        "Failed statements by error number.",
    ),
    Family("mysql_audit_logging_enabled", GAUGE, (), "1 after an Audit record, 0 after NoAudit."),
    Family(
        "mysql_audit_state_changes_total",
        COUNTER,
        ("state",),
        "Audit start and stop records.",
    ),
    Family(
        "mysql_audit_last_record_timestamp_seconds",
        GAUGE,
        (),
        "Event time of the newest record read.",
    ),
    Family(
        "audit_shipper_source_record_timestamp_seconds",
        GAUGE,
        ("source",),
        "Event time of the last decoded record.",
    ),
    Family(
        "audit_shipper_records_decoded_total",
        COUNTER,
        ("source", "record_class"),
        "Records decoded.",
    ),
    Family(
        "audit_shipper_decode_failures_total",
        COUNTER,
        ("source", "reason"),
        "Byte ranges that could not be decoded.",
    ),
    Family(
        "audit_shipper_untracked_label_values_total",
        COUNTER,
        ("metric", "reason"),
        "Label values that have no series of their own.",
    ),
)

PIPELINE: Final = _table(
    Family(
        "audit_shipper_source_read_bytes_total",
        COUNTER,
        ("source", "sink"),
        "Bytes of the audit log that were read for this sink.",
    ),
    Family(
        "audit_shipper_source_pending_bytes",
        GAUGE,
        ("source", "sink"),
        "Bytes on disk not yet shipped to this sink, rotated files included.",
    ),
    Family("audit_shipper_source_rotations_total", COUNTER, ("source",), "Rotations followed."),
    Family("audit_shipper_source_truncations_total", COUNTER, ("source",), "Truncations seen."),
    Family(
        "audit_shipper_source_rejections_total",
        COUNTER,
        ("source", "reason"),
        "Senders that were sent away, or whose message was not taken whole.",
    ),
    Family(
        "audit_shipper_source_gaps_total",
        COUNTER,
        ("source", "sink", "reason"),
        "Stretches of the log that this sink will never get.",
    ),
    Family(
        "audit_shipper_source_gap_bytes_total",
        COUNTER,
        ("source", "sink"),
        "Bytes known to be lost for this sink.",
    ),
    Family(
        "audit_shipper_checkpoint_timestamp_seconds",
        GAUGE,
        ("source", "sink"),
        "Time of the last durable checkpoint.",
    ),
    Family(
        "audit_shipper_records_filtered_total",
        COUNTER,
        ("sink", "filter"),
        "Records left out on purpose.",
    ),
    Family(
        "audit_shipper_sink_taken_records_total",
        COUNTER,
        ("sink",),
        "Decoded records that this sink's lane took; each is then filtered, acknowledged, "
        "a duplicate, dead-lettered, dropped, returned or pending.",
    ),
    Family(
        "audit_shipper_sink_returned_records_total",
        COUNTER,
        ("sink",),
        "Records that were pending when the lane stopped; they are taken again when it starts.",
    ),
    Family(
        "audit_shipper_sink_records_total", COUNTER, ("sink",), "Records acknowledged by the sink."
    ),
    Family(
        "audit_shipper_sink_bytes_total",
        COUNTER,
        ("sink",),
        "Payload bytes acknowledged, before compression.",
    ),
    Family(
        "audit_shipper_sink_duplicate_records_total",
        COUNTER,
        ("sink",),
        "Records the sink already had.",
    ),
    Family(
        "audit_shipper_sink_dead_lettered_records_total",
        COUNTER,
        ("sink", "reason"),
        "Records written to the dead-letter file.",
    ),
    Family(
        "audit_shipper_sink_dropped_records_total",
        COUNTER,
        ("sink", "reason"),
        "Records lost for this sink.",
    ),
    Family("audit_shipper_sink_requests_total", COUNTER, ("sink",), "Delivery attempts."),
    Family(
        "audit_shipper_sink_request_failures_total",
        COUNTER,
        ("sink", "reason"),
        "Delivery attempts that failed.",
    ),
    Family(
        "audit_shipper_sink_retries_total",
        COUNTER,
        ("sink",),
        "Delivery attempts that repeat an earlier one.",
    ),
    Family(
        "audit_shipper_sink_request_duration_seconds",
        HISTOGRAM,
        ("sink",),
        "Time per delivery attempt.",
        ATTEMPT_BUCKETS,
    ),
    Family(
        "audit_shipper_sink_delivery_latency_seconds",
        HISTOGRAM,
        ("sink",),
        "Event time of a batch's newest record to its acknowledgement.",
        LATENCY_BUCKETS,
    ),
    Family(
        "audit_shipper_sink_pending_records",
        GAUGE,
        ("sink",),
        "Records taken and not yet acknowledged.",
    ),
    Family(
        "audit_shipper_sink_acked_record_timestamp_seconds",
        GAUGE,
        ("sink",),
        "Event time of the newest acknowledged record.",
    ),
    Family(
        "audit_shipper_sink_up",
        GAUGE,
        ("sink",),
        "1 if the last attempt to prepare or to deliver succeeded; absent before it.",
    ),
    Family("audit_shipper_dead_letter_bytes", GAUGE, (), "Size of the dead-letter files."),
    Family(
        "audit_shipper_log_messages_total",
        COUNTER,
        ("level",),
        "Own log messages, those held back by the rate limit included.",
    ),
    Family(
        "audit_shipper_config_last_reload_successful",
        GAUGE,
        (),
        "1 if the last attempt to read the configuration succeeded.",
    ),
    Family(
        "audit_shipper_config_last_reload_success_timestamp_seconds",
        GAUGE,
        (),
        "Time of the last successful read of the configuration.",
    ),
    Family(
        "audit_shipper_build_info",
        GAUGE,
        ("version", "revision", "python_version"),
        "Always 1.",
    ),
)

FAMILIES: Final = AUDIT | PIPELINE

# Families of the plan that are not there, each with its reason; a test holds this against FAMILIES.
LEFT_OUT: Final = {
    "audit_shipper_checkpoint_failures_total": "a checkpoint that cannot be written is tried again "
    "like a delivery: audit_shipper_checkpoint_timestamp_seconds stands still, the log says why",
    "audit_shipper_sink_pending_bytes": "the log file is the queue: "
    "audit_shipper_source_pending_bytes has a label for the sink",
    "audit_shipper_sink_pending_limit_bytes": "there is no queue to have a limit; the bytes of the "
    "log that may wait are bounded by the disk",
}
