"""Real servers that tests start, on free ports of 127.0.0.1, and stop by process id."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import NoReturn

import pytest


def need(program: str) -> str:
    """The path of a program; without it the test is skipped, or fails where REQUIRE_SERVERS=1."""
    path = shutil.which(program)
    if path is None:
        _missing(program)
    return path


def need_file(path: Path) -> Path:
    """A file that `make servers` makes; without it as `need`."""
    if not path.exists():
        _missing(path.name)
    return path


def _missing(what: str) -> NoReturn:
    reason = f"{what} is not installed: run `make servers`"
    if os.environ.get("REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
