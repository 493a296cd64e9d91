"""What a format is, and the few things that all formats share.

A format is a pure reader of one layout. It answers four questions about bytes that the engine
(`engine.py`) holds; it never sees a file, a clock or a log. Adding one: CONTRIBUTING.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import ClassVar, Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

from msgspec import Struct

from shipper.decode.timestamps import Clock
from shipper.model import AuditRecord

Value = TypeVar("Value")

# What the engine holds: bytes, or a bytearray where a record is so large that it grows in place.
Data: TypeAlias = bytes | bytearray

# 16 MiB: sixteen times the largest default max_allowed_packet in use, so no ordinary statement is
# refused, and small enough to hold twice in a sidecar's memory.
RECORD_BYTES_MAX: Final = 16 * 1024 * 1024

# Answers of `Format.end` besides an index.
MORE: Final = 0  # the end may still come
BROKEN: Final = -1  # no continuation can make this a record


class Options(Struct, frozen=True, kw_only=True):
    """What a decoder cannot know from the bytes."""

    timezone: tzinfo = UTC  # of the server; for formats that write local time without a zone
    record_bytes_max: int = RECORD_BYTES_MAX  # beyond it: a Defect
    # RFC 3164 syslog lines have no year: the latest one that is not after this time is taken.
    latest: datetime = datetime(9999, 12, 31, tzinfo=UTC)


def latest(now: float) -> datetime:
    """Give `Options.latest` for `now`, seconds since 1970: no clock is a day ahead of ours."""
    return datetime.fromtimestamp(now, UTC) + timedelta(days=1)


class Decoded(NamedTuple):
    """Records of one block with their absolute spans, in order."""

    records: Sequence[AuditRecord]
    starts: Sequence[int]
    ends: Sequence[int]


class Format(Protocol):
    """One layout. Instances belong to one decoder; they may keep memos but no position."""

    name: ClassVar[str]
    # Regular expression of a record's first bytes, matched at the record's first byte. It must
    # decide within LOOKAHEAD bytes, use no `$` and no negative look-ahead: a match on a prefix of
    # the input must stay a match when more bytes arrive. Unless it begins with one of
    # STARTS_OF_SEVERAL_LINES, it does not look behind the end of its line.
    start: ClassVar[bytes]
    # Regular expression of starts that cannot occur inside an intact record of this format:
    # meeting one before the end proves that the record was cut.
    interrupted_by: ClassVar[bytes]
    # A format may also have `found_by: ClassVar[bytes]`: a stricter `start`, which may look behind,
    # for finding the next record after bytes that begin none. Elsewhere it is `start`. What it
    # finds in mid-line begins with one of `<{"0123456789`.
    #
    # And it may have `header: ClassVar[bytes]`, where others share its lines: a regular expression
    # that matches at the start of each line, within LOOKAHEAD bytes. Nothing behind it on the line
    # is the start of a record (whoever chooses a name there could take the lines behind it along),
    # but for what `found_by` finds: the line was cut, and the next one stands behind it.

    def __init__(self, context: Context, /) -> None:
        """Make a reader for one decoder."""
        ...

    def cut(self, data: Data, start: int, stop: int, /) -> int:
        """Say where the last whole record in `data[start:stop]` surely ends; `start` if unknown."""
        ...

    def fast(self, block: bytes, offset: int, /) -> Decoded | None:
        """Read a block of whole records at once.

        All or nothing: None unless every byte of the block is accounted for and every record
        reads exactly as `careful` would read it. `offset` is the block's place in the segment.
        """
        ...

    def end(self, data: Data, start: int, final: bool, /) -> int:  # noqa: FBT001 hot call
        """Find the end of the record that starts at `start`: an index, MORE or BROKEN.

        A negative index: the record was cut, and what stands at that index is no part of it.
        The answer must not change when more bytes arrive, and BROKEN must be known no later than
        an interrupt is visible. `final`: no more will.
        """
        ...

    def careful(self, raw: bytes, /) -> AuditRecord:
        """Read one record, taking the trouble that `fast` does not. Raises MalformedError."""
        ...


class Context:
    """What the formats of one decoder share: the options, the clock, and the place."""

    def __init__(self, options: Options) -> None:
        """Make the memos; they are bounded and live as long as the decoder."""
        self.options = options
        self.clock = Clock(options.timezone)
        # Of the item that is being looked for. While it stays, `end` is asked about the same
        # bytes and more behind them, so what was learnt of them stays true.
        self.item = 0


class Seen:
    """How far the item that is being looked for was searched from one of its bytes on.

    An item that arrives in many pieces is asked about once a piece: it goes on from there, or a
    long value full of quotes would cost the square of its length.
    """

    def __init__(self, context: Context) -> None:
        """Have seen nothing yet."""
        self._context = context
        self._of = (-1, 0)
        self._to = 0

    def get(self, begin: int) -> int:
        """Give the index to go on from, for a search that began at `begin`, or `begin`."""
        return self._to if self._of == (self._context.item, begin) else begin

    def set(self, begin: int, to: int) -> None:
        """Remember it. Indexes count from the first byte of the item."""
        self._of, self._to = (self._context.item, begin), to


class Memo(dict[str, Value], Generic[Value]):
    """A bounded memo of a pure function of text: forgets everything when full.

    Log content is chosen by attackers, so no memo may grow without a limit. Full clearing costs
    one pass of recomputation and needs no bookkeeping on the hot path.
    """

    # 4096 distinct accounts, seconds or names in a row cover any real server's working set.
    ENTRIES_MAX: ClassVar[int] = 4096

    def __init__(self, compute: Callable[[str], Value]) -> None:
        """Remember what `compute` gives; what it raises is not remembered."""
        super().__init__()
        self._compute = compute

    def __missing__(self, key: str) -> Value:
        if len(self) >= self.ENTRIES_MAX:
            self.clear()
        value = self[key] = self._compute(key)
        return value


# --- Starts that hold an unescaped double quote: they cannot occur inside a value of any format
# --- that escapes or doubles the quote (XML, JSON, CSV), so there they prove a cut record.
XML_HEADER: Final = rb'<\?xml version="1\.0"'
# The first character of the value belongs to it: a JSON or CSV value may end `<AUDIT_RECORD A=`.
OLD_START: Final = rb'<AUDIT_RECORD\s+"?[A-Z_]+"?="[0-9A-Za-z]'
# The plugin writes no blanks; tools that wrote its lines anew do.
PERCONA_JSON_START: Final = rb'\{ {0,2}"audit_record" {0,2}: {0,2}\{ {0,2}"'
CSV_START: Final = rb'"(?:clone|[A-Z][A-Za-z ]{1,30})","\d{1,20}_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d","'
ARRAY_START: Final = rb'\{\s*"timestamp"\s*:\s*"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"\s*,\s*"id"\s*:\s*\d'
MCAFEE_START: Final = rb'\{"msg-type":"(?:header|activity)"'
OUTBRAIN_START: Final = rb'\{"ts":"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d","type":"'
QUOTED_STARTS: Final = b"|".join(
    (
        XML_HEADER,
        OLD_START,
        PERCONA_JSON_START,
        CSV_START,
        ARRAY_START,
        MCAFEE_START,
        OUTBRAIN_START,
    )
)
XML_STARTS: Final = rb"<AUDIT_RECORD|<\?xml|</?AUDIT>"

STARTS_OF_SEVERAL_LINES: Final = b"<{"  # XML and JSON may be laid out
# `Format.interrupted_by` where no start proves anything by itself: `end` judges.
NEVER: Final = rb"[^\s\S]"

LOOKAHEAD: Final = 4096  # bytes within which `start` must decide; connection rows are under 1 KiB


def without_line_end(raw: bytes) -> bytes:
    """Give a record without the line feed at its end, and without the CR that may precede it."""
    return raw.removesuffix(b"\n").removesuffix(b"\r")


def never_cut(data: Data, start: int, stop: int) -> int:  # noqa: ARG001 the shape of Format.cut
    """`Format.cut` of the formats without a fast path."""
    return start


def never_fast(block: bytes, offset: int) -> Decoded | None:  # noqa: ARG001 likewise of `fast`
    """`Format.fast` of the formats without one."""
    return None


def last_line_end(data: Data, start: int, stop: int) -> int:
    """`Format.cut` of the formats with one record a line."""
    return max(data.rfind(b"\n", start, stop) + 1, start)


def line_end(data: Data, start: int, final: bool) -> int:  # noqa: FBT001 the shape of Format.end
    """`Format.end` of the formats with one record a line; the line feed belongs to the record."""
    end = data.find(b"\n", start) + 1
    return end or (len(data) if final else MORE)
