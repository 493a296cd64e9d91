"""Real servers that tests start, on free ports of 127.0.0.1, and stop by process id."""

from __future__ import annotations

import os
import random
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


# Below those that the kernel gives to connections: between our look and the server's, which may
# take seconds to start, nobody gets one by chance. Kubernetes has its own from 30,000.
_PORTS = range(20_000, 30_000)
_given: set[int] = set()
_chance = random.SystemRandom()  # every test begins with the same seed of the other


def free_port() -> int:
    """Give a port of 127.0.0.1, for TCP and UDP; none twice."""
    while True:
        port = _chance.choice(_PORTS)
        kinds = socket.SOCK_STREAM, socket.SOCK_DGRAM
        if port not in _given and all(_free(kind, port) for kind in kinds):
            _given.add(port)
            return port


def _free(kind: int, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
