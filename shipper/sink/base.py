"""What a sink promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from shipper.model import Block


class Batch(Struct, frozen=True):
    """Blocks of one segment, in order, to be made durable together."""

    segment: str  # digest that names the segment
    path: str  # of the file, for people
    blocks: Sequence[Block]

    @property
    def upto(self) -> int:
        """Offset up to which the segment is done once this batch is."""
        return self.blocks[-1].end


class Sink(Protocol):
    """A target that remembers what it holds, so that shipping again adds nothing."""

    def position(self, segment: str) -> int:
        """Offset up to which this target already holds the segment; 0 if it never saw it."""
        ...

    def deliver(self, batch: Batch) -> int:
        """Make a batch durable, all or nothing; the number of records that were new.

        Raises StoreError; then nothing of the batch counts as delivered.
        """
        ...

    def close(self) -> None:
        """Give up resources; what was delivered stays."""
        ...
