"""The `mysql_audit_*` families, made at each scrape from what the counting sinks hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from msgspec import Struct
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shipper.counts import OTHER, QUERY_ERRORS, AuditCounts
from shipper.detection import RULES
from shipper.observe.families import AUDIT, COUNTER

_SYMBOLS = {str(number): symbol for number, symbol in QUERY_ERRORS.items()} | {OTHER: OTHER}


class Findings(Protocol):
    """What a detector shows."""

    @property
    def counts(self) -> dict[str, int]:
        """Give how many findings each rule had."""
        ...

    def failed_accounts(self, top: int = 20) -> list[tuple[str, int]]:
        """Give the sources with most accounts refused."""
        ...


class Audited(Struct, frozen=True):
    """One source that is counted."""

    source: str
    view: Callable[[], AuditCounts]
    findings: Findings | None = None
    # The label value for a source address, None where addresses are not shown.
    address: Callable[[str], str | None] = lambda text: text


class AuditCollector(Collector):
    """Adds up what all sources say."""

    def __init__(self, audited: Callable[[], Iterable[Audited]]) -> None:
        """`audited` gives the sources that are counted at the moment."""
        self._audited = audited

    def collect(self) -> Iterator[Metric]:
        """Give every family of the table, also those without a sample."""
        sums: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in AUDIT}
        for one in self._audited():
            for name, labels, value in _samples(one):
                table = sums[name]
                if name in _NEWEST:
                    table[labels] = max(table.get(labels, value), value)
                elif name in _LEAST:
                    table[labels] = min(table.get(labels, value), value)
                else:
                    table[labels] = table.get(labels, 0) + value
        for name, family in AUDIT.items():
            kind = CounterMetricFamily if family.type == COUNTER else GaugeMetricFamily
            made = kind(name.removesuffix("_total"), family.help, labels=family.labels)
            for labels, value in sums[name].items():
                made.add_metric(labels, value)
            yield made


_NEWEST = frozenset(
    ("mysql_audit_last_record_timestamp_seconds", "mysql_audit_source_failed_accounts")
)
_LEAST = frozenset(("mysql_audit_logging_enabled",))

_Sample = tuple[str, tuple[str, ...], float]


def _samples(one: Audited) -> Iterator[_Sample]:
    counts = one.view()
    yield from _logins(counts)
    yield from _statements(counts)
    yield "mysql_audit_disconnects_total", (), counts.disconnects
    yield "mysql_audit_state_changes_total", ("audit",), counts.starts
    yield "mysql_audit_state_changes_total", ("noaudit",), counts.stops
    if counts.logging is not None:
        yield "mysql_audit_logging_enabled", (), counts.logging
    if counts.newest is not None:
        yield "mysql_audit_last_record_timestamp_seconds", (), counts.newest
        yield "audit_shipper_source_record_timestamp_seconds", (one.source,), counts.newest
    for kind, number in counts.records.items():
        yield "audit_shipper_records_decoded_total", (one.source, kind), number
    for reason, number in counts.defects.items():
        yield "audit_shipper_decode_failures_total", (one.source, reason), number
    for pair, number in counts.untracked.items():
        yield "audit_shipper_untracked_label_values_total", pair, number
    yield from _findings(one)


def _logins(counts: AuditCounts) -> Iterator[_Sample]:
    for event, number in counts.connects.items():
        yield "mysql_audit_connects_total", (event,), number
    for labels, number in counts.connect_failures.items():
        yield "mysql_audit_connect_failures_total", labels, number
    yield "mysql_audit_connect_probes_total", (), counts.probes
    for source, tally in counts.by_source.items():
        yield "mysql_audit_connect_failures_by_source_total", (source,), tally.count
    for user, tally in counts.by_account.items():
        yield "mysql_audit_connect_failures_by_account_total", (user,), tally.count


def _statements(counts: AuditCounts) -> Iterator[_Sample]:
    for name, number in counts.queries.items():
        yield "mysql_audit_queries_total", (name,), number
    for name, number in counts.query_failures.items():
        yield "mysql_audit_query_failures_total", (name,), number
    for code, number in counts.query_errors.items():
        yield "mysql_audit_query_failures_by_error_total", (code, _SYMBOLS[code]), number


def _findings(one: Audited) -> Iterator[_Sample]:
    counts = one.findings.counts if one.findings else dict.fromkeys(RULES, 0)
    for rule, number in counts.items():
        yield "mysql_audit_detections_total", (rule,), number
    if one.findings:
        for source, accounts in one.findings.failed_accounts():
            value = one.address(source)
            if value is not None:
                yield "mysql_audit_source_failed_accounts", (value,), accounts
