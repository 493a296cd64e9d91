"""Who a connection belongs to, for records that do not say it themselves.

Percona 5.5/5.6 writes `Quit` with empty user, host and address (formats.md 1.6), Enterprise OLD
and the filter plugin write statements without them, MariaDB's plugin on MySQL disconnects without
a user (4.1). The `Connect` of the same connection id has them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

from shipper.model import AUDIT_START, CHANGE_USER, CONNECT, DISCONNECT, AuditRecord

# MySQL's own ceiling for max_connections is 100,000; sessions whose end was never logged go first.
SESSIONS_MAX: Final = 100_000
# Ids are given in order but logged by concurrent threads: a new id this far below a remembered one
# can only mean that the server started again, and its counter with it.
REORDERED_IDS_MAX: Final = 1_000

JOINED: Final = "joined"


class _Who(NamedTuple):
    user: str | None
    priv_user: str | None
    os_login: str | None
    proxy_user: str | None
    host: str | None
    ip: str | None


class Sessions:
    """The open sessions of one log; `join` fills gaps in place and says so in `extra.joined`."""

    def __init__(self) -> None:
        """Begin with no session known."""
        self._open: OrderedDict[int, _Who] = OrderedDict()
        self._highest = 0

    def join(self, records: Iterable[AuditRecord]) -> None:
        """Take records in the order of the log; complete those whose user is missing or empty."""
        for record in records:
            kind = record.kind
            if kind == CONNECT:
                self._begin(record)
            elif not record.user:
                self._complete(record)
            if kind == DISCONNECT:
                self._open.pop(record.connection_id or 0, None)
            elif kind == CHANGE_USER and record.status == 0:
                self._begin(record)
            elif kind == AUDIT_START:
                self._forget()

    def _begin(self, record: AuditRecord) -> None:
        number = record.connection_id
        if number is None:
            return
        if number + REORDERED_IDS_MAX < self._highest:
            self._forget()
        self._highest = max(self._highest, number)
        self._open[number] = _Who(
            record.user,
            record.priv_user,
            record.os_login,
            record.proxy_user,
            record.host,
            record.ip,
        )
        self._open.move_to_end(number)
        if len(self._open) > SESSIONS_MAX:
            self._open.popitem(last=False)

    def _forget(self) -> None:
        self._open.clear()
        self._highest = 0

    def _complete(self, record: AuditRecord) -> None:
        # The filter plugin's command records carry the id of another connection (formats.md 2.3).
        if record.name.lower().startswith("command"):
            return
        who = self._open.get(record.connection_id or 0)
        if who is None:
            return
        joined = []
        for field, value in zip(_Who._fields, who, strict=True):
            if value and not getattr(record, field):
                setattr(record, field, value)
                joined.append(field)
        if joined:
            record.extra = {**(record.extra or {}), JOINED: joined}
