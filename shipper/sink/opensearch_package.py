"""What one batch is to OpenSearch: its body, made block by block, and what is settled of it.

Encoding and compressing a block right after it was decoded costs a tenth less than doing so when a
batch is full: its records are still in the processor's cache, and so is the memory of those before,
which are gone by then. What waits for the server is a tenth of the documents' size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from isal import isal_zlib

from shipper.model import Block
from shipper.sink.base import Receipt
from shipper.sink.opensearch_body import GZIP, Body, without
from shipper.sink.opensearch_wire import Reading

# A tenth of the bytes for half a microsecond a record. Level 1 makes it a twelfth, for a tenth more
# time.
_LEVEL: Final = 0


class Package:
    """Blocks as bulk lines. For one thread at a time."""

    def __init__(self, encode: Callable[[Block], bytes], *, gzip: bool) -> None:
        """Begin; `encode` gives two lines for every record of a block."""
        self._encode = encode
        self._gzip = isal_zlib.compressobj(_LEVEL, wbits=GZIP) if gzip else None
        self._pieces: list[bytes] = []
        self._offsets: list[int] = []
        self._size = 0
        self._body: Body | None = None
        self.readings: list[Reading] = []  # what the answers to all attempts said

    def add(self, block: Block) -> None:
        """Encode the records of the next block."""
        lines = self._encode(block)
        self._size += len(lines)
        self._offsets += block.starts
        self._pieces.append(self._gzip.compress(lines) if self._gzip else lines)

    def unsettled(self) -> Body:
        """Give what is still to be sent; nothing can be added any more."""
        body, settled = self._whole(), set[int]()
        for reading in self.readings:
            settled.update(reading.new, reading.duplicates)
            settled.update(refusal.offset for refusal in reading.refusals)
        return without(body, settled) if settled else body

    def receipt(self) -> Receipt:
        """Say what became of the documents, once all are settled."""
        readings = self.readings
        return Receipt(
            sum(len(reading.new) for reading in readings),
            sum(len(reading.duplicates) for reading in readings),
            tuple(sorted(each for reading in readings for each in reading.refusals)),
            self._size,
        )

    def _whole(self) -> Body:
        if self._body is None:
            if self._gzip is None:
                self._body = Body(b"".join(self._pieces), self._offsets)
            else:
                self._pieces.append(self._gzip.flush())
                self._body = Body(b"".join(self._pieces), self._offsets, self._size)
            self._pieces = []
        return self._body
