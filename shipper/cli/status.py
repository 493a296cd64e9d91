"""Exit statuses, and what several files come to together.

0 done, nothing to complain of · 1 done, but some bytes could not be read (defects) · 2 not done:
wrong use, or something could not be opened, read or written · 3 not done: a target or the state
needs somebody's hand · 4 stopped before everything was shipped · 5 nothing lost, but refused
records wait in the dead letters · 130 interrupted · 141 whoever read the output went away.

Of commands that look (`check`, `verify`, `setup opensearch`, `dead-letters replay`), 1 says that
something is not as it should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import click

from shipper.errors import ArchiveError, MisconfiguredError, ShipperError, UsageError
from shipper.terminal import printable

DEFECTS: Final = 1
MISUSE: Final = 2
MISCONFIGURED: Final = 3
UNFINISHED: Final = 4
REFUSED: Final = 5
INTERRUPTED: Final = 130  # 128 + SIGINT, as shells say it
CLOSED: Final = 141  # 128 + SIGPIPE

# Which one speaks for several files: what has not been done is worse than what could not be read.
_WORST_FIRST: Final = (MISUSE, UNFINISHED, DEFECTS, 0)


class Status:
    """The status of a command that goes on with the next file when one fails."""

    def __init__(self) -> None:
        """Begin with nothing to complain of."""
        self.value = 0

    def take(self, status: int) -> None:
        """Count one file's status in."""
        self.value = min(self.value, status, key=_WORST_FIRST.index)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Say what is wrong with a file, and leave it at that."""
        try:
            yield
        except (UsageError, ArchiveError) as error:
            complain(error)
            self.take(MISUSE)


def status_of(error: ShipperError) -> int:
    """Give the exit status that says what kind of error it is."""
    return MISCONFIGURED if isinstance(error, MisconfiguredError) else MISUSE


def complain(error: ShipperError) -> None:
    """Tell what is wrong, on standard error."""
    for line in str(error).splitlines():
        click.echo(f"audit-shipper: {printable(line, limit=2000)}", err=True)
