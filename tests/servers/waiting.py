"""Waiting for a real condition, by asking again."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

SECONDS_MAX = 60  # a loaded machine
POLL_SECONDS = 0.02
STARTING_POLL_SECONDS = 0.05  # to ask more often would take from the server that starts
SAID_CHARACTERS = 4000  # of what a server said, for the message: a screen

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


def until_ready(
    process: subprocess.Popen[bytes],
    ready: Callable[[], bool],
    log: Path,
    seconds: float = SECONDS_MAX,
) -> None:
    """Wait until a server that was just started is ready.

    Fails with the end of its log where it ends before, or is not ready in time.
    """
    for _ in range(int(seconds / STARTING_POLL_SECONDS)):
        if ready():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STARTING_POLL_SECONDS)
            break
    said = log.read_text(errors="replace")[-SAID_CHARACTERS:]
    raise RuntimeError(f"{process.args!r} is not ready:\n{said}")


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    with contextlib.suppress(OSError):
        urllib.request.urlopen(url, timeout=5).close()
        return True
    return False


def listens(port: int) -> bool:
    """Whether something takes connections on 127.0.0.1."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False
