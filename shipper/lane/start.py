"""Where a lane begins that never ran before: at the beginning, at the end, or at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from shipper.decode import Decoder
from shipper.errors import ShipperError
from shipper.lane.ledger import Ledgered, Progress
from shipper.lane.parcel import ledgered
from shipper.lane.reader import Decoding
from shipper.model import Block
from shipper.source.catalog import Catalog
from shipper.source.segment import Segment

# Far enough before the end of a live log to find a record's end; a longer record is passed over.
TAIL_BYTES: Final = 1024 * 1024


def skipped(
    start: str,
    since: str | None,
    catalog: Catalog,
    decoding: Decoding,
    gone: Sequence[Ledgered],
) -> list[Progress]:
    """Give what a new lane is to take as shipped already.

    `start`, `since`: as in the source's settings. `gone`: segments that earlier lanes knew and
    that no file holds any more.
    """
    progress = [Progress(segment, 0, done=True) for segment in gone]
    segments = catalog.segments()
    if start == "end":
        progress += [
            _at_the_end(catalog, segment, decoding, newest=segment is segments[-1])
            for segment in segments
        ]
    elif since is not None:
        for segment, successor in pairwise(segments):
            if "" < successor.first_time <= since:
                progress.append(Progress(ledgered(segment), 0, done=True))
    return progress


def _at_the_end(
    catalog: Catalog, segment: Segment, decoding: Decoding, *, newest: bool
) -> Progress:
    size = segment.size
    if not segment.plain:
        # The name of an encrypted log may end in its password's id: the newest may still grow.
        size = _size_of(catalog, segment) if newest or segment.live else 0
    if size == 0 or (segment.plain and not segment.live):
        return Progress(ledgered(segment), size, done=True)
    begin = max(size - TAIL_BYTES, 0)
    decoder = Decoder(decoding.formats, start=begin, options=decoding.options)
    end = begin
    while data := catalog.read(segment, end, TAIL_BYTES):
        end += len(data)
        decoder.feed(data)
    return Progress(ledgered(segment), decoder.resume)


def _size_of(catalog: Catalog, segment: Segment) -> int:
    """Read an archive to where it ends now; 0 where that is not possible."""
    size = 0
    try:
        while data := catalog.read(segment, size, TAIL_BYTES):
            size += len(data)
    except ShipperError:  # damaged: the lane that comes to it would tell; none does
        return 0
    return size


def select_since(since: str, block: Block) -> tuple[Block, dict[str, int]]:
    """Leave out records that are older than `since`, RFC 3339 in UTC."""
    keep = [not record.timestamp or record.timestamp >= since for record in block.records]
    dropped = keep.count(False)
    if not dropped:
        return block, {}
    kept = Block(
        block.start,
        block.end,
        [record for record, wanted in zip(block.records, keep, strict=True) if wanted],
        [start for start, wanted in zip(block.starts, keep, strict=True) if wanted],
        [end for end, wanted in zip(block.ends, keep, strict=True) if wanted],
        block.defects,
    )
    return kept, {"since": dropped}
