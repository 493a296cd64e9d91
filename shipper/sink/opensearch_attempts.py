"""What is settled of batches whose delivery failed, so that the next attempt carries only the rest.

Forgetting it (a restart, a batch cut elsewhere) costs bandwidth and nothing else: what is sent
again meets itself.
"""

from __future__ import annotations

import threading
from typing import Final, TypeAlias

from msgspec import Struct

from shipper.sink.base import Batch, Receipt
from shipper.sink.opensearch_wire import Reading

# Batches whose outcome is remembered: as many as can be under way, and a few that the lane cut
# anew.
ATTEMPTS_MAX: Final = 32

_Key: TypeAlias = tuple[str, int, int]  # segment, start, end


class Progress(Struct):
    """What is settled of one batch; msgspec gives each instance a list of its own."""

    readings: list[Reading] = []

    def settled(self) -> set[int]:
        """Offsets of the documents that need not be sent again; asked for after a failure only."""
        settled: set[int] = set()
        for reading in self.readings:
            settled.update(reading.new, reading.duplicates)
            settled.update(refusal.offset for refusal in reading.refusals)
        return settled

    def receipt(self, size: int) -> Receipt:
        """Give what came of the whole batch; `size`: its payload bytes."""
        return Receipt(
            sum(len(reading.new) for reading in self.readings),
            sum(len(reading.duplicates) for reading in self.readings),
            tuple(sorted(each for reading in self.readings for each in reading.refusals)),
            size,
        )


class Attempts:
    """The progress of failed batches, the latest ATTEMPTS_MAX. Thread-safe."""

    def __init__(self) -> None:
        """Know of none."""
        self._lock = threading.Lock()
        self._known: dict[_Key, Progress] = {}

    def take(self, batch: Batch) -> Progress:
        """Give what is known of this batch, and forget it."""
        with self._lock:
            return self._known.pop(_key(batch), None) or Progress()

    def keep(self, batch: Batch, progress: Progress) -> None:
        """Remember it for the next attempt, where anything is settled."""
        if not progress.readings:
            return
        with self._lock:
            while len(self._known) >= ATTEMPTS_MAX:
                del self._known[next(iter(self._known))]
            self._known[_key(batch)] = progress


def _key(batch: Batch) -> _Key:
    return batch.segment, batch.blocks[0].start, batch.upto
