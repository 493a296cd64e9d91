"""Read a file once, in pieces.

A segment is known by its content, not its name: the digest of its first item. A renamed or copied
log is the same segment, a new log under the old name is another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from shipper.errors import UsageError
from shipper.model import Span

READ_BYTES: Final = 128 * 1024  # one block of the decoder


def open_log(path: Path) -> BinaryIO:
    """Open a log for reading, unbuffered. Raises UsageError with what to do."""
    try:
        return path.open("rb", buffering=0)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def pieces(log: BinaryIO) -> Iterator[bytes]:
    """Give the bytes from the current place to the end."""
    while piece := log.read(READ_BYTES):
        yield piece


def digest_of(log: BinaryIO, span: Span) -> str:
    """Name the segment whose first item stands at `span`: 128 bits in hexadecimal."""
    log.seek(span.start)
    digest = hashlib.blake2b(digest_size=16)
    left = span.end - span.start
    while left > 0 and (piece := log.read(min(left, READ_BYTES))):
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()
