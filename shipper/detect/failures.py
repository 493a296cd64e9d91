"""The rules about logins that the server refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias

from shipper.addresses import MEMO_MAX, bounded, network_of, source_of
from shipper.codes import Category, is_probe, lookup
from shipper.detect.episodes import Episodes
from shipper.detect.exceptions import Exceptions
from shipper.detect.familiar import Familiar, pair_of
from shipper.detect.login import Facts, Login
from shipper.detect.settings import DISTINCT_MAX, Settings
from shipper.detect.state import CODES_MAX, State
from shipper.detect.tables import Found, Level, Window, make_room
from shipper.detect.telling import again, often, tried, tried_from
from shipper.detection import (
    ACCOUNT_BURST,
    CHANGE_USER_GUESSING,
    DISTRIBUTED_BURST,
    NEW_ERROR_CODE,
    PASSWORD_SPRAY,
    SOURCE_BURST,
    USERS_MAX,
    Detection,
)
from shipper.model import AuditRecord

_Key: TypeAlias = tuple[str | None, str | None, str | None, int | None, str]

# Refused for what was asked (credentials, rights, host): guesses. The other categories are the
# state of the server or of the network: a full server refuses everybody.
_GUESSES: Final = frozenset((Category.AUTH, Category.AUTHZ, Category.HOST))


class Failures:
    """Judges refused logins, one at a time."""

    def __init__(
        self, settings: Settings, state: State, episodes: Episodes, familiar: Familiar
    ) -> None:
        """Go on from `state`."""
        self._settings, self._state = settings, state
        self._episodes, self._familiar = episodes, familiar
        self._exceptions = Exceptions(settings)
        self._levels = (
            Level(settings.burst_failures, int(settings.burst_window_seconds)),
            Level(settings.slow_failures, int(settings.slow_window_seconds)),
        )
        factor = settings.familiar_factor
        self._familiar_levels = tuple(Level(n * factor, long) for n, long in self._levels)
        self._familiar_entries_max = 2 * max(level.failures for level in self._familiar_levels)
        self._facts: dict[_Key, Facts] = {}
        self._change_levels = (
            Level(settings.change_user_failures, int(settings.change_user_window_seconds)),
        )
        self.horizon = int(max(settings.windows()) + settings.late_seconds)

    def facts(self, record: AuditRecord) -> Facts:
        """Give what is known without its time; remembered, as the same logins fail again."""
        key = (record.user, record.ip, record.host, record.status, record.format)
        facts = self._facts.get(key)
        if facts is None:
            if len(self._facts) >= MEMO_MAX:
                self._facts.clear()
            facts = self._facts[key] = self._find_out(record)
        return facts

    def _find_out(self, record: AuditRecord) -> Facts:
        user, source = bounded(record.user or ""), source_of(record.ip, record.host)
        code = lookup(record.status, record.format)
        # A number that is not in the table may be a guess: better told than overlooked.
        guess = code.category in _GUESSES or not code.symbol
        ignored = self._exceptions.ignores(user, source)
        return Facts(
            user,
            source,
            pair_of(user, source),
            is_probe(record.status, record.user),
            ignored,
            guess and not ignored,
        )

    def judge(self, facts: Facts, login: Login) -> Iterable[Detection]:
        """Judge one login that the server refused, and that is no probe."""
        codes, status, second = self._state.codes, login.status, login.second
        last = codes.get(status)
        if last is not None and 0 <= second - last < self._settings.new_code_seconds:
            codes[status] = second
            found: Iterable[Detection] = ()
        else:
            found = self._new_code(login)
        if not facts.guess:
            return found
        if self._familiar.knows(facts.pair, second):
            return [*found, *self._old_password(login)]
        return [*found, *self._guess(login)]

    def is_proxy(self, source: str) -> bool:
        """Tell whether this source stands for many clients."""
        return self._exceptions.is_proxy(source)

    def ignores(self, login: Login) -> bool:
        """Tell whether the settings leave this login out."""
        return self._exceptions.ignores(login.user, login.source)

    def _new_code(self, login: Login) -> Iterator[Detection]:
        codes, long = self._state.codes, self._settings.new_code_seconds
        last = codes.get(login.status)
        began = self._state.began
        codes[login.status] = max(login.second, last or 0)
        if len(codes) > CODES_MAX:
            del codes[min(codes, key=codes.__getitem__)]
        new = last is None or login.second - last >= long
        if new and began is not None and login.second - began >= long:
            yield from self._episodes.begin(
                NEW_ERROR_CODE,
                str(login.status),
                login,
                (login.second, login.second, 1),
                lambda: {
                    "error_code": login.status,
                    "user": login.user,
                    "source": login.source,
                    "samples": (login.at,),
                },
            )

    def _old_password(self, login: Login) -> Iterable[Detection]:
        """Count a failure of an account that has logged in from there before."""
        window = self._window(self._state.known, login.user, login, login.source)
        window.trim(self._familiar_entries_max)
        found = window.burst(login.second, self._familiar_levels)
        if found is None:
            return ()
        return self._begin_account(login, window, found)

    def _guess(self, login: Login) -> Iterator[Detection]:
        proxied = self._exceptions.is_proxy(login.source)
        if login.change_user:
            yield from self._changed(login, login.user if proxied else login.source)
        yield from self._distributed(login)
        if proxied:
            yield from self._account(login)
            return
        window = self._window(self._state.sources, login.source, login, login.user)
        window.trim(2 * max(level.failures for level in self._levels))
        yield from self._spray(login, window)
        yield from self._bursts(login, window)

    def _bursts(self, login: Login, window: Window) -> Iterator[Detection]:
        """Give a failure to the episode that explains it, or look for one of either side."""
        second, source = login.second, login.source
        for rule, key in ((SOURCE_BURST, source), (ACCOUNT_BURST, login.user)):
            if self._episodes.active(rule, key, second):
                about = partial(again, rule, login, window)
                yield from self._episodes.extend(rule, key, login, about)
                return
        found = window.burst(second, self._levels)
        if found:
            explained = self._episodes.keys(ACCOUNT_BURST, second)
            found = window.burst(second, self._levels, explained)
        if found:
            about = partial(tried, login, window, found)
            yield from self._episodes.begin(SOURCE_BURST, source, login, found, about)
        else:
            yield from self._account(login)

    def _account(self, login: Login) -> Iterator[Detection]:
        second = login.second
        window = self._window(self._state.accounts, login.user, login, login.source)
        window.trim(2 * max(level.failures for level in self._levels))
        if self._episodes.active(DISTRIBUTED_BURST, login.user, second):
            return  # the same account, and it says more
        found = window.burst(second, self._levels)
        if found:
            explained = self._episodes.keys(SOURCE_BURST, second)
            found = window.burst(second, self._levels, explained)
        if found:
            yield from self._begin_account(login, window, found)

    def _begin_account(self, login: Login, window: Window, found: Found) -> Iterator[Detection]:
        about = partial(tried_from, login, window, found)
        return self._episodes.begin(ACCOUNT_BURST, login.user, login, found, about)

    def _spray(self, login: Login, window: Window) -> Iterator[Detection]:
        table, source = self._state.tried, login.source
        accounts = table.get(source)
        if accounts is None:
            make_room(table, self._settings.keys_max, len)
            accounts = table[source] = {}
        accounts[login.user] = max(login.second, accounts.get(login.user, 0))
        begin = login.second - int(self._settings.spray_window_seconds)
        if len(accounts) > DISTINCT_MAX:
            del accounts[min(accounts, key=accounts.__getitem__)]
        lately = [user for user, second in accounts.items() if second > begin]
        distinct = len(lately)
        if distinct >= self._settings.spray_accounts:
            inside = window.between(begin + 1, login.second)
            first = inside[0][0] if inside else login.second
            yield from self._episodes.begin(
                PASSWORD_SPRAY,
                source,
                login,
                (first, login.second, max(distinct, len(inside))),
                lambda: {
                    "source": source,
                    "accounts": distinct,
                    "users": tuple(sorted(lately)[:USERS_MAX]),
                    "samples": window.seen(first, login.second),
                },
            )

    def _distributed(self, login: Login) -> Iterator[Detection]:
        settings, table = self._settings, self._state.spread
        wanted, network = settings.distributed_failures, network_of(login.source)
        known = table.get(login.user)
        # One loud network must not push the others out of the window.
        if known and sum(other == network for _, other in known.entries) >= wanted:
            return
        window = self._window(table, login.user, login, network)
        window.trim(wanted * DISTINCT_MAX)
        begin = login.second - int(settings.distributed_window_seconds)
        inside = window.between(begin + 1, window.entries[-1][0])
        if len(inside) < wanted:
            return
        networks = len({other for _, other in inside})
        if networks >= settings.distributed_networks:
            found = Found(inside[0][0], inside[-1][0], len(inside))
            yield from self._episodes.begin(
                DISTRIBUTED_BURST,
                login.user,
                login,
                found,
                lambda: {
                    "user": login.user,
                    "networks": networks,
                    "samples": window.seen(found.first, found.last),
                    **self._spread_over(login, found),
                },
            )

    def _spread_over(self, login: Login, found: Found) -> dict[str, Any]:
        """Name addresses of those networks: failures that no episode of a source explains."""
        window = self._state.accounts.get(login.user)
        before = window.between(found.first, found.last) if window else []
        return often("addresses", "sources", [source for _, source in before] + [login.source])

    def _changed(self, login: Login, key: str) -> Iterator[Detection]:
        window = self._window(self._state.changes, key, login, login.user)
        window.trim(2 * self._settings.change_user_failures)
        found = window.burst(login.second, self._change_levels)
        if found:
            about = partial(tried, login, window, found)
            yield from self._episodes.begin(CHANGE_USER_GUESSING, key, login, found, about)

    def _window(self, table: dict[str, Window], key: str, login: Login, other: str) -> Window:
        window = table.get(key)
        if window is None:
            make_room(table, self._settings.keys_max, lambda one: len(one.entries))
            window = table[key] = Window()
        window.add(login.second, other, login.at, self.horizon)
        return window
