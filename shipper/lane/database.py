"""The SQLite file of a state: its tables, how it is opened, and how it comes back when deleted."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

# Longer than any transaction of ours; only `status` and `verify` read beside the daemon.
BUSY_SECONDS: Final = 10.0

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS segments (
    id TEXT PRIMARY KEY,
    path TEXT NOT NULL,
    first_time TEXT NOT NULL,
    size INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    seen_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS cursors (
    lane TEXT NOT NULL,
    segment TEXT NOT NULL,
    "offset" INTEGER NOT NULL,
    done INTEGER NOT NULL,
    records INTEGER NOT NULL,
    duplicates INTEGER NOT NULL,
    refused INTEGER NOT NULL,
    filtered INTEGER NOT NULL,
    defects INTEGER NOT NULL,
    newest TEXT,
    saved_at REAL NOT NULL,
    PRIMARY KEY (lane, segment)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    lane TEXT NOT NULL,
    connection INTEGER NOT NULL,
    who TEXT NOT NULL,
    PRIMARY KEY (lane, connection)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lanes (lane TEXT PRIMARY KEY, sequences BLOB NOT NULL, sink BLOB);
CREATE TABLE IF NOT EXISTS losses (
    lane TEXT NOT NULL,
    segment TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (lane, segment, start)
) WITHOUT ROWID;
"""


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """Open a file that exists; "ro" beside whoever writes, else "rw". Raises sqlite3.Error."""
    # SQLite reads through a shared file that it makes beside this one. Where it cannot, as on a
    # disk that is mounted read only, nobody writes either; what was left unmerged is refused.
    still = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    db = sqlite3.connect(
        f"file:{path}?mode={mode}{'&immutable=1' if mode == 'ro' and still else ''}",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    if mode == "rw":
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    return db


def place_of(path: Path) -> tuple[int, int]:
    """Give what makes a file the same file. Raises OSError."""
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def write_anew(db: sqlite3.Connection, path: Path) -> None:
    """Write all that an open database holds to `path`, whose file was deleted. Atomic.

    Raises OSError or sqlite3.Error.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    os.close(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(fresh)) as copy:
        db.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # all of it is in the one file then
    fresh.rename(path)
