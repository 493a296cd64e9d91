"""Which accounts have logged in from where, and logins that worked while somebody guessed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from shipper.addresses import network_of
from shipper.detect.episodes import Episodes
from shipper.detect.login import Login
from shipper.detect.settings import Settings
from shipper.detect.state import FAMILIAR_MAX, State, Stranger
from shipper.detect.tables import SAMPLES_MAX, make_room
from shipper.detection import (
    ACCOUNT_BURST,
    DISTRIBUTED_BURST,
    SUCCESS_AFTER_BURST,
    Detection,
    Sample,
)

_DAY: Final = 86_400


def pair_of(user: str, source: str) -> str:
    """Name an account and a network together."""
    return f"{user}\0{network_of(source)}"


def _client_of(login: Login) -> str:
    return f"{login.user}\0{login.source}"


class Familiar:
    """Remembers logins that worked; nobody adds one by guessing."""

    def __init__(self, settings: Settings, state: State, episodes: Episodes) -> None:
        """Go on from `state`."""
        self._settings, self._state, self._episodes = settings, state, episodes
        self._days = int(settings.familiar_seconds) // _DAY

    def knows(self, pair: str, second: int) -> bool:
        """Tell whether the account logged in from this network before this moment."""
        known = self._state.familiar.get(pair)
        return known is not None and known[0] <= second and second // _DAY - known[1] <= self._days

    def accept(self, login: Login, *, proxied: bool) -> Iterator[Detection]:
        """Judge a login that worked, and remember it unless it looks like a hit."""
        if proxied:
            pass
        elif self.knows(pair_of(login.user, login.source), login.second):
            # A neighbour of where the account always comes from may have been taken over.
            hit = None if self._knows_client(login) else self._others_guessed(login)
            if hit:
                yield from self._tell(login, login.user, login.at, hit)
                return
        else:
            hit = self._hit(login.second, login.user, login.source)
            if hit:
                yield from self._tell(login, login.user, login.at, hit)
                return
            table = self._state.strangers
            make_room(table, self._settings.keys_max, lambda stranger: stranger.second)
            table[login.source] = Stranger(login.second, login.user, login.at)
        self._remember(login)

    def _remember(self, login: Login) -> None:
        table, key = self._state.familiar, pair_of(login.user, login.source)
        day = login.second // _DAY
        if key not in table:
            make_room(table, FAMILIAR_MAX, lambda pair: pair[1])
        since, last = table.get(key, (login.second, day))
        table[key] = (min(since, login.second), max(last, day))
        clients, client = self._state.clients, _client_of(login)
        if client not in clients:
            make_room(clients, FAMILIAR_MAX, lambda last: last)
        clients[client] = max(clients.get(client, day), day)

    def _knows_client(self, login: Login) -> bool:
        """Tell whether the account logged in from this very address before."""
        last = self._state.clients.get(_client_of(login))
        return last is not None and login.second // _DAY - last <= self._days

    def _others_guessed(self, login: Login) -> tuple[int, int, int] | None:
        """Find guesses of this source at several accounts, that never logged in from around it.

        At one alone: a new service with a mistake in its password, beside one that works.
        """
        begin = login.second - int(self._settings.success_window_seconds)
        window = self._state.sources.get(login.source)
        before = window.between(begin, login.second) if window else []
        several = len({user for _, user in before}) > 1
        if several and len(before) >= self._settings.success_failures:
            return before[0][0], login.second, len(before)
        return None

    def _hit(self, second: int, user: str, source: str) -> tuple[int, int, int] | None:
        """Find guesses that a login may be the hit of: (first, last, count)."""
        settings = self._settings
        begin = second - int(settings.success_window_seconds)
        window = self._state.sources.get(source)
        before = window.between(begin, second) if window else []
        if len(before) >= settings.success_failures:
            return before[0][0], second, len(before)
        for rule in (ACCOUNT_BURST, DISTRIBUTED_BURST):
            episode = self._state.episodes[rule].get(user)
            if episode and episode.first <= second and begin <= episode.last:
                return episode.first, second, episode.count
        return None

    def _tell(
        self, login: Login, user: str, at: Sample, hit: tuple[int, int, int]
    ) -> Iterator[Detection]:
        """Tell that the login at `at` worked; `login` is the record that shows it."""
        state, (first, last, _) = self._state, hit
        windows = state.sources.get(login.source), state.accounts.get(user), state.spread.get(user)
        seen = (window.seen(first, last) for window in windows if window)

        def about() -> dict[str, Any]:
            before = next(filter(None, seen), ())
            samples = (*before[1 - SAMPLES_MAX :], at)
            return {"user": user, "source": login.source, "samples": samples}

        key = f"{user}\0{login.source}"
        yield from self._episodes.begin(SUCCESS_AFTER_BURST, key, login, hit, about)

    def late(self, login: Login) -> Iterator[Detection]:
        """Judge a failure that is read after the login which it came before."""
        stranger = self._state.strangers.get(login.source)
        if stranger is None or login.second > stranger.second:
            return
        hit = self._hit(stranger.second, stranger.user, login.source)
        if hit:
            del self._state.strangers[login.source]
            self._state.familiar.pop(pair_of(stranger.user, login.source), None)
            yield from self._tell(login, stranger.user, stranger.at, hit)

    def forget(self, newest: int) -> None:
        """Remove what is too old to be known."""
        oldest = newest // _DAY - self._days
        familiar = self._state.familiar
        for key in [key for key, pair in familiar.items() if pair[1] < oldest]:
            del familiar[key]
        clients = self._state.clients
        for key in [key for key, day in clients.items() if day < oldest]:
            del clients[key]
        before = newest - int(self._settings.success_window_seconds + self._settings.late_seconds)
        strangers = self._state.strangers
        for key in [key for key, one in strangers.items() if one.second < before]:
            del strangers[key]
