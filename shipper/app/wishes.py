"""What is asked of a running daemon, and the signals that ask."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import FrameType
from typing import Any

from shipper.app import ANSWERED


class Wish(Enum):
    """What somebody wants, or what is due."""

    DRAIN = "drain"  # SIGTERM, SIGINT
    RELOAD = "reload"  # SIGHUP
    FAIL = "fail"  # a thread ended with an error
    ASK_AGAIN = "ask again"  # the pause after a target's refusal is over


@contextmanager
def signals(wish: Callable[[Wish], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT drain the daemon that `wish` asks, and SIGHUP reload it."""
    wishes = {
        signal.SIGTERM: Wish.DRAIN,
        signal.SIGINT: Wish.DRAIN,
        signal.SIGHUP: Wish.RELOAD,
    }

    def answer(number: int, _frame: FrameType | None) -> None:
        wish(wishes[signal.Signals(number)])

    before: dict[signal.Signals, Any] = {number: signal.signal(number, answer) for number in wishes}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ANSWERED)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
