"""Deletes old records in small pieces, as new ones come.

A piece is a short transaction of its own, by primary key: no long locks, no long undo, the same
rows on every replica whatever its binary log format.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Connection, Engine, Table, delete, select
from sqlalchemy.exc import SQLAlchemyError

from shipper.clock import rfc3339
from shipper.notices import Mended, Trouble
from shipper.settings import Seconds
from shipper.sink.base import SinkSettings, Surroundings
from shipper.sink.sql_errors import said

# A shorter one would be a mistake in the unit: records are gone before somebody looks.
SECONDS_MIN: Final = 60
# Some milliseconds of locks each.
PIECE_ROWS: Final = 1000
# Twice what comes in, so that a backlog of old records shrinks while new ones arrive.
_PACE: Final = 2
# When nothing was old enough: the next look costs one index read.
REST_SECONDS: Final = 10.0


class RetentionSettings(SinkSettings, frozen=True, kw_only=True):
    """How long the SQL stores keep records."""

    # Records whose event is older are deleted, in small pieces. Default: none, because an archive
    # of logins is not ours to shorten.
    retention_seconds: Seconds | None = None

    def problems(self) -> Iterator[str]:
        """Say what is wrong."""
        if self.retention_seconds is not None and self.retention_seconds < SECONDS_MIN:
            yield f"retention_seconds must be {SECONDS_MIN} or more"


class Retention:
    """Keeps the records of a table for so long after their event; None: for ever."""

    def __init__(
        self, records: Table, seconds: float | None, sink: str, surroundings: Surroundings
    ) -> None:
        """Begin with a look at the first call."""
        self._records = records
        self._seconds = seconds
        self._sink = sink
        self._clock = surroundings.clock
        self._tell = surroundings.tell
        self._next = 0.0
        self._failed = False
        self._lock = threading.Lock()

    def prune(self, engine: Engine, added: int) -> None:
        """Delete what is too old: at most twice as many records as were added, one piece at least.

        Never raises: the delivery that it follows is durable. A failure is told, once.
        """
        if self._seconds is None or not self._lock.acquire(blocking=False):
            return
        try:
            if self._clock.monotonic() >= self._next:
                self._prune(engine, self._seconds, max(_PACE * added, PIECE_ROWS))
        finally:
            self._lock.release()

    def _prune(self, engine: Engine, seconds: float, most: int) -> None:
        before = rfc3339(self._clock.now() - seconds)
        try:
            for _ in range(0, most, PIECE_ROWS):
                with engine.begin() as connection:
                    deleted = _piece(connection, self._records, before)
                if deleted < PIECE_ROWS:
                    self._next = self._clock.monotonic() + REST_SECONDS
                    break
        except SQLAlchemyError as error:
            self._next = self._clock.monotonic() + REST_SECONDS
            self._complain(error)
        else:
            if self._failed:
                self._failed = False
                self._tell(Mended("", self._sink, "old records are deleted again"))

    def _complain(self, error: SQLAlchemyError) -> None:
        if not self._failed:
            self._failed = True
            self._tell(Trouble("", self._sink, f"old records cannot be deleted: {said(error)}"))


def _piece(connection: Connection, records: Table, before: str) -> int:
    """Delete the oldest; records without a readable time stay, for nobody knows how old they are.

    Their neighbours do not tell: an archive may be shipped long after the records of today.
    """
    c = records.c
    dated = select(c.id).where(c.at < before).order_by(c.at).limit(PIECE_ROWS)
    ids = list(connection.scalars(dated))
    if ids:
        connection.execute(delete(records).where(c.id.in_(ids)))
    return len(ids)
