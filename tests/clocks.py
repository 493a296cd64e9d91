"""A clock that tests move."""

from __future__ import annotations

import threading


class FakeClock:
    """Time passes only when somebody waits or moves it."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._start = now
        self.passed = 0.0

    def now(self) -> float:
        return self._start + self.passed

    def monotonic(self) -> float:
        return self.passed

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.passed += seconds
        return stop.is_set()

    def move(self, seconds: float) -> None:
        self.passed += seconds

    def set(self, seconds: float) -> None:
        """Let somebody set the clock so much forward."""
        self._start += seconds
