"""A lane in small, with a clock that only moves when somebody waits on it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from shipper.errors import UnavailableError
from shipper.sink import Batch, Receipt, Sink

START = 1_700_000_000.0
# Back-off of the stand-in for the lane.
FIRST_SECONDS, MOST_SECONDS = 1.0, 60.0


class FakeClock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return START + self.passed

    def monotonic(self) -> float:
        return self.passed

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.passed += seconds
        return stop.is_set()


def drive(sink: Sink, batches: Iterable[Batch], clock: FakeClock) -> list[Receipt]:
    """Deliver batches in order, each until it is acknowledged."""
    receipts, stop = [], threading.Event()
    for batch in batches:
        seconds = FIRST_SECONDS
        while True:
            try:
                receipts.append(sink.deliver(batch))
                break
            except UnavailableError as error:
                clock.wait(stop, error.retry_after or seconds)
                seconds = min(seconds * 2, MOST_SECONDS)
    return receipts
