"""Everything worth telling, as values. Rooms tell; logs and metrics listen.

A notice is told once a batch or block, never once a record. Texts in notices may come from a log
or a server and are not safe to print: whoever prints them escapes them. Names of sources and sinks
are the operator's own, from the configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from shipper.detection import Detection
from shipper.model import Span


class Notice(Struct, frozen=True):
    """Base of all notices: which source it is about."""

    source: str


class Started(Notice, frozen=True):
    """A lane begins, or begins again after a restart, at this position."""

    sink: str
    segment: str
    offset: int


class Opened(Notice, frozen=True):
    """A segment was found and will be read."""

    segment: str
    path: str
    size: int


class Rotated(Notice, frozen=True):
    """The name that is followed now belongs to another file; the old one is read to its end."""

    path: str


class Truncated(Notice, frozen=True):
    """The file became shorter than what was read of it."""

    path: str
    size: int  # bytes now
    read: int  # bytes read before


class Finished(Notice, frozen=True):
    """A segment was shipped to its end by this sink."""

    sink: str
    segment: str
    size: int


class Lost(Notice, frozen=True):
    """Bytes that this sink will never get: the file is gone or was cut."""

    sink: str
    segment: str
    span: Span
    reason: str  # one of GAPS


class Endangered(Notice, frozen=True):
    """Bytes that cannot be held against deletion, announced while they still exist."""

    path: str
    unshipped: int  # bytes
    detail: str


class Taken(Notice, frozen=True):
    """A lane took decoded records; they will be filtered, delivered, refused or still pending."""

    sink: str
    records: int
    defects: int
    size: int  # plain bytes of the log


class Filtered(Notice, frozen=True):
    """Records left out on purpose."""

    sink: str
    filter: str  # the setting that left them out: policy, accounts, commands, databases
    records: int


class Attempted(Notice, frozen=True):
    """One attempt at delivering a batch; `failure` is None where it was acknowledged."""

    sink: str
    seconds: float
    failure: str | None
    attempt: int  # 1 for the first


class Delivered(Notice, frozen=True):
    """A batch is durable in the sink."""

    sink: str
    records: int  # acknowledged as new
    duplicates: int  # the sink had them already
    size: int  # payload bytes
    newest: str | None  # event time of the newest record, RFC 3339


class Refused(Notice, frozen=True):
    """Records that the sink will never take; they are in the dead letters."""

    sink: str
    reason: str
    records: int
    example: str  # the target's own words for the first of them


class Dropped(Notice, frozen=True):
    """Records or input lost on purpose, because the configuration says so."""

    sink: str  # "" where it happened before any lane: a full spool
    reason: str
    records: int
    size: int | None = None  # bytes; the kernel does not say how large a datagram was


class Waiting(Notice, frozen=True):
    """A delivery failed and will be tried again."""

    sink: str
    detail: str
    seconds: float  # until the next attempt
    attempt: int


class Detected(Notice, frozen=True):
    """The detector found something in the records; told again after a crash, with the same id."""

    detection: Detection


class Saved(Notice, frozen=True):
    """The cursor of a lane is durable."""

    sink: str
    segment: str
    offset: int


class Trouble(Notice, frozen=True):
    """Something that needs an operator; it stays true until it is told as mended."""

    sink: str
    detail: str
    down: bool = False  # the sink gets nothing until then; false for what is only worth knowing


class Mended(Notice, frozen=True):
    """An earlier trouble is over."""

    sink: str
    detail: str
    down: bool = False  # as it was for the trouble


class Fatal(Notice, frozen=True):
    """The daemon ends because of this; `source` and `sink` are "" where no lane failed."""

    sink: str
    detail: str


class Rejected(Notice, frozen=True):
    """Senders that misbehaved since the last such notice; told in sums, never one by one."""

    reason: str  # one of REJECTIONS
    count: int
    example: str  # one of the senders, as far as it is known


# Why a sender was sent away, or its message not taken whole.
REJECTIONS = (
    "too_many_connections",
    "framing",  # neither of the two ways in which syslog messages follow each other
    "stalled",  # a message or handshake was begun and not ended
    "tls",  # no handshake, or no certificate that is trusted
    "too_large",  # a message was cut at the limit
)

Tell: TypeAlias = Callable[[Notice], None]

# Why bytes were lost (observability.md 1.4, source_gaps_total).
GAPS = ("rotated_file_missing", "truncated_unread", "record_sequence", "damaged_archive")


def ignore(_notice: Notice) -> None:
    """Listen to nothing: for one-shot commands and tests that do not care."""
