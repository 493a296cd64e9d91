"""What happened lately, for the status page: refused logins, findings, troubles, rates.

Everything is bounded, also against a log that is written to fill it: rings of the newest, and
counts in buckets of time. Nothing is kept over a restart: metrics and the index are for that.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from copy import copy
from operator import attrgetter
from typing import Any, Final

from msgspec import Struct

from shipper.addresses import source_of
from shipper.clock import Clock, seconds_of
from shipper.codes import is_probe, lookup
from shipper.detection import Detection
from shipper.model import LOGIN_KINDS, AuditRecord
from shipper.notices import (
    Attempted,
    Delivered,
    Detected,
    Dropped,
    Endangered,
    Lost,
    Mended,
    Notice,
    Refused,
    Trouble,
    Waiting,
)

# A page that a person reads: what does not fit is in the index, the store or the log.
REFUSED_MAX: Final = 30
FINDINGS_MAX: Final = 20
TROUBLES_MAX: Final = 20
# Fifteen minutes in points of ten seconds: what somebody who is called wants to see first.
BUCKET_SECONDS: Final = 10
BUCKETS: Final = 90
# Names are at most 128 characters in any server; what is longer is an attack.
TEXT_MAX: Final = 256
_STATUS: Final = attrgetter("status")


class RefusedLogin(Struct):
    """Logins that a server refused: of the same user, from the same source, for the same reason."""

    log: str  # name of the source, from the configuration
    user: str
    source: str  # address, host name or "(socket)"
    error: int
    symbol: str
    first: str | None = None  # RFC 3339, as the record has it
    last: str | None = None
    count: int = 0


class Event(Struct):
    """Something that an operator may want to know; the same again only counts."""

    kind: str
    log: str
    sink: str
    text: str
    first: float  # seconds since 1970
    last: float
    count: int = 1


class Outcome(Struct):
    """How a sink does."""

    failure: str | None = None  # of the last attempt: one of sink.base.FAILURES, or "trouble"
    tried: bool = False
    records: int = 0  # acknowledged since the start
    newest: float | None = None  # event time of the newest acknowledged record


class Rate:
    """Counts in buckets of time, the newest BUCKETS of them."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._counts: deque[int] = deque([0] * BUCKETS, BUCKETS)
        self._newest = 0

    def add(self, now: float, count: int) -> None:
        """Count something at `now`, seconds since 1970."""
        self._move(now)
        self._counts[-1] += count

    def view(self, now: float) -> list[int]:
        """Give the counts, oldest first."""
        self._move(now)
        return list(self._counts)

    def _move(self, now: float) -> None:
        bucket = int(now // BUCKET_SECONDS)
        self._counts.extend([0] * min(BUCKETS, max(0, bucket - self._newest)))
        self._newest = max(self._newest, bucket)


class Recent:
    """Listens; is asked by the status page from another thread."""

    def __init__(self, clock: Clock) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._lock = threading.Lock()
        self.started = clock.now()
        self._refused: dict[tuple[str, str, str, int], RefusedLogin] = {}
        self._findings: deque[tuple[float, str, Detection]] = deque(maxlen=FINDINGS_MAX)
        self._events: dict[tuple[str, str, str], Event] = {}
        self._outcomes: dict[tuple[str, str], Outcome] = {}
        self._records: dict[tuple[str, str], Rate] = {}
        self._refusals = Rate()

    def hear(self, notice: Notice) -> None:
        """Remember what the page shows; called from every lane's thread."""
        handle = _HANDLERS.get(type(notice))
        if handle is not None:
            with self._lock:
                handle(self, notice)

    def see(self, records: Iterable[AuditRecord], log: str) -> None:
        """Look for refused logins."""
        refused = [
            record
            for record in filter(_STATUS, records)
            if record.kind in LOGIN_KINDS and not is_probe(record.status or 0, record.user)
        ]
        if refused:
            with self._lock:
                self._refusals.add(self._clock.now(), len(refused))
                for record in refused:
                    self._refuse(record, log)

    def _refuse(self, record: AuditRecord, log: str) -> None:
        user, status = (record.user or "")[:TEXT_MAX], record.status or 0
        key = log, user, source_of(record.ip, record.host), status
        # Removed and put in again: the newest are at the end.
        login = self._refused.pop(key, None)
        if login is None:
            symbol = lookup(status, record.format).symbol
            login = RefusedLogin(*key, symbol, first=record.timestamp)
        login.last, login.count = record.timestamp, login.count + 1
        self._refused[key] = login
        if len(self._refused) > REFUSED_MAX:
            del self._refused[next(iter(self._refused))]

    # --- one method a kind of notice ---------------------------------------------------------

    def _attempted(self, notice: Attempted) -> None:
        outcome = self._outcomes.setdefault((notice.source, notice.sink), Outcome())
        outcome.tried, outcome.failure = True, notice.failure

    def _delivered(self, notice: Delivered) -> None:
        key = notice.source, notice.sink
        outcome = self._outcomes.setdefault(key, Outcome())
        outcome.records += notice.records
        if notice.newest is not None:
            newest = seconds_of(notice.newest)
            outcome.newest = max(newest, outcome.newest or newest)
        self._records.setdefault(key, Rate()).add(self._clock.now(), notice.records)

    def _detected(self, notice: Detected) -> None:
        self._findings.append((self._clock.now(), notice.source, notice.detection))

    def _event(self, notice: Any) -> None:
        kind, now = type(notice).__name__.lower(), self._clock.now()
        sink = getattr(notice, "sink", "")
        key = kind, notice.source, sink
        if isinstance(notice, Trouble) and sink:
            outcome = self._outcomes.setdefault((notice.source, sink), Outcome())
            outcome.tried, outcome.failure = True, "trouble"
        event = self._events.pop(key, None) or Event(kind, notice.source, sink, "", now, now, 0)
        event.text, event.last, event.count = _said(notice)[:TEXT_MAX], now, event.count + 1
        self._events[key] = event
        if len(self._events) > TROUBLES_MAX:
            del self._events[next(iter(self._events))]

    # --- asking ------------------------------------------------------------------------------

    def outcome(self, log: str, sink: str) -> Outcome:
        """Give how a sink does; a copy."""
        with self._lock:
            return copy(self._outcomes.get((log, sink), Outcome()))

    def rate(self, log: str, sink: str) -> list[int]:
        """Give the records that a sink acknowledged, by bucket."""
        with self._lock:
            return self._records.setdefault((log, sink), Rate()).view(self._clock.now())

    def refusals(self) -> list[int]:
        """Give the refused logins, by bucket of the time at which they were read."""
        with self._lock:
            return self._refusals.view(self._clock.now())

    def refused(self) -> list[RefusedLogin]:
        """Give the last refused logins, newest first; copies."""
        with self._lock:
            return [copy(one) for one in reversed(self._refused.values())]

    def findings(self) -> list[tuple[float, str, Detection]]:
        """Give the last findings, newest first: when told, of which source, what."""
        with self._lock:
            return list(reversed(self._findings))

    def events(self) -> list[Event]:
        """Give the last troubles, newest first."""
        with self._lock:
            return [copy(one) for one in reversed(self._events.values())]


_HANDLERS: Final[dict[type[Notice], Callable[[Recent, Any], None]]] = {
    Attempted: Recent._attempted,  # noqa: SLF001 a table of this class's own methods
    Delivered: Recent._delivered,  # noqa: SLF001 likewise
    Detected: Recent._detected,  # noqa: SLF001 likewise
    **dict.fromkeys(
        (Trouble, Mended, Waiting, Refused, Dropped, Lost, Endangered),
        Recent._event,  # noqa: SLF001 likewise
    ),
}


def _said(notice: Notice) -> str:
    if isinstance(notice, Refused):
        return f"{notice.records} records refused ({notice.reason}): {notice.example}"
    if isinstance(notice, Dropped):
        return f"{notice.records} records dropped ({notice.reason})"
    if isinstance(notice, Lost):
        return f"{notice.span.end - notice.span.start} bytes lost ({notice.reason})"
    return str(getattr(notice, "detail", ""))
