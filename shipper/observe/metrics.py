"""Metrics of the program: a listener for notices, and the registry that `/metrics` shows.

Notices come once a batch, so the look-up of a label's child costs nothing that matters. Every label
set that is known in advance is there at 0: alert rules need not handle a series that is born.
"""

from __future__ import annotations

import platform
import threading
from collections import Counter as Tallies
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from shipper.clock import Clock, seconds_of
from shipper.notices import (
    GAPS,
    REJECTIONS,
    Attempted,
    Delivered,
    Dropped,
    Filtered,
    Lost,
    Mended,
    Notice,
    Refused,
    Rejected,
    Rotated,
    Saved,
    Taken,
    Trouble,
    Truncated,
)
from shipper.observe.audit import AuditCollector
from shipper.observe.families import COUNTER, HISTOGRAM, PIPELINE, Family
from shipper.observe.pulled import PULLED, Pulled, Pulls

if TYPE_CHECKING:
    from prometheus_client.core import Metric

OTHER: Final = "other"
LEVELS: Final = ("debug", "info", "warning", "error")
# Closed label values (`sink.base.FAILURES` and `REFUSALS`; this room does not know that one).
FAILURES: Final = ("unavailable", "timeout", "throttled", "rejected", "protocol", "auth", OTHER)
REFUSALS: Final = ("mapping", "too_large", "invalid", OTHER)
FILTERS: Final = ("since", "policy", "accounts", "commands", "databases", OTHER)
DROPS: Final = ("buffer_full", "stopped", OTHER)


