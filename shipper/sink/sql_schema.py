"""Makes and checks the tables on MySQL and MariaDB; `audit-shipper setup sql` is its command."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Engine, inspect
from sqlalchemy.engine import make_url
from sqlalchemy.schema import CreateIndex, CreateTable

from shipper.sink.sql_tables import SERVER

# Lanes that begin together would find the same tables missing, and one of them tell of a trouble.
_MAKING: Final = threading.Lock()

SETUP: Final = "run: audit-shipper setup sql"


def create(engine: Engine) -> list[str]:
    """Make the tables that are missing, and name them; the others are left as they are."""
    with _MAKING:
        absent = missing(engine)
        SERVER.metadata.create_all(engine)
    return absent


def statements() -> Iterator[str]:
    """Give the SQL of all tables, for somebody who makes them by hand; asks no server."""
    # Made by its name: importing the dialect costs every command some megabytes.
    dialect = make_url("mysql+pymysql://").get_dialect()()
    for table in SERVER.metadata.sorted_tables:
        yield str(CreateTable(table).compile(dialect=dialect)).strip()
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            yield str(CreateIndex(index).compile(dialect=dialect)).strip()


def missing(engine: Engine) -> list[str]:
    """Name the tables that are not there."""
    names = set(inspect(engine).get_table_names())
    return [table.name for table in SERVER.metadata.sorted_tables if table.name not in names]


def obstacles(engine: Engine) -> Sequence[str]:
    """Say what is wrong with the tables, each with what to do."""
    absent = [f"the table {name} is missing: {SETUP}" for name in missing(engine)]
    return [*absent, *misfits(engine)]


def misfits(engine: Engine) -> Sequence[str]:
    """Say what is wrong with the tables that are there: to be known before others are made."""
    found = list(_foreign(engine))
    if not found:
        with engine.connect() as connection:
            found.extend(_narrow(connection))
    return found


def _foreign(engine: Engine) -> Iterator[str]:
    inspector = inspect(engine)
    names = set(inspector.get_table_names())
    for table in SERVER.metadata.sorted_tables:
        if table.name not in names:
            continue
        known = {column["name"] for column in inspector.get_columns(table.name)}
        lacks = sorted({column.name for column in table.columns} - known)
        if lacks:
            yield (
                f"the table {table.name} is not ours: it lacks {', '.join(lacks)}. "
                "Ship to another database, or rename that table"
            )
            continue
        unique = {
            tuple(sorted(filter(None, index["column_names"])))
            for index in inspector.get_indexes(table.name)
            if index["unique"]
        }
        if table is SERVER.records and ("offset", "segment") not in unique:
            yield "the table audit_data has no unique key (segment, offset): records would double"


def _narrow(connection: Connection) -> Iterator[str]:
    """Find columns that cannot hold every character: a name would be refused, or worse, changed."""
    rows: Sequence[Any] = connection.exec_driver_sql(
        "SELECT table_name, column_name, character_set_name FROM information_schema.columns"
        " WHERE table_schema = database() AND (table_name, column_name) IN"
        " (('audit_data', 'info'), ('audit_data', 'name'), ('audit_defects', 'detail'),"
        " ('audit_segments', 'path')) AND character_set_name NOT IN ('utf8mb4', 'binary')"
    ).all()
    for table, column, charset in rows:
        yield (
            f"{table}.{column} has the character set {charset}: "
            f"ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4"
        )
