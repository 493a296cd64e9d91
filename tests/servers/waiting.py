"""Waiting for a real condition, by asking again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

SECONDS_MAX = 60  # a loaded machine
POLL_SECONDS = 0.02

Result = TypeVar("Result")


def until(condition: Callable[[], Result]) -> Result:
    """Give the first true result of `condition`; fails where there is none in time."""
    never = threading.Event()
    for _ in range(int(SECONDS_MAX / POLL_SECONDS)):
        result = condition()
        if result:
            return result
        never.wait(POLL_SECONDS)
    raise AssertionError(f"not within {SECONDS_MAX} s: {condition}")
