"""Failed logins: who was tried, from where, why it failed, and how fast.

    analyse(rows) -> FailedLoginReport     pure, one pass, bounded memory (limits: groups.py)

A row is a connect or change-user record whose status is not 0. Health probes (`codes.is_probe`)
are nobody's login: they are counted apart and enter no group and no burst.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from shipper.addresses import SOCKET
from shipper.codes import Code, is_probe, lookup
from shipper.errors import UsageError
from shipper.report.groups import Distinct, Folded, Group, Groups, Key, Tally, bounded
from shipper.report.hours import Hours
from shipper.report.result import FailedLoginReport, Line, Other, Peak, Probes, Section
from shipper.report.seconds import Seconds, Times, rfc3339

BURST_ATTEMPTS: Final = 5
BURST_WINDOW_SECONDS: Final = 60
# A group holds up to four windows of seconds, 16 bytes each. At ten minutes that is 40 KB, only
# for groups that fail in nearly every second of half an hour.
BURST_WINDOW_SECONDS_MAX: Final = 600
# One source that tries this many accounts is guessing names, not mistyping one.
SPRAY_USERS: Final = 5
# All formats together know three words for it; the rest of a forged log is OTHER_NAMES.
NAMES_MAX: Final = 20
OTHER_NAMES: Final = "(other)"


class FailedLogin(Struct, frozen=True, gc=False):
    """One row of a store: a login that the server refused. `None`: the record does not say."""

    timestamp: str | None  # RFC 3339
    user: str | None
    host: str | None
    ip: str | None
    status: int | None
    format: str  # AuditRecord.format
    name: str  # the server's word: "Connect", "Change user", "FAILED_CONNECT"


def analyse(
    rows: Iterable[FailedLogin],
    *,
    burst_attempts: int = BURST_ATTEMPTS,
    burst_window_seconds: int = BURST_WINDOW_SECONDS,
) -> FailedLoginReport:
    """Count failed logins in one pass; rows in time order, more or less."""
    if burst_attempts < 2:
        raise UsageError(f"burst attempts: {burst_attempts} is not allowed, 2 or more are a burst")
    if not 1 <= burst_window_seconds <= BURST_WINDOW_SECONDS_MAX:
        raise UsageError(
            f"burst window: {burst_window_seconds} seconds is not allowed, "
            f"1 to {BURST_WINDOW_SECONDS_MAX} are"
        )
    analysis = _Analysis(burst_attempts, burst_window_seconds)
    for row in rows:
        analysis.add(row)
    return analysis.report()


class _Analysis:
    """The state of one pass."""

    def __init__(self, burst_attempts: int, window_seconds: int) -> None:
        self._burst_attempts, self._window_seconds = burst_attempts, window_seconds
        self._seconds = Seconds()
        self._attempts = self._without_time = self._jumps_back = 0
        self._newest: int | None = None
        self._names: dict[str, int] = {}
        self._hours = Hours()
        self._times, self._users, self._sources = Times(), Tally(), Tally()
        self._seen_user, self._seen_source = Distinct(), Distinct()
        self._pair, self._error_user, self._error_source = Distinct(), Distinct(), Distinct()
        self._by_user: Groups[str] = Groups(window_seconds, burst_attempts)
        self._by_source: Groups[str] = Groups(window_seconds, burst_attempts)
        self._by_error: Groups[Code] = Groups(window_seconds, burst_attempts)
        self._probes, self._probe_times = 0, Times()
        self._probe_sources: Groups[str] = Groups(window_seconds, burst_attempts)

    def add(self, row: FailedLogin) -> None:
        """Take one row."""
        second = self._seconds[row.timestamp or ""]
        source = bounded(row.ip or row.host or SOCKET)
        if is_probe(row.status, row.user):
            self._probes += 1
            self._probe_times.add(second)
            self._probe_sources.add(source, second)
            return
        self._attempts += 1
        self._count_name(row.name)
        self._count_time(second)
        self._count_groups(bounded(row.user or ""), source, row, second)

    def _count_name(self, name: str) -> None:
        name = bounded(name)
        if name not in self._names and len(self._names) >= NAMES_MAX:
            name = OTHER_NAMES
        self._names[name] = self._names.get(name, 0) + 1

    def _count_time(self, second: int | None) -> None:
        self._times.add(second)
        self._hours.add(second)
        if second is None:
            self._without_time += 1
            return
        if self._newest is not None and second <= self._newest - self._window_seconds:
            self._jumps_back += 1
            self._newest = second
        else:
            self._newest = second if self._newest is None else max(self._newest, second)

    def _count_groups(self, user: str, source: str, row: FailedLogin, second: int | None) -> None:
        code = lookup(row.status, row.format)
        self._users.add(self._seen_user.add(user))
        self._sources.add(self._seen_source.add(source))
        pair = self._pair.add(user, source)
        self._by_user.add(user, second).sources.add(pair)
        self._by_source.add(source, second).users.add(pair)
        error = self._by_error.add(code, second)
        error.users.add(self._error_user.add(code, user))
        error.sources.add(self._error_source.add(code, source))

    def report(self) -> FailedLoginReport:
        """Give what was found so far."""
        bounds = {"users": self._users.at_least, "sources": self._sources.at_least}
        return FailedLoginReport(
            attempts=self._attempts,
            users=self._users.count,
            sources=self._sources.count,
            at_least=tuple(name for name, bound in bounds.items() if bound),
            first=rfc3339(self._times.first),
            last=rfc3339(self._times.last),
            names=dict(sorted(self._names.items(), key=lambda item: (-item[1], item[0]))),
            without_time=self._without_time,
            by_hour=self._hours,
            jumps_back=self._jumps_back,
            burst_attempts=self._burst_attempts,
            burst_window_seconds=self._window_seconds,
            by_user=_section(self._by_user, users=False),
            by_source=_section(self._by_source, sources=False),
            by_error=_section(self._by_error),
            probes=Probes(
                self._probes,
                rfc3339(self._probe_times.first),
                rfc3339(self._probe_times.last),
                _section(self._probe_sources, users=False, sources=False),
            ),
        )


def _section(groups: Groups[Key], *, users: bool = True, sources: bool = True) -> Section[Key]:
    ordered = sorted(groups.kept.items(), key=lambda item: (-item[1].attempts, _order(item[0])))
    lines = [
        _line(key, group, burst=groups.in_burst(group), users=users, sources=sources)
        for key, group in ordered
    ]
    return Section(lines, _other(groups.folded))


def _order(key: object) -> tuple[int, str]:
    if isinstance(key, Code):
        return (-1 if key.status is None else key.status, key.symbol)
    return (0, str(key))


def _line(key: Key, group: Group, *, burst: bool, users: bool, sources: bool) -> Line[Key]:
    bounds = {
        "attempts": group.at_least,
        "users": users and (group.at_least or group.users.at_least),
        "sources": sources and (group.at_least or group.sources.at_least),
    }
    window = group.window
    began = rfc3339(window.began) if window.strongest else None
    return Line(
        key=key,
        attempts=group.attempts,
        # At least one: the pair may have been remembered before the group was folded.
        users=max(group.users.count, 1) if users else None,
        sources=max(group.sources.count, 1) if sources else None,
        first=rfc3339(group.first),
        last=rfc3339(group.last),
        peak=Peak(window.strongest, began, burst) if began is not None else None,
        spray=users and not sources and group.users.count >= SPRAY_USERS,
        at_least=tuple(name for name, bound in bounds.items() if bound),
    )


def _other(folded: Folded) -> Other | None:
    if not folded.groups:
        return None
    first, last = rfc3339(folded.first), rfc3339(folded.last)
    return Other(folded.groups, folded.attempts, folded.bursts, first, last)
