"""Notices collected, and conditions awaited, for tests with threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from shipper.notices import Notice

# A loaded machine may take long; a test that waits so long has failed.
PATIENCE_SECONDS = 30.0
Kind = TypeVar("Kind", bound=Notice)


class Told:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._lock = threading.Lock()

    def __call__(self, notice: Notice) -> None:
        with self._lock:
            self.notices.append(notice)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [notice for notice in self.notices if isinstance(notice, kind)]


def eventually(condition: Callable[[], object]) -> None:
    """Wait until another thread has made it so."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        pause.wait(0.005)
