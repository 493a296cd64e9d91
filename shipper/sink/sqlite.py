"""The embedded store: one SQLite file with the article's table `audit_data(id, info JSON)`.

`info` is `{"audit_record": {…}}` in Percona's shape for every input format, so SQL written for
Percona's JSON log works on all of them. Beside it stand the columns that keep the store honest
and quick: the record's place (segment, offset), unique, and what the failed-login query reads.

Guarantee: exactly once. Records and the segment's position are written in one transaction; a
replayed record meets its own key and is left alone.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from shipper.document.percona import percona
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.model import Block
from shipper.sink.base import Batch, Receipt, Surroundings
from shipper.sink.sql_retention import Retention, RetentionSettings
from shipper.sink.sql_tables import SQLITE, defect_row
from shipper.terminal import storable

# How long a transaction waits for another writer's: longer than any of ours takes.
BUSY_MILLISECONDS = 10_000

RECORDS, SEGMENTS = SQLITE.records, SQLITE.segments

# Lanes that begin together would find the same tables missing, and one of them tell of a trouble.
_MAKING: Final = threading.RLock()
_INSERT_RECORDS: Final = (
    "INSERT OR IGNORE INTO audit_data"
    ' (info, segment, "offset", at, kind, name, format, status, user, host, ip)'
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_DEFECTS: Final = "INSERT OR IGNORE INTO audit_defects VALUES (?, ?, ?, ?, ?, ?)"
_MOVE: Final = (
    "INSERT INTO audit_segments (digest, path, shipped) VALUES (?, ?, 0)"
    " ON CONFLICT (digest) DO UPDATE SET path = excluded.path RETURNING id"
)


class Settings(RetentionSettings, frozen=True, kw_only=True, tag="sqlite"):
    """An SQLite file."""

    path: str  # made with mode 0600 where it does not exist


class SqliteStore:
    """Records in one SQLite file, made with mode 0600 where it does not exist."""

    in_flight: ClassVar[int] = 1  # SQLite has one writer
    # One transaction: large enough that a commit costs little, small enough for little memory.
    batch_bytes: ClassVar[int] = 1024 * 1024

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        """Take the settings; nothing is opened yet."""
        self._path = settings.path
        name, surroundings = settings.name or "sqlite", surroundings or Surroundings()
        self._retention = Retention(RECORDS, settings.retention_seconds, name, surroundings)

    @cached_property
    def _engine(self) -> Engine:
        _create_private(self._path)
        engine = create_engine(URL.create("sqlite", database=self._path))
        event.listen(engine, "connect", _prepare)
        return engine

    def prepare(self) -> None:
        """Open or create the store."""
        with self._reporting("open"), _MAKING:
            self._refuse_foreign_tables()
            SQLITE.metadata.create_all(self._engine)
        self._retention.prune(self._engine, 0)

    def check(self) -> Sequence[str]:
        """Say why the store could not be opened; makes no file."""
        path = Path(self._path)
        if not path.exists():
            folder = path.parent
            if not folder.is_dir():
                return (f"the folder {folder} does not exist: create it",)
            if not os.access(folder, os.W_OK):
                return (f"{folder} cannot be written by user id {os.getuid()}: change its owner",)
            return ()
        try:
            with self._reporting("open"):
                self._refuse_foreign_tables()
        except (MisconfiguredError, UnavailableError) as error:
            return (str(error),)
        return ()

    def _refuse_foreign_tables(self) -> None:
        refuse_foreign_tables(self._engine, self._path)

    def _reporting(self, doing: str) -> AbstractContextManager[None]:
        return reporting(doing, self._path)

    def position(self, segment: str) -> int:
        """Offset up to which the store holds the segment."""
        query = select(SEGMENTS.c.shipped).where(SEGMENTS.c.digest == segment)
        with self._reporting("read"), self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def path_of(self, segment: str) -> str | None:
        """Path that the segment was last shipped from."""
        query = select(SEGMENTS.c.path).where(SEGMENTS.c.digest == segment)
        with self._reporting("read"), self._engine.connect() as connection:
            return connection.scalar(query)

    def deliver(self, batch: Batch) -> Receipt:
        """Write records, defects and the new position in one transaction."""
        path = storable(batch.path)
        with self._reporting("write to"), self._engine.begin() as connection:
            segment = connection.exec_driver_sql(_MOVE, (batch.segment, path)).scalar_one()
            new = 0
            for block in batch.blocks:
                new += _insert(connection, _INSERT_RECORDS, list(_rows(block, segment)))
                _insert(
                    connection, _INSERT_DEFECTS, [defect_row(d, segment) for d in block.defects]
                )
            connection.execute(
                SEGMENTS.update()
                .where(SEGMENTS.c.id == segment, SEGMENTS.c.shipped < batch.upto)
                .values(shipped=batch.upto)
            )
        self._retention.prune(self._engine, new)
        return Receipt(new=new, duplicates=batch.count - new)

    def close(self) -> None:
        """Close the file."""
        if "_engine" in self.__dict__:
            self._engine.dispose()


@contextmanager
def reporting(doing: str, path: str) -> Iterator[None]:
    """Turn what SQLite complains of into UnavailableError or MisconfiguredError."""
    try:
        yield
    except OperationalError as error:
        # Locked by another program, disk full, input or output error: these pass.
        text = f"cannot {doing} the store {path}: {error.__cause__ or error}"
        raise UnavailableError(text, reason="rejected") from error
    except SQLAlchemyError as error:
        text = f"cannot {doing} the store {path}: {error.__cause__ or error}"
        raise MisconfiguredError(text) from error


def refuse_foreign_tables(engine: Engine, path: str) -> bool:
    """Say whether the table of records is there. Raises MisconfiguredError where it is not ours."""
    inspector = inspect(engine)
    if RECORDS.name not in inspector.get_table_names():
        return False
    missing = {column.name for column in RECORDS.columns} - {
        column["name"] for column in inspector.get_columns(RECORDS.name)
    }
    if missing:
        raise MisconfiguredError(
            f"{path} has a table {RECORDS.name} that is not ours: it lacks "
            f"{', '.join(sorted(missing))}. Ship to another file"
        )
    return True


def _create_private(path: str) -> None:
    """Make the file before SQLite does, because SQLite would follow the umask.

    One that is there is not opened: to close any descriptor of a database takes away the locks that
    other lanes of this process have on it (sqlite.org/howtocorrupt.html, 2.2). A reader in another
    process then takes itself for the last, and removes the write-ahead log under them.
    """
    try:
        with _MAKING, suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    except OSError as error:
        folder = Path(path).parent
        hint = "" if folder.is_dir() else f": the folder {folder} does not exist"
        text = f"cannot open the store {path}: {error.strerror}{hint}"
        raise MisconfiguredError(text) from error


def _prepare(connection: Any, _record: object) -> None:
    # WAL: readers do not wait for the shipper. FULL: a lane moves its cursor after `deliver`, so
    # what was delivered must be on the disk by then, also if the power goes.
    wait = f"busy_timeout = {BUSY_MILLISECONDS}"
    for pragma in (wait, "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _insert(connection: Connection, statement: str, rows: list[tuple[object, ...]]) -> int:
    return connection.exec_driver_sql(statement, rows).rowcount if rows else 0


def _rows(block: Block, segment: int) -> Iterator[tuple[object, ...]]:
    for record, offset in zip(block.records, block.starts, strict=True):
        yield (
            msgspec.json.encode(percona(record)).decode(),
            segment,
            offset,
            record.timestamp,
            record.kind,
            record.name,
            record.format,
            record.status,
            record.user,
            record.host,
            record.ip,
        )
