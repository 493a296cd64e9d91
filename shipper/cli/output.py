"""Standard output, which may be full, or go away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shipper.errors import UsageError


@contextmanager
def output() -> Iterator[None]:
    """Write inside of this: all is out at its end. Raises UsageError, or BrokenPipeError."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        forget()
        raise UsageError(f"cannot write to standard output: {error.strerror}") from error


def forget() -> None:
    """Leave nothing that Python would try to write again, and complain of, at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
