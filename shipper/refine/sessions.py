"""Who a connection belongs to, for records that do not say it themselves.

Percona 5.5/5.6 writes `Quit` with empty user, host and address (formats.md 1.6), Enterprise OLD
and the filter plugin write statements without them, MariaDB's plugin on MySQL disconnects without
a user (4.1). The `Connect` of the same connection id has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from operator import attrgetter
from typing import Any, Final, NamedTuple

from msgspec import Struct

from shipper.model import AUDIT_START, CHANGE_USER, CONNECT, DISCONNECT, AuditRecord

# MySQL's own ceiling for max_connections is 100,000; sessions whose end was never logged go first.
SESSIONS_MAX: Final = 100_000
# Ids are given in order but logged by concurrent threads: a new id this far below a remembered one
# can only mean that the server started again, and its counter with it.
REORDERED_IDS_MAX: Final = 1_000

JOINED: Final = "joined"


class Who(NamedTuple):
    """What a session's `Connect` said."""

    user: str | None
    priv_user: str | None
    os_login: str | None
    proxy_user: str | None
    host: str | None
    ip: str | None


class _Known(dict[tuple[Any, ...], Who]):
    """A bounded memo: one `Who` for all sessions of an account from a client, in every table."""

    # As many as the decoders' memos keep: servers have fewer accounts and clients than that.
    ENTRIES_MAX: Final = 4096
    # Names are short; 4096 long ones, which an attacker may choose, would be a lot of memory.
    CHARS_MAX: Final = 1024

    def __missing__(self, fields: tuple[Any, ...]) -> Who:
        who = Who(*fields)
        if sum(len(value) for value in who if value) <= self.CHARS_MAX:
            if len(self) >= self.ENTRIES_MAX:
                self.clear()
            self[who] = who
        return who


_KNOWN: Final = _Known()
_FIELDS: Final = attrgetter(*Who._fields)


def shared(who: Who) -> Who:
    """Give an equal one that others use already."""
    return _KNOWN[who]


class Changes(Struct):
    """What a run of records did to the table of sessions, for whoever keeps it elsewhere."""

    cleared: bool = False  # first everything was forgotten
    sessions: dict[int, Who | None] = {}  # then these were set, or ended (None)

    def add(self, later: Changes) -> None:
        """Let `later` happen after this."""
        if later.cleared:
            self.cleared, self.sessions = True, {}
        self.sessions.update(later.sessions)

    def apply(self, sessions: dict[int, Who]) -> None:
        """Change a table as the records did."""
        if self.cleared:
            sessions.clear()
        ended = [number for number, who in self.sessions.items() if who is None]
        table: dict[int, Any] = sessions
        table.update(self.sessions)
        for number in ended:
            del table[number]


class Sessions:
    """The open sessions of one log; `join` fills gaps in place and says so in `extra.joined`."""

    def __init__(self, known: Mapping[int, Who] | None = None) -> None:
        """Begin with the sessions that are known to be open."""
        self._open: dict[int, Who] = dict(known or {})  # the latest to begin is last
        self._highest = max(self._open, default=0)
        self._changes = Changes()

    def take_changes(self) -> Changes:
        """Give what happened since the last call."""
        changes, self._changes = self._changes, Changes()
        return changes

    def join(self, records: Iterable[AuditRecord]) -> None:
        """Complete records whose user is missing or empty.

        They come in the order of the log; those that a block has not marked may be left out.
        """
        # Nearly all of them are the begin or the end of a session.
        for record in records:
            kind = record.kind
            if kind == CONNECT:
                self._begin(record)
                continue
            if not record.user:
                self._complete(record)
            if kind == DISCONNECT:
                self._end(record.connection_id or 0)
            elif kind == CHANGE_USER and record.status == 0:
                self._begin(record)
            elif kind == AUDIT_START:
                self._forget()

    def _begin(self, record: AuditRecord) -> None:
        number = record.connection_id
        if number is None:
            return
        if number > self._highest:
            self._highest = number
        elif number + REORDERED_IDS_MAX < self._highest:
            self._forget()
            self._highest = number
        opened = self._open
        if number in opened:
            del opened[number]
        opened[number] = self._changes.sessions[number] = _KNOWN[_FIELDS(record)]
        if len(opened) > SESSIONS_MAX:
            # Some at once: finding the oldest of a dict walks over all that went before.
            for oldest in list(islice(self._open, 1 + SESSIONS_MAX // 100)):
                self._end(oldest)

    def _end(self, number: int) -> None:
        if self._open.pop(number, None) is not None:
            self._changes.sessions[number] = None

    def _forget(self) -> None:
        self._open.clear()
        self._highest = 0
        self._changes = Changes(cleared=True)

    def _complete(self, record: AuditRecord) -> None:
        # The filter plugin's command records carry the id of another connection (formats.md 2.3).
        if record.name.lower().startswith("command"):
            return
        who = self._open.get(record.connection_id or 0)
        if who is None:
            return
        joined = []
        for field, value in zip(Who._fields, who, strict=True):
            if value and not getattr(record, field):
                setattr(record, field, value)
                joined.append(field)
        if joined:
            record.extra = {**(record.extra or {}), JOINED: joined}
