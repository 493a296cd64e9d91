r"""Bodies of bulk requests, and how they are cut. Pure.

{"create":{"_index":"mysql-audit-2024.09.03","_id":"9f…-495"}}\n{"@timestamp":…}\n
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Final, NamedTuple

from isal import isal_zlib

GZIP: Final = isal_zlib.MAX_WBITS | 16  # with its header and trailer


class Body(NamedTuple):
    """Pairs of lines, action and document, for each of `offsets`."""

    lines: bytes
    offsets: Sequence[int]
    plain_size: int | None = None  # bytes of the lines, where `lines` is their gzip

    @property
    def size(self) -> int:
        """Bytes before compression."""
        return len(self.lines) if self.plain_size is None else self.plain_size

    @property
    def split(self) -> list[bytes]:
        """The lines, two for each offset."""
        packed = self.plain_size is not None
        lines = isal_zlib.decompress(self.lines, wbits=GZIP) if packed else self.lines
        return lines.splitlines(keepends=True)


def halves(body: Body) -> tuple[Body, Body]:
    """Cut a body of at least two documents into two."""
    lines = body.split
    middle = len(body.offsets) // 2
    return (
        Body(b"".join(lines[: 2 * middle]), body.offsets[:middle]),
        Body(b"".join(lines[2 * middle :]), body.offsets[middle:]),
    )


def fitting(body: Body, limit: int) -> Iterator[Body]:
    """Cut a body until each piece fits into `limit` bytes, or is one document."""
    if body.size <= limit or len(body.offsets) == 1:
        yield body
        return
    for half in halves(body):
        yield from fitting(half, limit)


def without(body: Body, settled: Container[int]) -> Body:
    """Leave out the documents at these offsets."""
    lines = body.split
    kept = [index for index, offset in enumerate(body.offsets) if offset not in settled]
    return Body(
        b"".join(lines[2 * index] + lines[2 * index + 1] for index in kept),
        [body.offsets[index] for index in kept],
    )
