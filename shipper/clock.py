"""Time and waiting, handed in from outside so that tests need not sleep."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the program knows of time."""

    def now(self) -> float:
        """Seconds since 1970 in UTC; may jump when somebody sets the clock."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never jumps. For waits and durations."""
        ...

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait until `stop` is set or the time is over; True if it is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since boot."""
        return time.monotonic()

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Sleep, but wake up for `stop`."""
        return stop.wait(seconds)


def rfc3339(seconds: float) -> str:
    """Write a moment in UTC with milliseconds: `2026-11-23T10:00:00.123Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)  # a log's clock may say the year 1: four digits
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def seconds_of(timestamp: str) -> float:
    """Read an RFC 3339 time in UTC, as records have it, into seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()
