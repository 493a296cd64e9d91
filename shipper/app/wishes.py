"""What is asked of a running daemon, and the signals that ask."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from shipper.app.signals import answering


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

    with answering(lambda number: wish(wishes[number])):
        yield
