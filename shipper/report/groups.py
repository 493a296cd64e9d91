"""Counting by keys that attackers choose: exact while they are few, bounded when they are many.

Two limits, both stated in the report where they bite:

* `GROUPS_MAX` groups in one dimension. When a new key finds no room, the weaker half (no burst,
  fewest attempts) is folded into "(other)". So a flood of invented names pushes out its like and
  not the account that is really attacked. What comes back after a fold is a lower bound.
* `DISTINCT_MAX` remembered pairs for each kind of distinct count; beyond it, a lower bound.
"""

from __future__ import annotations

import hashlib
from typing import Final, Generic, TypeVar

from shipper.report.bursts import BurstWindow
from shipper.report.seconds import Times

Key = TypeVar("Key")

# More rows than a person reads. Measured with 10,000 users from as many sources: a process of 42 MB
# with one attempt for each, 133 MB with every window of 60 seconds full.
GROUPS_MAX: Final = 10_000
# About 8 MB each; a report keeps five kinds.
DISTINCT_MAX: Final = 100_000
# MariaDB's user names have at most 128 characters, host names 255.
KEY_CHARACTERS_MAX: Final = 256


class Distinct:
    """Tells whether something is seen for the first time, while there is room to remember it.

    Keeps salted 64-bit hashes: a tenth of the memory of the texts, and nobody can aim at a clash.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._seen: set[int] = set()

    def add(self, *thing: object) -> bool | None:
        """Remember `thing`: True if it is new, False if not, None if there is no room to tell."""
        mark = hash(thing)
        if mark in self._seen:
            return False
        if len(self._seen) >= DISTINCT_MAX:
            return None
        self._seen.add(mark)
        return True


class Tally:
    """A count of distinct things that may turn into a lower bound."""

    __slots__ = ("at_least", "count")

    def __init__(self) -> None:
        """Begin at zero."""
        self.count = 0
        self.at_least = False

    def add(self, new: bool | None) -> None:  # noqa: FBT001 the one thing that is added
        """Take an answer of `Distinct.add`."""
        if new is None:
            self.at_least = True
        elif new:
            self.count += 1


class Group(Times):
    """What is known of one user, source or error."""

    __slots__ = ("at_least", "attempts", "sources", "users", "window")

    def __init__(self, window_seconds: int, *, at_least: bool) -> None:
        """Begin with no attempts; `at_least`: there may have been some that were folded away."""
        super().__init__()
        self.attempts = 0
        self.at_least = at_least
        self.users = Tally()
        self.sources = Tally()
        self.window = BurstWindow(window_seconds)

    def attempt(self, second: int | None) -> None:
        """Count one attempt; without a time it belongs to no window."""
        self.attempts += 1
        if second is not None:
            self.add(second)
            self.window.add(second)


class Folded(Times):
    """What is left of the groups that found no room."""

    __slots__ = ("attempts", "bursts", "groups")

    def __init__(self) -> None:
        """Begin with none."""
        super().__init__()
        self.groups = 0  # a key that comes back and is folded again counts again
        self.attempts = 0
        self.bursts = 0


class Groups(Generic[Key]):
    """The groups of one dimension, by key."""

    def __init__(self, window_seconds: int, burst_attempts: int) -> None:
        """Begin with no groups."""
        self._window_seconds = window_seconds
        self._burst_attempts = burst_attempts
        self.kept: dict[Key, Group] = {}
        self.folded = Folded()

    def add(self, key: Key, second: int | None) -> Group:
        """Count one attempt of `key`."""
        group = self.kept.get(key)
        if group is None:
            if len(self.kept) >= GROUPS_MAX:
                self._fold()
            group = Group(self._window_seconds, at_least=self.folded.groups > 0)
            self.kept[key] = group
        group.attempt(second)
        return group

    def in_burst(self, group: Group) -> bool:
        """Tell whether a group ever reached the threshold."""
        return group.window.strongest >= self._burst_attempts

    def _fold(self) -> None:
        weakest_first = sorted(
            self.kept, key=lambda key: (self.in_burst(self.kept[key]), self.kept[key].attempts)
        )
        folded = self.folded
        for key in weakest_first[: max(GROUPS_MAX // 2, 1)]:
            group = self.kept.pop(key)
            folded.groups += 1
            folded.attempts += group.attempts
            folded.bursts += self.in_burst(group)
            folded.merge(group)


def bounded(text: str) -> str:
    """Keep a key short; long texts that begin alike stay apart by a digest."""
    if len(text) <= KEY_CHARACTERS_MAX:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{text[:KEY_CHARACTERS_MAX]}… ({len(text)} characters, sha256 {digest})"
