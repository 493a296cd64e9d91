"""Servers that all tests of a run share: started at the first use, stopped at the run's end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

Server = TypeVar("Server")

_stack = ExitStack()
_running: dict[Any, Any] = {}


def shared(start: Callable[[], AbstractContextManager[Server]]) -> Server:
    """The running server of `start`, which starts it where it does not run yet."""
    if start not in _running:
        _running[start] = _stack.enter_context(start())
    server: Server = _running[start]
    return server


def stop_shared() -> None:
    """Stop them all, the last first."""
    _running.clear()
    _stack.close()
