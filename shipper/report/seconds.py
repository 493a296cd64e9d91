"""Event time of a report: RFC 3339 text to whole seconds since 1970 and back."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_LATEST: Final = int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - _EPOCH).total_seconds())

# "2024-09-03T01:53:33.123456789+00:00", and room to spare.
_RFC3339_CHARACTERS_MAX: Final = 40


class Seconds(dict[str, int | None]):
    """Memo from RFC 3339 to whole seconds since 1970; None for what is no time.

    Many rows share a second. Cleared when full: an hour of distinct seconds is enough.
    """

    def __missing__(self, text: str) -> int | None:
        if len(text) > _RFC3339_CHARACTERS_MAX:
            return None
        if len(self) >= 4096:
            self.clear()
        second = self[text] = _second(text)
        return second


def _second(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    second = math.floor(moment.timestamp())
    return second if _EARLIEST <= second <= _LATEST else None


def rfc3339(second: int | None) -> str | None:
    """Write a second as RFC 3339 in UTC."""
    if second is None:
        return None
    return (_EPOCH + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


class Times:
    """The first and last second of something, in whatever order its rows come."""

    __slots__ = ("first", "last")

    def __init__(self) -> None:
        """Begin with no time."""
        self.first: int | None = None
        self.last: int | None = None

    def add(self, second: int | None) -> None:
        """Widen the range; a row without a time leaves it."""
        if second is None:
            return
        if self.first is None or second < self.first:
            self.first = second
        if self.last is None or second > self.last:
            self.last = second

    def merge(self, other: Times) -> None:
        """Widen the range by another one."""
        self.add(other.first)
        self.add(other.last)
