"""The detector's memory: windows by key, bounded, and ready to be saved as they are.

A window holds the event times of one key in ascending order, whatever order they arrive in, and
only those that a window ending at the newest, or late by what is allowed, can still need.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from msgspec import Struct

from shipper.detection import Sample

_LAST: Final = "\U0010ffff"  # sorts after every text
SAMPLES_MAX: Final = 5  # enough to see what kind of client it was
Value = TypeVar("Value")


class Level(NamedTuple):
    """So many within so long are a burst."""

    failures: int
    seconds: int


class Found(NamedTuple):
    """The stretch of a window that is a burst."""

    first: int
    last: int
    size: int


class Window(Struct, array_like=True):
    """The failures of one key: (second, the other side), ascending."""

    entries: list[tuple[int, str]] = []
    samples: list[Sample] = []  # the last that were read
    moments: list[int] = []  # their seconds; states of before they were kept have none

    def add(self, second: int, other: str, at: Sample, horizon: int) -> None:
        """Count a failure, and forget what is older than `horizon` seconds before the newest.

        One that is older than that itself belongs to another stretch of log: the window begins
        anew with it.
        """
        entries = self.entries
        if entries and second < entries[-1][0] - horizon:
            entries.clear()
        if entries and second < entries[-1][0]:
            insort(entries, (second, other))
        else:
            entries.append((second, other))
        oldest = entries[-1][0] - horizon
        if entries[0][0] < oldest:
            del entries[: bisect_left(entries, (oldest, ""))]
        self._keep(second, at)

    def _keep(self, second: int, at: Sample) -> None:
        samples, moments = self.samples, self.moments
        if len(self.entries) == 1 or len(samples) != len(moments):
            samples.clear()
            moments.clear()
        elif len(samples) >= SAMPLES_MAX:
            del samples[0], moments[0]
        samples.append(at)
        moments.append(second)

    def seen(self, first: int, last: int) -> tuple[Sample, ...]:
        """Give records to look at from second `first` to second `last`, both included."""
        pairs = zip(self.moments, self.samples, strict=False)
        return tuple(at for second, at in pairs if first <= second <= last)

    def trim(self, entries_max: int) -> None:
        """Forget the oldest beyond `entries_max`."""
        if len(self.entries) > entries_max:
            del self.entries[: len(self.entries) - entries_max]

    def burst(
        self, second: int, levels: tuple[Level, ...], explained: frozenset[str] = frozenset()
    ) -> Found | None:
        """Find a burst that holds the failure of this second, `explained` others left out."""
        found = _burst(self.entries, second, levels)
        if found is None or not explained:
            return found
        return _burst([one for one in self.entries if one[1] not in explained], second, levels)

    def between(self, begin: int, end: int) -> list[tuple[int, str]]:
        """Give the failures from second `begin` to second `end`, both included."""
        first = bisect_left(self.entries, (begin, ""))
        return self.entries[first : bisect_right(self.entries, (end, _LAST))]


def _burst(entries: list[tuple[int, str]], second: int, levels: tuple[Level, ...]) -> Found | None:
    if len(entries) < min(levels)[0]:
        return None
    newest = len(entries) - 1  # nearly always the failure of this second
    if entries[newest][0] > second:
        newest = bisect_right(entries, (second, _LAST)) - 1
    for failures, seconds in levels:
        for begin in range(max(0, newest - failures + 1), newest + 1):
            end = begin + failures - 1
            if end >= len(entries):
                break
            if entries[end][0] - entries[begin][0] < seconds:
                return Found(entries[begin][0], entries[end][0], failures)
    return None


class Episode(Struct, array_like=True):
    """A finding that was told and goes on."""

    first: int
    last: int
    count: int
    told: int  # event time when it was last told


def make_room(table: dict[str, Value], keys_max: int, weight: Callable[[Value], int]) -> None:
    """Halve a full table: the lightest go. A flood of invented keys pushes out its like."""
    if len(table) < keys_max:
        return
    for key in sorted(table, key=lambda key: weight(table[key]))[: len(table) // 2 + 1]:
        del table[key]
