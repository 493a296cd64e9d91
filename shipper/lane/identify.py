"""Name a segment by its content: the digest of its first item.

A renamed, copied, compressed or encrypted log is the same segment; a new log under the old name is
another. `instance` goes into the digest, so that the logs of two servers that were started in the
same second never count as one.
"""

from __future__ import annotations

import hashlib
from typing import Final

from shipper.decode import Decoder, Format, Options
from shipper.model import Block, Span
from shipper.source.segment import HEAD_BYTES_MAX, Identity
from shipper.source.stream import Stream

READ_BYTES: Final = 128 * 1024  # one block of the decoder


def segment_of(item: bytes, instance: str = "") -> str:
    """Name the segment that begins with `item`: 128 bits in hexadecimal."""
    key = hashlib.blake2b(instance.encode(), digest_size=32).digest() if instance else b""
    return hashlib.blake2b(item, digest_size=16, key=key).hexdigest()


class Identifier:
    """Identifies the files of one source."""

    def __init__(
        self, formats: tuple[type[Format], ...], options: Options, instance: str = ""
    ) -> None:
        """`instance`: the operator's name for the server, "" where records of one server only."""
        self._formats = formats
        self._options = options
        self._instance = instance

    def __call__(self, stream: Stream, path: str, whole: bool) -> Identity | None:  # noqa: FBT001 source.segment.Identify
        """Identify the content; None while its first item is not complete."""
        del path  # the content alone says what it is
        decoder = Decoder(self._formats, options=self._options)
        data = b""
        first: Span | None = None
        block = decoder.feed(b"")
        while first is None and (piece := stream.read(len(data), READ_BYTES)):
            data += piece
            block = decoder.feed(piece)
            first = _first_item(block)
        if first is None and (whole or stream.ended):
            block = decoder.finish()
            first = _first_item(block)
        if first is None:
            return None
        times = (record.timestamp for record in block.records if record.timestamp)
        return Identity(
            segment_of(data[first.start : first.end], self._instance),
            next(times, ""),
            data[: min(first.end, HEAD_BYTES_MAX)],
        )


def _first_item(block: Block) -> Span | None:
    return next((span for span, _ in block.items()), None)
