"""Findings that go on: told when they begin, and again once in a while until they are over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from shipper.detect.login import Login
from shipper.detect.settings import Settings
from shipper.detect.state import State
from shipper.detect.tables import Episode, make_room
from shipper.detection import Detection, Sample

# What a finding says beside its numbers: made only where it is told; most failures tell nothing.
About: TypeAlias = Callable[[], dict[str, Any]]


class Episodes:
    """The episodes of all rules; keys are accounts or sources."""

    def __init__(self, settings: Settings, state: State) -> None:
        """Go on from `state`."""
        self._episodes = state.episodes
        self._off = frozenset(settings.off)
        self._quiet = int(settings.quiet_seconds)
        self._repeat = int(settings.repeat_seconds)
        self._keys_max = settings.keys_max

    def active(self, rule: str, key: str, second: int) -> Episode | None:
        """Give the episode that a failure at `second` belongs to."""
        episode = self._episodes[rule].get(key)
        return episode if episode is not None and self._holds(episode, second) else None

    def _holds(self, episode: Episode, second: int) -> bool:
        return episode.first - self._quiet <= second <= episode.last + self._quiet

    def keys(self, rule: str, second: int) -> frozenset[str]:
        """Give the keys of all episodes of a rule that have not ended by `second`."""
        episodes = self._episodes[rule].items()
        return frozenset(key for key, episode in episodes if self._holds(episode, second))

    def begin(
        self, rule: str, key: str, login: Login, found: tuple[int, int, int], about: About
    ) -> Iterator[Detection]:
        """Begin an episode with (first, last, count), and tell it; one that goes on is longer."""
        if rule in self._off:
            return
        if self.active(rule, key, login.second) is not None:
            yield from self.extend(rule, key, login, about)
            return
        first, last, count = found
        table = self._episodes[rule]
        if key not in table:
            make_room(table, self._keys_max, lambda episode: episode.last)
        table[key] = Episode(first, last, count, last)
        yield Detection(rule, login.at, count, first, last, **about())

    def extend(self, rule: str, key: str, login: Login, about: About) -> Iterator[Detection]:
        """Count one more for an episode that is active."""
        episode = self._episodes[rule][key]
        episode.count += 1
        episode.first = min(episode.first, login.second)
        episode.last = max(episode.last, login.second)
        if episode.last - episode.told >= self._repeat:
            episode.told = episode.last
            told: dict[str, Any] = {"samples": (Sample(*login.at),)} | about()
            yield Detection(
                rule, login.at, episode.count, episode.first, episode.last, again=True, **told
            )

    def forget(self, before: int) -> None:
        """Remove what ended before `before`."""
        for table in self._episodes.values():
            for key in [key for key, episode in table.items() if episode.last < before]:
                del table[key]