class Metrics:
    """Counts what it hears."""

    def __init__(self, clock: Clock, pulls: Pulls | None = None, *, version: str = "") -> None:
        """Make all families; label sets of sources and sinks come with `expect`."""
        # A second series for each counter, in the text format a family of its own: twice the cost
        # for what the recording rules in alert-rules/ do without.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's
        self.registry = CollectorRegistry(auto_describe=False)
        self._pulls = pulls or Pulls()
        self._clock = clock
        self._lock = threading.Lock()
        self._acked: dict[str, float] = {}
        self._waiting: Tallies[tuple[str, str]] = Tallies()  # records, by source and sink
        self._families: dict[str, Any] = {
            name: _make(family, self.registry)
            for name, family in PIPELINE.items()
            if name not in PULLED
        }
        # Kept, as the library's own look-up takes a lock and makes text of each label. All label
        # sets are closed, or those of the configuration.
        self._children: dict[tuple[str, tuple[str, ...]], Any] = {}
        # Memory, processor time, open files: read from /proc at each scrape.
        ProcessCollector(registry=self.registry)
        self.registry.register(AuditCollector(self._pulls.audited))
        self.registry.register(Pulled(self._pulls))
        self._handlers: dict[type[Notice], Callable[[Any], None]] = {
            Taken: self._taken,
            Filtered: self._filtered,
            Attempted: self._attempted,
            Delivered: self._delivered,
            Refused: self._refused,
            Rejected: self._rejected,
            Dropped: self._dropped,
            Lost: self._lost,
            Rotated: self._rotated,
            Truncated: self._truncated,
            Saved: self._saved,
            Trouble: self._told_up,
            Mended: self._told_up,
        }
        for level in LEVELS:
            self._get("audit_shipper_log_messages_total", level)
        for reason in DROPS:  # of a spool or a receiver, before any lane that could be expected
            self._get("audit_shipper_sink_dropped_records_total", "", reason)
        build = (version, "", platform.python_version())
        self._get("audit_shipper_build_info", *build).set(1)
        self.reloaded(good=True)

    def _get(self, name: str, *labels: str) -> Any:
        child = self._children.get((name, labels))
        if child is None:
            family = self._families[name]
            child = self._children[name, labels] = family.labels(*labels) if labels else family
        return child

    def expect(self, source: str, sink: str) -> None:
        """Show everything about a lane at 0, before it begins, and when it begins again."""
        get = self._get
        with self._lock:
            left = self._waiting[source, sink]
            get("audit_shipper_sink_returned_records_total", sink).inc(left)
            self._wait(source, sink, -left)
        up = "audit_shipper_sink_up"  # not known until it is tried again
        self._children.pop((up, (sink,)), None)
        self._families[up].remove(sink)
        get("audit_shipper_source_read_bytes_total", source, sink)
        get("audit_shipper_source_gap_bytes_total", source, sink)
        get("audit_shipper_source_rotations_total", source)
        get("audit_shipper_source_truncations_total", source)
        for name in _BY_SINK:
            get(name, sink)
        for name, values in _BY_SINK_AND:
            for value in values:
                get(name, sink, value)
        for reason in (*REJECTIONS, OTHER):
            get("audit_shipper_source_rejections_total", source, reason)
        for reason in (*GAPS, OTHER):
            get("audit_shipper_source_gaps_total", source, sink, reason)

    def reloaded(self, *, good: bool) -> None:
        """Note that the configuration was read, or could not be."""
        self._get("audit_shipper_config_last_reload_successful").set(int(good))
        if good:
            name = "audit_shipper_config_last_reload_success_timestamp_seconds"
            self._get(name).set(self._clock.now())

    def logged(self, level: str) -> None:
        """Count a message of the program's own log."""
        self._get("audit_shipper_log_messages_total", level).inc()

    def hear(self, notice: Notice) -> None:
        """Count a notice; called from every lane's thread."""
        handle = self._handlers.get(type(notice))
        if handle is not None:
            # One scrape must not see a batch as taken and acknowledged at different moments.
            with self._lock:
                handle(notice)

    def collect(self) -> Iterable[Metric]:
        """Give all families at one moment."""
        with self._lock:
            return list(self.registry.collect())

    def _wait(self, source: str, sink: str, records: int) -> None:
        self._waiting[source, sink] += records
        self._get("audit_shipper_sink_pending_records", sink).inc(records)

    # --- one method a kind of notice ---------------------------------------------------------

    def _taken(self, notice: Taken) -> None:
        get, sink = self._get, notice.sink
        get("audit_shipper_source_read_bytes_total", notice.source, sink).inc(notice.size)
        get("audit_shipper_sink_taken_records_total", sink).inc(notice.records)
        self._wait(notice.source, sink, notice.records)

    def _filtered(self, notice: Filtered) -> None:
        name = notice.filter if notice.filter in FILTERS else OTHER
        self._get("audit_shipper_records_filtered_total", notice.sink, name).inc(notice.records)
        self._wait(notice.source, notice.sink, -notice.records)

    def _attempted(self, notice: Attempted) -> None:
        get, sink = self._get, notice.sink
        get("audit_shipper_sink_requests_total", sink).inc()
        get("audit_shipper_sink_request_duration_seconds", sink).observe(notice.seconds)
        get("audit_shipper_sink_up", sink).set(int(notice.failure is None))
        if notice.attempt > 1:
            get("audit_shipper_sink_retries_total", sink).inc()
        if notice.failure is not None:
            reason = notice.failure if notice.failure in FAILURES else OTHER
            get("audit_shipper_sink_request_failures_total", sink, reason).inc()

    def _delivered(self, notice: Delivered) -> None:
        get, sink = self._get, notice.sink
        get("audit_shipper_sink_records_total", sink).inc(notice.records)
        get("audit_shipper_sink_duplicate_records_total", sink).inc(notice.duplicates)
        get("audit_shipper_sink_bytes_total", sink).inc(notice.size)
        self._wait(notice.source, sink, -notice.records - notice.duplicates)
        if notice.newest is not None:
            newest = seconds_of(notice.newest)
            self._acked[sink] = max(newest, self._acked.get(sink, newest))
            get("audit_shipper_sink_acked_record_timestamp_seconds", sink).set(self._acked[sink])
            latency = max(0.0, self._clock.now() - newest)
            get("audit_shipper_sink_delivery_latency_seconds", sink).observe(latency)

    def _refused(self, notice: Refused) -> None:
        reason = notice.reason if notice.reason in REFUSALS else OTHER
        name = "audit_shipper_sink_dead_lettered_records_total"
        self._get(name, notice.sink, reason).inc(notice.records)
        self._wait(notice.source, notice.sink, -notice.records)

    def _rejected(self, notice: Rejected) -> None:
        reason = notice.reason if notice.reason in REJECTIONS else OTHER
        self._get("audit_shipper_source_rejections_total", notice.source, reason).inc(notice.count)

    def _dropped(self, notice: Dropped) -> None:
        reason = notice.reason if notice.reason in DROPS else OTHER
        name = "audit_shipper_sink_dropped_records_total"
        self._get(name, notice.sink, reason).inc(notice.records)
        if notice.sink:  # else before any lane took them
            self._wait(notice.source, notice.sink, -notice.records)

    def _lost(self, notice: Lost) -> None:
        source, sink = notice.source, notice.sink
        reason = notice.reason if notice.reason in GAPS else OTHER
        self._get("audit_shipper_source_gaps_total", source, sink, reason).inc()
        size = max(0, notice.span.end - notice.span.start)
        self._get("audit_shipper_source_gap_bytes_total", source, sink).inc(size)

    def _rotated(self, notice: Rotated) -> None:
        self._get("audit_shipper_source_rotations_total", notice.source).inc()

    def _truncated(self, notice: Truncated) -> None:
        self._get("audit_shipper_source_truncations_total", notice.source).inc()

    def _saved(self, notice: Saved) -> None:
        name = "audit_shipper_checkpoint_timestamp_seconds"
        self._get(name, notice.source, notice.sink).set(self._clock.now())

    def _told_up(self, notice: Trouble | Mended) -> None:
        if notice.down:
            self._get("audit_shipper_sink_up", notice.sink).set(int(isinstance(notice, Mended)))


_BY_SINK: Final = tuple(
    name
    for name, family in PIPELINE.items()
    if family.labels == ("sink",)
    # A time that is not known yet must not read as 1970, nor a target that was never tried as down.
    and not name.endswith(("_timestamp_seconds", "_up"))
)
_BY_SINK_AND: Final = (
    ("audit_shipper_sink_request_failures_total", FAILURES),
    ("audit_shipper_sink_dead_lettered_records_total", REFUSALS),
    ("audit_shipper_sink_dropped_records_total", DROPS),
    ("audit_shipper_records_filtered_total", FILTERS),
)


def _make(family: Family, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    name, text, labels = family.name, family.help, family.labels
    if family.type == COUNTER:
        return Counter(name, text, labels, registry=registry)
    if family.type == HISTOGRAM:
        return Histogram(name, text, labels, buckets=family.buckets, registry=registry)
    return Gauge(name, text, labels, registry=registry)
