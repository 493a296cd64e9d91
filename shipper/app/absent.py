"""A log that is not there: to whom only looks at metrics, a wrong path is a quiet server."""

from __future__ import annotations

import os
from typing import Final

from shipper.clock import Clock
from shipper.notices import Mended, Tell, Trouble
from shipper.source.names import LogNames

# A server beside us may start later, and takes this long for a new data directory.
PATIENCE_SECONDS: Final = 30.0


class Absent:
    """Tells once that a source's file does not exist, and when it is there."""

    def __init__(self, source: str, path: str | None, clock: Clock, tell: Tell) -> None:
        """`path` is None where there is no file to wait for."""
        self._source = source
        self._path = path
        self._clock = clock
        self._tell = tell
        self._due = clock.monotonic() + PATIENCE_SECONDS
        self._told = False

    def look(self) -> None:
        """Look for the file, until it was there once."""
        if self._path is None or (not self._told and self._clock.monotonic() < self._due):
            return
        older = LogNames(self._path).older()
        if os.path.lexists(self._path):
            if self._told:
                self._tell(Mended(self._source, "", f"{self._path} is there"))
            self._path = None
        elif not self._told and not older:  # between a stop and a start, or under a password's id
            self._told = True
            text = f"there is no file {self._path}, nothing is read: is `path` right?"
            self._tell(Trouble(self._source, "", text))
