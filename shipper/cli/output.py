"""Standard output, which may be full, or go away, or not be there at all."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shipper.errors import UsageError


def stand_in() -> None:
    """Put something in the place of what is closed of input, output and errors.

    A file that we open must not get one of their numbers. What stands in for input cannot be read
    and for output not written: whoever needs it says so.
    """
    for number, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:  # the lowest that is free is the one that is opened
            os.open(os.devnull, flags)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


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
