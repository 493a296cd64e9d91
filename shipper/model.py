"""The vocabulary: what a decoder says and every later room understands.

Rule for editing: nothing of ours is imported here, and a value's meaning does not depend on the
format it came from. What one format only has goes under `extra`, but for `query_id`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from enum import StrEnum
from itertools import compress
from typing import Annotated, Any, Final, NamedTuple

from msgspec import Meta, Struct

# Kinds of record. Plain interned strings: they are stored in every record, compared by identity in
# dicts, and written out as they are.
CONNECT: Final = "connect"
DISCONNECT: Final = "disconnect"
CHANGE_USER: Final = "change_user"
QUERY: Final = "query"
COMMAND: Final = "command"
TABLE: Final = "table"
AUDIT_START: Final = "audit_start"
AUDIT_STOP: Final = "audit_stop"
OTHER: Final = "other"
KINDS: Final = (
    CONNECT,
    DISCONNECT,
    CHANGE_USER,
    QUERY,
    COMMAND,
    TABLE,
    AUDIT_START,
    AUDIT_STOP,
    OTHER,
)

# A finding of our own detector on its way to the sinks. No server writes it and no decoder of a log
# gives it, so it is not among KINDS: what is counted, filtered and detected never sees it.
ALERT: Final = "alert"

SESSION_KINDS: Final = frozenset((CONNECT, DISCONNECT, CHANGE_USER))
# Somebody says who they are, and is let in or refused.
LOGIN_KINDS: Final = frozenset((CONNECT, CHANGE_USER))


# The name of `AuditRecord.query_id` in documents.
QUERY_ID: Final = "query_id"


class Span(NamedTuple):
    """A byte range of one segment: plain bytes after decompression, `end` exclusive."""

    start: int
    end: int


# What every store and index can hold.
Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Shared(dict[str, Any]):
    """An `extra` that many records have. Nobody changes it, so what was made of it can be kept."""

    __slots__ = ("parted",)

    def __init__(self, values: dict[str, Any]) -> None:
        """Take what the records have in common."""
        super().__init__(values)
        self.parted: Any = None  # of document.columns


class AuditRecord(Struct, gc=False):
    """One record of an audit log, by meaning.

    `None` means the record does not have the field; `""` means it says that the value is empty.
    Values are decoded text: unescaped, and never the long form `root[root] @ localhost []`.
    gc=False: a record holds text, numbers and one plain dict, never a cycle. The fields stand in
    the order of a general record in Percona's JSON: the typed decoder looks for the next key there.
    """

    name: str = ""  # the server's own word: "Connect", "FAILED_CONNECT", "table_access" events ...
    record: str | None = None  # RECORD, RECORD_ID or id, as written
    timestamp: str | None = None  # RFC 3339 in UTC, "2024-09-03T01:53:33Z"; None: not readable
    command_class: str | None = None
    connection_id: Number | None = None
    status: Number | None = None  # MySQL error number, 0 = success
    sqltext: str | None = None
    user: str | None = None  # the login name the client gave
    host: str | None = None  # of the client
    os_login: str | None = None  # external user set by the authentication plugin
    ip: str | None = None  # of the client; "" for sockets
    db: str | None = None
    priv_user: str | None = None  # the account whose privileges are used
    proxy_user: str | None = None
    kind: str = OTHER
    format: str = ""  # the layout that this very record was read with, "percona-json"
    extra: dict[str, Any] | None = None
    # MariaDB's number of the statement, which its rows of tables have too. Documents have it under
    # `extra`; here it stands aside, or no two records could share one.
    query_id: Number | None = None

    @property
    def details(self) -> dict[str, Any] | None:
        """Give `extra` as documents have it: the number comes first."""
        if self.query_id is None:
            return self.extra
        number = {QUERY_ID: self.query_id}
        return number | (self.extra or {}) | number


class Reason(StrEnum):
    """Why a byte range holds no record. Closed, because metrics use it as a label."""

    CUT = "cut"  # a record begins here but its end is missing
    MALFORMED = "malformed"  # a whole record that cannot be read
    FOREIGN = "foreign"  # bytes that begin no record of any known format
    TOO_LARGE = "too_large"  # a record beyond the size limit


class Defect(Struct, frozen=True, gc=False):
    """A byte range that could not be read as a record; the bytes stay findable by `span`."""

    reason: Reason
    detail: str  # for a person: what was expected, and where
    span: Span
    excerpt: bytes  # the first bytes of the range, at most EXCERPT_BYTES


# An excerpt is for recognising a range, not for keeping it: two terminal lines are enough.
EXCERPT_BYTES: Final = 160


class Marked(NamedTuple):
    """Some records of a block, in its order, and where they start."""

    records: list[AuditRecord]
    starts: list[int]


class Block(Struct, gc=False):
    """What one call of a decoder found, in file order.

    `starts[i]` and `ends[i]` are the span of `records[i]`. Everything in `start`..`end` that is in
    no record and no defect is framing: headers, footers, separators, blanks, padding.

    A block does not change once it was asked for `marked`, but for what joining sessions adds.
    """

    start: int
    end: int
    records: list[AuditRecord]
    starts: list[int]
    ends: list[int]
    defects: list[Defect]
    _marked: Marked | None = None

    @property
    def marked(self) -> Marked:
        """Give what somebody has to look at: all but statements that worked and say whose they are.

        Looking at each record costs more than most of what is done with one, so the room that joins
        sessions, the one that counts and the one that detects share this; each of them leaves out
        what it does not want. Computed once.
        """
        if self._marked is None:
            wanted = [
                record.status or record.kind is not QUERY or not record.user
                for record in self.records
            ]
            some, starts = compress(self.records, wanted), compress(self.starts, wanted)
            self._marked = Marked(list(some), list(starts))
        return self._marked

    @property
    def items_end(self) -> int:
        """End of the last record or defect; `start` where there is none.

        Framing behind it may be taken back by the server.
        """
        ends = self.ends[-1:] + [defect.span.end for defect in self.defects[-1:]]
        return max(ends, default=self.start)

    def since(self, offset: int) -> Block:
        """Leave out what starts before `offset`, an item boundary."""
        first = bisect_left(self.starts, offset)
        return Block(
            max(self.start, offset),
            self.end,
            self.records[first:],
            self.starts[first:],
            self.ends[first:],
            [defect for defect in self.defects if defect.span.start >= offset],
        )

    def items(self) -> Iterator[tuple[Span, AuditRecord | Defect]]:
        """Merge records and defects, with their spans, in the order of the file."""
        defects = iter(self.defects)
        defect = next(defects, None)
        for start, end, record in zip(self.starts, self.ends, self.records, strict=True):
            while defect is not None and defect.span.start < start:
                yield defect.span, defect
                defect = next(defects, None)
            yield Span(start, end), record
        while defect is not None:
            yield defect.span, defect
            defect = next(defects, None)
