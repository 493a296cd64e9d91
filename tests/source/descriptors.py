"""A process that is out of file descriptors, for as long as a test wants."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def none_left() -> Iterator[None]:
    """Let nobody in this process open anything."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(map(int, (each.name for each in Path("/proc/self/fd").iterdir())))
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 1, hard))
    try:
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)
