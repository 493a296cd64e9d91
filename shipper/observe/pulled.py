"""Numbers that are asked for at each scrape rather than told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from msgspec import Struct
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shipper.observe.audit import Audited
from shipper.observe.families import PIPELINE

PULLED: Final = ("audit_shipper_source_pending_bytes", "audit_shipper_dead_letter_bytes")


class Pending(Struct, frozen=True):
    """What a lane has still to ship."""

    source: str
    sink: str
    size: int  # plain bytes


class Pulls(Struct, frozen=True):
    """Whom to ask."""

    audited: Callable[[], Iterable[Audited]] = tuple
    pending: Callable[[], Iterable[Pending]] = tuple
    dead_letter_bytes: Callable[[], int] = int


class Pulled(Collector):
    """Gauges whose value somebody else has."""

    def __init__(self, pulls: Pulls) -> None:
        """Ask `pulls` at each scrape."""
        self._pulls = pulls

    def collect(self) -> Iterator[Metric]:
        """Give the families of PULLED."""
        pending, dead = (PIPELINE[name] for name in PULLED)
        gauge = GaugeMetricFamily(pending.name, pending.help, labels=pending.labels)
        for each in self._pulls.pending():
            gauge.add_metric((each.source, each.sink), each.size)
        yield gauge
        yield GaugeMetricFamily(dead.name, dead.help, value=self._pulls.dead_letter_bytes())
