"""Find out that a file is another log than the one that was shipped under its identity.

A log's identity is its first item. Two servers whose logs begin with the same record would count as
one, and what the second has more would be dropped without a word. What can be seen of that is
refused: the way out is a name for the server (`--instance`).
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from shipper.errors import DamagedError, UsageError
from shipper.model import Span
from shipper.source.file import READ_BYTES, Log

_ADVICE: Final = "If it is another server's log, ship it with --instance NAME"


@runtime_checkable
class KnowsPaths(Protocol):
    """A target that can say where it saw a segment."""

    def path_of(self, segment: str) -> str | None:
        """Give the path that the segment was last shipped from; None if it never was."""
        ...


def refuse_shorter(log: Log, size: int, held: int) -> None:
    """Refuse a file that ends before what the target has of it. Raises UsageError."""
    if held > size:
        raise UsageError(
            f"{log.path} ends at byte {size:,}, but the target has {held:,} bytes of a log that "
            f"begins with the same record. {_ADVICE}; if it is a copy that was cut short, nothing "
            "is missing in the target"
        )


def refuse_other(log: Log, other: Log, held: int) -> None:
    """Refuse a file that says something else than `other`, which begins with the same item.

    Compared are the bytes that the target has, as far as both files hold them. Raises UsageError.
    """
    at = 0
    while at < held:
        size = min(READ_BYTES, held - at)
        ours, theirs = _read(log, at, size), _read(other, at, size)
        size = min(len(ours), len(theirs))
        if ours[:size] != theirs[:size]:
            common = next(i for i in range(size) if ours[i] != theirs[i])
            raise UsageError(
                f"{log.path} begins with the same record as {other.path}, which was shipped, but "
                f"is another log: they differ at byte {at + common:,}. {_ADVICE}"
            )
        if not size:
            return
        at += size


def inside(path: Path, span: Span, held: int) -> UsageError:
    """Say why to go on from the middle of a record is refused."""
    return UsageError(
        f"{path}: the target has it up to byte {held:,}, which is inside of a record (bytes "
        f"{span.start:,} to {span.end:,}): either that record was not finished when the file was "
        f"shipped with --final, or this is not the same log. {_ADVICE}"
    )


def _read(log: Log, at: int, size: int) -> bytes:
    """Read up to `size` bytes, fewer at the end of what can be read."""
    data = b""
    with suppress(DamagedError):
        while len(data) < size and (piece := log.read(at + len(data), size - len(data))):
            data += piece
    return data
