"""Refused logins, counted into the series they belong to.

Few are different: the same logins fail again and again. What a login's series are is found out
once; its users and addresses become label values by the rules of `labels`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from msgspec import Struct

from shipper.addresses import MEMO_MAX, source_of
from shipper.codes import Category, is_probe, lookup
from shipper.counts import CAPPED, AuditCounts, Tally, login_error
from shipper.sink.labels import Labels

# A full server refuses everybody, and a broken handshake names nobody: these say nothing about the
# address or the account.
_NOBODYS: Final = frozenset((Category.LIMIT, Category.SERVER, Category.NET))
# Idle series make room at most so late; a look at all of them is not for every block.
_FORGET_SECONDS: Final = 10

# All that the series of a refused login depend on: kind, user, ip, host, status, format.
RefusedLogin: TypeAlias = tuple[str, str | None, str | None, str | None, int, str]


class _Series(Struct, frozen=True, kw_only=True):
    """Where a refused login counts: its error, None for a probe, and whose login it was."""

    error: tuple[str, str, str] | None
    named: bool  # counts by account and source
    user: tuple[str | None, str | None] = (None, None)  # label value, why it is not its own
    source: tuple[str | None, str | None] = (None, None)


class RefusedLogins:
    """Counts refused logins; to be used by one thread at a time."""

    def __init__(self, labels: Labels) -> None:
        """Know nothing yet."""
        self._labels = labels
        self._known: dict[RefusedLogin, _Series] = {}
        self._forgot = 0  # when idle series were looked for, the clock's time

    def count(self, counts: AuditCounts, logins: Mapping[RefusedLogin, int], now: int) -> None:
        """Add refused logins, those alike together, to `counts`."""
        if abs(now - self._forgot) >= _FORGET_SECONDS:
            self._labels.forget(counts, now)
            self._forgot = now
        for login, number in logins.items():
            series = self._series_of(login)
            if series.error is None:
                counts.probes += number
                continue
            counts.connect_failures[series.error] += number
            if series.named:
                tables = (counts.by_account, series.user), (counts.by_source, series.source)
                for metric, (table, value) in zip(CAPPED, tables, strict=True):
                    reason = self._add(table, value, now, number)
                    if reason:
                        counts.untracked[metric, reason] += number

    def _series_of(self, login: RefusedLogin) -> _Series:
        series = self._known.get(login)
        if series is None:
            if len(self._known) >= MEMO_MAX:
                self._known.clear()
            series = self._known[login] = self._find_out(login)
        return series

    def _find_out(self, login: RefusedLogin) -> _Series:
        kind, name, ip, host, status, format_ = login
        if is_probe(status, name):
            return _Series(error=None, named=False)
        error = (kind, *login_error(status, format_))
        if lookup(status, format_).category in _NOBODYS:
            return _Series(error=error, named=False)
        user = self._labels.user(name or "")
        source = self._labels.source(source_of(ip, host))
        return _Series(error=error, named=True, user=user, source=source)

    def _add(
        self, table: dict[str, Tally], value: tuple[str | None, str | None], now: int, number: int
    ) -> str | None:
        """Count for a label value; give why it has no series of its own."""
        return self._labels.add(table, value[0], now, number) or value[1]
