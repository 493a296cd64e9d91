"""Read a file once, in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from shipper.errors import UsageError

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
