"""Answering the signals of a daemon, for as long as there is somebody to answer them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from shipper.app import ANSWERED


@contextmanager
def answering(answer: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `answer` for each of these signals, in the main thread between any two steps of it."""

    def handler(number: int, _frame: FrameType | None) -> None:
        answer(signal.Signals(number))

    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, handler) for number in ANSWERED
    }
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ANSWERED)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
