"""What must survive a crash, in one SQLite file for each source.

    cursors     how far each lane has shipped each segment, and what came of it
    segments    the ledger: every segment that was ever seen, with the size that was known
    sessions    open sessions of each lane, for joining a `Quit` to its `Connect`
    lanes       each lane's record numbers and, for sinks that have one, the sink's own state
    losses      bytes that will never be shipped, each with its reason

Guarantee: one transaction for each acknowledged batch (or several at once), on the disk when
`commit` returns (WAL, synchronous=FULL). One file a source, so that sources can be spread over
processes; the lock on the directory keeps a second daemon out.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.lane.database import SCHEMA, connect, place_of, write_anew
from shipper.lane.ledger import Cursor, LaneState, Ledgered, Loss, Progress
from shipper.model import Span
from shipper.refine.sequence import Sequences
from shipper.refine.sessions import Changes, Who, shared

VERSION: Final = 1
_SAVE_SEGMENT: Final = (
    "INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
    " path = excluded.path, size = max(size, excluded.size), closed = excluded.closed"
)
_SAVE_CURSOR: Final = (
    "INSERT INTO cursors VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ' ON CONFLICT (lane, segment) DO UPDATE SET "offset" = excluded."offset",'
    " done = excluded.done, newest = coalesce(excluded.newest, newest),"
    " saved_at = excluded.saved_at, records = records + excluded.records,"
    " duplicates = duplicates + excluded.duplicates, refused = refused + excluded.refused,"
    " filtered = filtered + excluded.filtered, defects = defects + excluded.defects"
)
# Nothing where it was counted before: a replay that was killed leaves its letters to the next one.
_REPLAYED: Final = (
    "UPDATE cursors SET records = records + :new, duplicates = duplicates + :duplicates,"
    " refused = refused - :new - :duplicates"
    " WHERE lane = :lane AND segment = :segment AND refused >= :new + :duplicates"
)
_SAVE_LOSS: Final = "INSERT OR IGNORE INTO losses VALUES (?, ?, ?, ?, ?, ?)"
_CURSORS: Final = (
    'SELECT lane, segment, "offset", done, records, duplicates, refused, filtered, defects, newest'
    " FROM cursors"
)


class State:
    """The state of one source. Thread-safe."""

    def __init__(self, path: Path, *, instance: str = "", read_only: bool = False) -> None:
        """Open or make the file, mode 0600.

        Raises UnavailableError where the disk does not let us, MisconfiguredError for a file that
        is not ours, is of a later version, or belongs to another `instance`.
        """
        self._path = path
        self._lock = threading.Lock()
        with self._reporting("open"):
            if not read_only:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._db = connect(path, "ro" if read_only else "rw")
            self._file = place_of(path)
            if not read_only:
                self._db.executescript(SCHEMA)
        self._check("version", str(VERSION), read_only=read_only)
        if not read_only:
            self._check("instance", instance, read_only=False)

    def _check(self, key: str, value: str, *, read_only: bool) -> None:
        with self._reporting("read"):
            row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
            if row is None and not read_only:
                self._db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        if row is not None and row[0] != value:
            self._db.close()
            raise MisconfiguredError(
                f"{self._path} was written with {key} {row[0]!r}, and now it is {value!r}. "
                "Set it back, or use another state directory (everything is then shipped again)"
            )

    @contextmanager
    def _reporting(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            text = f"cannot {doing} the state {self._path}: {error}"
            if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
                raise MisconfiguredError(f"{text}. Move it away to begin anew") from error
            raise UnavailableError(text) from error

    # --- writing ---------------------------------------------------------------------------

    def _stand_firm(self) -> None:
        """See that the file has its name still: what is written into a deleted one is lost.

        Writes it anew where it was deleted, and raises UnavailableError so that this is told.
        Raises MisconfiguredError where another file has the name: somebody else is at work.
        """
        try:
            if place_of(self._path) == self._file:
                return
        except FileNotFoundError:
            pass
        else:
            raise MisconfiguredError(
                f"the state {self._path} is not the file that this process opened any more: "
                "is it another daemon's? Stop one of them"
            )
        write_anew(self._db, self._path)
        self._db.close()
        self._db, self._file = connect(self._path, "rw"), place_of(self._path)
        raise UnavailableError(f"the state {self._path} was deleted by somebody, and written anew")

    def note(self, segments: Sequence[Ledgered], now: float) -> None:
        """Put segments into the ledger, durably. Raises UnavailableError."""
        rows = [(s.id, s.path, s.first_time, s.size, s.closed, now) for s in segments]
        with self._lock, self._reporting("write"):
            self._stand_firm()
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(_SAVE_SEGMENT, rows)

    def commit(
        self,
        lane: str,
        progress: list[Progress],
        changes: Changes,
        sequences: Sequences,
        *,
        now: float,
        sink: bytes | None = None,
    ) -> None:
        """Make a lane's progress durable, all or nothing. Raises UnavailableError."""
        with self._lock, self._reporting("write"):
            self._stand_firm()
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for each in progress:
                    self._advance(lane, each, now)
                self._save_sessions(lane, changes)
                self._db.execute(
                    "INSERT OR REPLACE INTO lanes VALUES (?, ?, ?)",
                    (lane, msgspec.json.encode(sequences), sink),
                )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def replayed(self, lane: str, segment: str, *, new: int, duplicates: int) -> None:
        """Count records that were refused, and have arrived since. Raises UnavailableError."""
        counts = {"lane": lane, "segment": segment, "new": new, "duplicates": duplicates}
        with self._lock, self._reporting("write"):
            self._db.execute(_REPLAYED, counts)

    def _advance(self, lane: str, progress: Progress, now: float) -> None:
        p, s = progress, progress.segment
        self._db.execute(_SAVE_SEGMENT, (s.id, s.path, s.first_time, s.size, s.closed, now))
        counts = (p.records, p.duplicates, p.refused, p.filtered, p.defects)
        self._db.execute(_SAVE_CURSOR, (lane, s.id, p.offset, p.done, *counts, p.newest, now))
        losses = [(lane, s.id, *span, reason, now) for span, reason in p.losses]
        self._db.executemany(_SAVE_LOSS, losses)

    def _save_sessions(self, lane: str, changes: Changes) -> None:
        if changes.cleared:
            self._db.execute("DELETE FROM sessions WHERE lane = ?", (lane,))
        begun = [
            (lane, number, msgspec.json.encode(who))
            for number, who in changes.sessions.items()
            if who is not None
        ]
        ended = [(lane, number) for number, who in changes.sessions.items() if who is None]
        self._db.executemany("INSERT OR REPLACE INTO sessions VALUES (?, ?, ?)", begun)
        self._db.executemany("DELETE FROM sessions WHERE lane = ? AND connection = ?", ended)

    # --- reading ---------------------------------------------------------------------------

    def lane(self, lane: str) -> LaneState:
        """Give what the lane knew when it committed last; a new lane knows nothing."""
        cursors = self.cursors().get(lane, {})
        query = "SELECT connection, who FROM sessions WHERE lane = ?"
        sessions = {
            number: shared(msgspec.json.decode(who, type=Who))
            for number, who in self._rows(query, lane)
        }
        rows = self._rows("SELECT sequences, sink FROM lanes WHERE lane = ?", lane)
        if not rows:
            return LaneState(cursors, sessions, Sequences(), None)
        sequences = msgspec.json.decode(rows[0][0], type=Sequences)
        return LaneState(cursors, sessions, sequences, rows[0][1])

    def cursors(self) -> dict[str, dict[str, Cursor]]:
        """Give every cursor: lane -> segment -> cursor."""
        lanes: dict[str, dict[str, Cursor]] = {}
        for lane, segment, offset, done, *rest in self._rows(_CURSORS):
            lanes.setdefault(lane, {})[segment] = Cursor(offset, bool(done), *rest)
        return lanes

    def segments(self) -> list[Ledgered]:
        """Give the ledger, oldest first."""
        rows = self._rows(
            "SELECT id, path, first_time, size, closed FROM segments ORDER BY first_time, seen_at"
        )
        return [
            Ledgered(id_, path, first_time, size, bool(closed))
            for id_, path, first_time, size, closed in rows
        ]

    def losses(self) -> list[Loss]:
        """Give every loss, oldest first."""
        rows = self._rows('SELECT lane, segment, start, "end", reason, at FROM losses ORDER BY at')
        return [
            Loss(lane, segment, Span(start, end), reason, at)
            for lane, segment, start, end, reason, at in rows
        ]

    def instance(self) -> str:
        """Give the name of the server that the segments' names were made with."""
        rows = self._rows("SELECT value FROM meta WHERE key = 'instance'")
        return str(rows[0][0]) if rows else ""

    def saved_at(self) -> float:
        """Give the time of the last writing that a lane or the follower did; 0.0 before it."""
        seen = self._rows(
            "SELECT max(seen_at) FROM segments UNION SELECT max(saved_at) FROM cursors"
        )
        return max((row[0] for row in seen if row[0] is not None), default=0.0)

    def lanes(self) -> list[str]:
        """Give the names of the lanes that ever committed."""
        return [row[0] for row in self._rows("SELECT lane FROM lanes ORDER BY lane")]

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        with self._lock, self._reporting("read"):
            return self._db.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()
