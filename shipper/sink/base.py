"""What a sink promises, and the three outcomes of a delivery.

A sink makes batches durable somewhere. It neither sleeps nor retries nor knows cursors: the lane
owns all three (`lane/run.py`). `deliver` returns: durable, perhaps with refused records. It raises
UnavailableError: nothing of the batch is promised, the lane delivers it again later, whole. It
raises MisconfiguredError: waiting does not help, the process ends with a status that says so.
Anything else that it raises is a defect of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

from msgspec import Struct

from shipper.clock import Clock, SystemClock
from shipper.model import Block
from shipper.notices import Tell, ignore
from shipper.policy import PolicySettings
from shipper.settings import Name

# Why an attempt failed; closed, because metrics use it as a label.
FAILURES: Final = (
    "unavailable",  # no answer, no connection, 5xx
    "timeout",
    "throttled",  # 429, or the target said to come later
    "rejected",  # the target understood and said no: read-only, disk full
    "protocol",  # the answer is not what the protocol says
    "auth",
)
# Why a record is refused for ever; closed likewise.
REFUSALS: Final = ("mapping", "too_large", "invalid", "other")


class Package(Protocol):
    """What a sink has made of the blocks of one batch; `PackingSink.package` begins one."""

    def add(self, block: Block) -> None:
        """Take the records of the next block; they need not be kept for this sink."""
        ...


class Batch(Struct, frozen=True):
    """Blocks of one segment, in order, to be made durable together."""

    segment: str  # names the segment: ASCII, unique among all servers that ship to one place
    path: str  # of the file, for people
    blocks: Sequence[Block]
    source: str = ""  # the source's name in the configuration
    # Where the sink packs: its own form of all the records, which the blocks do not have any more.
    package: Package | None = None

    @property
    def upto(self) -> int:
        """Offset up to which the segment is done once this batch is."""
        return self.blocks[-1].end

    @property
    def count(self) -> int:
        """Number of records in the blocks."""
        return sum(len(block.records) for block in self.blocks)


class Refusal(NamedTuple):
    """A record that the target will never take as it is."""

    offset: int  # of the record's first byte in the segment
    reason: str  # one of REFUSALS
    detail: str  # the target's own words
    document: bytes = b""  # JSON, as it was sent; where the sink has packed the record


class Receipt(Struct, frozen=True):
    """A batch is durable, except for the refused records. The counts add up to the batch."""

    new: int
    duplicates: int = 0  # the target held them already
    refusals: tuple[Refusal, ...] = ()
    size: int = 0  # payload bytes, before compression


class SinkSettings(PolicySettings, frozen=True, kw_only=True, tag_field="type"):
    """What every sink can be told; each sink's `Settings` adds its own."""

    # Default: the type. Names the lane in metrics, logs and the state: renaming starts it anew.
    name: Name | None = None
    # Names of the sources whose records come here; default: all.
    sources: tuple[Name, ...] | None = None
    # What the detector finds, as documents beside the records (`on`) or without them (`only`).
    # Needs the sink `metrics`, which detects. Off: nobody gets what they did not ask for.
    alerts: Literal["off", "on", "only"] = "off"


class Surroundings(Struct, frozen=True):
    """What a sink is given besides its settings."""

    clock: Clock = SystemClock()
    tell: Tell = ignore
    instance: str = ""  # which server this shipper sits beside: the operator's name for it
    source: str = ""  # the source whose records come; each source has a sink of its own


class Sink(Protocol):
    """A target. Made by `KIND(settings, surroundings)`, which must not do I/O that can block."""

    # Batches that may be under way at once; `deliver` is then called from as many threads.
    in_flight: int
    # Plain log bytes after which the lane closes a batch; a sink may change it between batches.
    batch_bytes: int

    def prepare(self) -> None:
        """Connect, and make what is missing at the target; called before the first delivery.

        Called again after it raised. Raises UnavailableError or MisconfiguredError.
        """
        ...

    def deliver(self, batch: Batch) -> Receipt:
        """Make a batch durable. Raises UnavailableError or MisconfiguredError; see above."""
        ...

    def check(self) -> Sequence[str]:
        """Say what stands in the way, each with what to do; changes nothing at the target."""
        ...

    def close(self) -> None:
        """Give up resources; what was delivered stays."""
        ...


@runtime_checkable
class PackingSink(Protocol):
    """A sink that packs records while they are in the processor's cache, block by block.

    A batch is then as small as what is sent, and nobody comes back to records that have left the
    cache meanwhile. Who refused records are is read from the log again.
    """

    def package(self, segment: str, path: str) -> Package:
        """Begin a batch of this segment; `deliver` gets it, complete, once or more."""
        ...


class RememberingSink(Sink, Protocol):
    """A target that can be asked what it holds, so that it needs no cursor beside it."""

    def position(self, segment: str) -> int:
        """Offset up to which this target already holds the segment; 0 if it never saw it."""
        ...
