"""A lane in small: deliver, wait, deliver again."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from clocks import FakeClock
from sink.blocks import packed

from shipper.errors import UnavailableError
from shipper.sink import Batch, Receipt, Sink

# Back-off of the stand-in for the lane.
FIRST_SECONDS, MOST_SECONDS = 1.0, 60.0


def drive(sink: Sink, batches: Iterable[Batch], clock: FakeClock) -> list[Receipt]:
    """Deliver batches in order, each until it is acknowledged."""
    receipts, stop = [], threading.Event()
    for plain in batches:
        seconds, batch = FIRST_SECONDS, packed(plain, sink)
        while True:
            try:
                receipts.append(sink.deliver(batch))
                break
            except UnavailableError as error:
                clock.wait(stop, error.retry_after or seconds)
                seconds = min(seconds * 2, MOST_SECONDS)
    return receipts
