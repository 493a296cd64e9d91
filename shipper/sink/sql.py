"""A table of MySQL or MariaDB: `audit_data(id, info JSON)`, as in Percona's article.

Guarantee: exactly once. A batch is one transaction: its records, its defects, and how far the
segment is held. A record that comes again meets its own key (segment, offset) and is left alone.
`docs/sql.md` has the table, the rights that are needed, and what happens on which error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, create_engine, select
from sqlalchemy.exc import SQLAlchemyError

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.settings import Seconds, Secret
from shipper.sink.base import Batch, Receipt, Surroundings
from shipper.sink.sql_errors import RIGHTS, RIGHTS_TO_MAKE, outcome, was_cut_off
from shipper.sink.sql_insert import defect_rows, insert_defects, insert_records, record_rows
from shipper.sink.sql_own import OwnTraces
from shipper.sink.sql_retention import Retention, RetentionSettings
from shipper.sink.sql_rights import lacking
from shipper.sink.sql_schema import create, misfits, missing, obstacles
from shipper.sink.sql_tables import SERVER
from shipper.sink.sql_url import Address, Tls, connect, parse
from shipper.terminal import storable

# A server of any age takes this; below it a split would not help any more.
STATEMENT_BYTES_MIN: Final = 64 * 1024
# Larger statements are not quicker, and a replica has to take each in one piece.
STATEMENT_BYTES_MAX: Final = 16 * 1024 * 1024


class Settings(RetentionSettings, frozen=True, kw_only=True, tag="sql"):
    """A database on a MySQL or MariaDB server."""

    # mysql://USER@HOST:3306/DATABASE, without a password; ?unix_socket=PATH for a socket.
    url: str
    password: Secret = ""  # default: none, as for accounts that the socket proves
    # auto: make missing tables. require: stop where they are missing. off: do not look.
    setup: Literal["auto", "require", "off"] = "auto"
    # Default: off within this machine, verify to any other, because an audit trail can be forged
    # by whoever can read its password on the way.
    tls: Tls | None = None
    ca_file: str | None = None  # authority of the server's certificate; default: the system's
    # A server that says nothing for longer is taken for gone: above its lock wait of 50 s.
    timeout_seconds: Seconds = 60.0

    def problems(self) -> Iterator[str]:
        """Say what is wrong with the URL, and what does not go together."""
        try:
            parse(self.url)
        except ValueError as error:
            yield f"url {error}"
        if self.timeout_seconds < 1:
            yield "timeout_seconds must be 1 or more"


class SqlStore:
    """Records in a database of MySQL or MariaDB."""

    # Neighbours in the unique key lock each other out: two batches of a segment at once end in
    # deadlocks on MySQL, and the position would have to wait for the slower one anyway.
    in_flight: int = 1
    # About 3,000 records; as SQL twice the size, far below any server's limit for a statement.
    batch_bytes: int = 1024 * 1024

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        """Take the settings; connects to nothing yet."""
        surroundings = surroundings or Surroundings()
        self._settings = settings
        try:
            self._address: Address = parse(settings.url)
        except ValueError as error:
            raise MisconfiguredError(f"url {error}") from error
        name = settings.name or "sql"
        self._own = OwnTraces(self._address.user, self._address.database, name, surroundings.tell)
        self._retention = Retention(SERVER.records, settings.retention_seconds, name, surroundings)
        self._statement_bytes = STATEMENT_BYTES_MAX

    @cached_property
    def _engine(self) -> Engine:
        settings = self._settings

        def creator() -> Any:
            return connect(
                self._address,
                settings.password,
                settings.tls,
                settings.ca_file,
                settings.timeout_seconds,
            )

        return create_engine(
            "mysql+pymysql://",
            creator=creator,
            pool_size=self.in_flight,
            max_overflow=1,  # for `check` beside a delivery
            pool_pre_ping=True,  # a server closes idle connections: that is no outage
        )

    def prepare(self) -> None:
        """Connect; make or check the tables, as `setup` says."""
        with self.reporting("use") as engine:
            if self._settings.setup == "off":
                with engine.connect() as connection:
                    connection.exec_driver_sql("SELECT 1")
                return
            if self._settings.setup == "auto":
                self._make(engine)
            self._refuse(obstacles(engine))
        self._retention.prune(self._engine, 0)

    def create(self) -> list[str]:
        """Make the tables that are missing, and name them. Raises like `prepare`."""
        with self.reporting("set up") as engine:
            made = self._make(engine)
            self._refuse(obstacles(engine))
        return made

    def _make(self, engine: Engine) -> list[str]:
        """Make what is missing, beside tables that are ours and no others."""
        self._refuse(misfits(engine))
        with self.reporting("make tables in", RIGHTS_TO_MAKE):
            return create(engine)

    def _refuse(self, found: Sequence[str]) -> None:
        if found:
            raise MisconfiguredError(f"cannot use {self._address}: {'; '.join(found)}")

    def check(self) -> Sequence[str]:
        """Say why the database cannot be used; changes nothing."""
        try:
            with self.reporting("use") as engine, engine.connect() as connection:
                found = []
                read_only = connection.exec_driver_sql("SELECT @@global.read_only").scalar_one()
                if str(read_only) not in {"0", "OFF"}:
                    found.append(f"{self._address} is read-only: ship to the primary server")
                setup = self._settings.setup
                if setup != "off":
                    found.extend(misfits(engine) if setup == "auto" else obstacles(engine))
                absent = missing(engine) if setup == "auto" else ()
                delete = self._settings.retention_seconds is not None
                found.extend(lacking(connection, absent, delete=delete))
        except (MisconfiguredError, UnavailableError) as error:
            return (str(error),)
        return found

    def position(self, segment: str) -> int:
        """Offset up to which the database holds the segment, without a gap."""
        c = SERVER.segments.c
        query = select(c.shipped).where(c.digest == segment)
        with self.reporting("read") as engine, engine.connect() as connection:
            return connection.scalar(query) or 0

    def path_of(self, segment: str) -> str | None:
        """Path that the segment was last shipped from; None where it is not known."""
        c = SERVER.segments.c
        query = select(c.path).where(c.digest == segment)
        with self.reporting("read") as engine, engine.connect() as connection:
            return connection.scalar(query)

    def deliver(self, batch: Batch) -> Receipt:
        """Write records, defects and the new position in one transaction."""
        self._own.look(batch)
        with self.reporting("write to") as engine, engine.begin() as connection:
            packet = self._packet_bytes(connection)
            segment = _segment(connection, batch)
            rows = [row for block in batch.blocks for row in record_rows(block, segment)]
            tally = insert_records(connection, rows, packet)
            for block in batch.blocks:
                insert_defects(connection, list(defect_rows(block.defects, segment)), packet)
            _move(connection, segment, batch)
        self._statement_bytes = min(2 * self._statement_bytes, STATEMENT_BYTES_MAX)
        self._retention.prune(self._engine, len(rows))
        refused = len(tally.refusals)
        return Receipt(
            new=tally.new,
            duplicates=batch.count - tally.new - refused,
            refusals=tuple(tally.refusals),
            size=tally.size,
        )

    def _packet_bytes(self, connection: Connection) -> int:
        """Give the longest statement that this connection takes."""
        allowed = connection.exec_driver_sql("SELECT @@session.max_allowed_packet").scalar_one()
        return min(int(allowed), self._statement_bytes)

    def close(self) -> None:
        """Close all connections."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @contextmanager
    def reporting(self, doing: str, rights: str = RIGHTS) -> Iterator[Engine]:
        """Give the engine; what fails inside is raised as UnavailableError or MisconfiguredError.

        `doing` and `rights` say in the message what was tried and which rights it takes.
        """
        try:
            yield self._engine
        except SQLAlchemyError as error:
            if was_cut_off(error):
                self._statement_bytes = max(self._statement_bytes // 2, STATEMENT_BYTES_MIN)
            # Not from `error`, whose text is the whole statement.
            raise outcome(error, f"{doing} {self._address}", rights) from error.__cause__
        except OSError as error:
            # A ca_file that cannot be read; errors of the connection are SQLAlchemy's by now.
            raise MisconfiguredError(f"cannot {doing} {self._address}: {error}") from error


def _segment(connection: Connection, batch: Batch) -> int:
    """Give the number of the batch's segment; a new one gets a row."""
    table = SERVER.segments
    found: int | None = connection.scalar(select(table.c.id).where(table.c.digest == batch.segment))
    if found is not None:
        return found
    # Another delivery may have made the row meanwhile: LAST_INSERT_ID(id) gives that one's number.
    result = connection.exec_driver_sql(
        "INSERT INTO audit_segments (digest, path, shipped) VALUES (%s, %s, 0)"
        " ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id)",
        (batch.segment, storable(batch.path)),
    )
    return int(result.lastrowid)


def _move(connection: Connection, segment: int, batch: Batch) -> None:
    """Move the position; not over a gap, which a shipper that began in mid-file leaves."""
    table = SERVER.segments
    connection.execute(
        table.update()
        .where(
            table.c.id == segment,
            table.c.shipped >= batch.blocks[0].start,
            table.c.shipped < batch.upto,
        )
        .values(shipped=batch.upto, path=storable(batch.path))
    )
