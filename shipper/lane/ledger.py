"""What is known about segments and how far they are shipped. Values only; `state.py` keeps them."""

from __future__ import annotations

from msgspec import Struct

from shipper.model import Span
from shipper.refine.sequence import Sequences
from shipper.refine.sessions import Who


class Cursor(Struct):
    """How far a lane has shipped a segment, and what came of it."""

    offset: int = 0  # everything before it is shipped, refused, filtered or lost
    done: bool = False  # to the segment's end
    records: int = 0  # acknowledged as new
    duplicates: int = 0
    refused: int = 0
    filtered: int = 0
    defects: int = 0
    newest: str | None = None  # event time

    def has_all(self, size: int) -> bool:
        """Whether a segment of this size is over; at 0 is one that was not to be shipped."""
        return self.done and (self.offset == 0 or self.offset >= size)


class Ledgered(Struct, frozen=True):
    """A segment as the ledger knows it."""

    id: str
    path: str
    first_time: str
    size: int
    closed: bool


class Loss(Struct, frozen=True):
    """Bytes that a lane will never ship."""

    lane: str
    segment: str
    span: Span
    reason: str
    at: float


class Progress(Struct):
    """What a lane has achieved since its last commit, in one segment."""

    segment: Ledgered
    offset: int
    done: bool = False
    records: int = 0
    duplicates: int = 0
    refused: int = 0
    filtered: int = 0
    defects: int = 0
    newest: str | None = None
    losses: list[tuple[Span, str]] = []


class LaneState(Struct):
    """What a lane knew when it committed last."""

    cursors: dict[str, Cursor]
    sessions: dict[int, Who]
    sequences: Sequences
    sink: bytes | None
