"""What a lane gathers for one delivery, and what its acknowledgement will mean."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from shipper.lane.ledger import Ledgered, Progress
from shipper.lane.reader import Step
from shipper.model import Block
from shipper.refine.sequence import Sequences
from shipper.refine.sessions import Changes, Who
from shipper.sink import Batch
from shipper.sink.base import Package
from shipper.source.segment import UNKNOWN, Segment


class Parcel(Struct):
    """Blocks of one segment on their way, with everything that is committed once they arrived."""

    segment: Segment
    start: int  # where in the segment it begins
    blocks: list[Block]
    progress: Progress
    changes: Changes
    sequences: bytes = b""  # as of the last block
    size: int = 0  # plain bytes of the log
    records: int = 0  # in them, before any filter
    filtered: dict[str, int] = {}  # how many of those each filter took
    # Where the sink packs: then the blocks have no records, and the sessions that were open at
    # `start` are there to read them again.
    package: Package | None = None
    sessions: dict[int, Who] = {}

    @classmethod
    def begin(cls, segment: Segment, offset: int) -> Parcel:
        """Begin an empty parcel at `offset`."""
        return cls(segment, offset, [], Progress(ledgered(segment), offset), Changes())

    def add(self, step: Step, kept: Block, filtered: Mapping[str, int]) -> None:
        """Add a step; `kept` is what the lane's filters left of its block, `filtered` the rest."""
        block, progress = step.block, self.progress
        self.changes.add(step.changes)
        self.size += block.end - block.start
        self.records += len(block.records)
        for name, count in filtered.items():
            self.filtered[name] = self.filtered.get(name, 0) + count
            progress.filtered += count
        progress.defects += len(block.defects)
        # The position is the end of an item: framing behind it may be taken back by the server.
        if block.records or block.defects:
            progress.offset = max(progress.offset, block.items_end)
        if step.ended:
            progress.offset, progress.done = max(step.end, progress.offset), True
        if kept.records:
            times = [record.timestamp for record in kept.records[-1:] if record.timestamp]
            progress.newest = max([progress.newest or "", *times]) or None
        if kept.records or kept.defects:
            self.blocks.append(kept if self.package is None else _packed(kept, self.package))

    @property
    def moved(self) -> bool:
        """Whether committing this would change anything."""
        progress = self.progress
        return bool(self.blocks or progress.filtered or progress.done or progress.losses)

    def seal(self, sequences: Sequences) -> None:
        """Note what the record numbers say up to here."""
        self.progress.segment = ledgered(self.segment)
        self.sequences = msgspec.json.encode(sequences)

    def batch(self, source: str) -> Batch:
        """Give what the sink gets."""
        return Batch(self.segment.id, self.segment.path, self.blocks, source, self.package)


def _packed(block: Block, package: Package) -> Block:
    """Put the records into the package; give what is left."""
    package.add(block)
    return Block(block.start, block.end, [], [], [], block.defects)


def ledgered(segment: Segment) -> Ledgered:
    """Give what the ledger keeps of a segment."""
    size = segment.items_end if segment.size == UNKNOWN else segment.size
    return Ledgered(segment.id, segment.path, segment.first_time, size, segment.closed)
