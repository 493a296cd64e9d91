"""One place in one segment: bytes to blocks, sessions joined.

The pieces that are read end at multiples of 128 KiB, wherever a reader started. So two readers of
the same segment give the same blocks from the next such border on, and lanes can share them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from shipper.decode import Decoder, Format, Options
from shipper.model import Block
from shipper.refine.sessions import Changes, Sessions
from shipper.source.catalog import Catalog
from shipper.source.segment import Segment

PIECE_BYTES: Final = 128 * 1024  # one block of the decoder
# Headers, footers and separators after the last item; NUL padding is longer, and never changes.
_FRAMING_BYTES_MAX: Final = 4096


class Decoding(NamedTuple):
    """How the bytes of a source are read."""

    formats: tuple[type[Format], ...]
    options: Options


class Step(NamedTuple):
    """What a reader found, and what it means for whoever keeps the sessions."""

    block: Block
    changes: Changes
    ended: bool  # the segment has no more
    end: int  # where to go on: behind all bytes that were read where it ended


class Reader:
    """Reads one segment from an item border on."""

    def __init__(
        self,
        catalog: Catalog,
        segment: Segment,
        offset: int,
        sessions: Sessions,
        decoding: Decoding,
    ) -> None:
        """Begin at `offset`, with the sessions that are open there."""
        self._catalog = catalog
        self.segment = segment
        self.sessions = sessions
        self._decoding = decoding
        self.position = offset  # up to here everything was given out
        self._start(offset)

    def _start(self, offset: int) -> None:
        formats, options = self._decoding
        self._decoder = Decoder(formats, start=offset, options=options)
        self._at = offset  # next byte to read
        self._items_end = offset  # end of the last item that was given out
        self._framing = b""  # what stood behind it when it was read

    def step(self) -> Step | None:
        """Give the next block; None where there is nothing more at present.

        A block may be empty. Raises ShipperError where the content is damaged.
        """
        data = self._catalog.read(self.segment, self._at, PIECE_BYTES - self._at % PIECE_BYTES)
        if data:
            if self._framing and not self._framing_stands():
                # The server took its footer back and wrote on in its place.
                self._start(self._items_end)
                return self.step()
            return self._given(self._decoder.feed(data), len(data))
        if self.segment.closed and self._at >= self.segment.size:
            return self._given(self._decoder.finish(), 0, ended=True)
        self._remember_framing()
        return None

    def _given(self, block: Block, size: int, *, ended: bool = False) -> Step:
        self._at += size
        self._framing = b""
        self._items_end = max(self._items_end, block.items_end)
        self._catalog.decoded(self.segment, self._items_end)
        self.position = max(self.position, self._at if ended else block.end)
        self.sessions.join(block.marked.records)
        go_on = self._at if ended else block.end
        return Step(block, self.sessions.take_changes(), ended, go_on)

    def _remember_framing(self) -> None:
        size = self._decoder.resume - self._items_end
        if not self._framing and 0 < size <= _FRAMING_BYTES_MAX and self.segment.plain:
            self._framing = self._catalog.read(self.segment, self._items_end, size)

    def _framing_stands(self) -> bool:
        now = self._catalog.read(self.segment, self._items_end, len(self._framing))
        return now == self._framing
