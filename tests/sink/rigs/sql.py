"""Rigs of the SQL sink: a database of its own on the session's MariaDB or MySQL."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import DictCursor
from servers.mariadb import MariaDb, mariadb
from servers.mysql import MySql, mysql
from servers.shared import shared
from sink.rigs.base import Rig

from shipper.sink import Surroundings
from shipper.sink.sql import Settings, SqlStore

ACCOUNT, PASSWORD = "audit_user", "pässword'"


class SqlRig(Rig):
    """A database, an account that may only what the documentation asks for, and root beside it."""

    exactly_once = True

    def __init__(self, server: MariaDb | MySql) -> None:
        self.server = server
        self.database = f"t{uuid.uuid4().hex[:12]}"
        self.mysql = isinstance(server, MySql)
        self.root(f"CREATE DATABASE {self.database} CHARACTER SET latin1")
        self.root(f"CREATE USER IF NOT EXISTS {ACCOUNT} IDENTIFIED BY %s", PASSWORD)
        self.root(
            f"GRANT CREATE, INDEX, SELECT, INSERT, UPDATE, DELETE ON {self.database}.* TO {ACCOUNT}"
        )

    def root(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as root, in the rig's database once that exists."""
        return run_as_root(self.server.port, statement, *values, database=self.database)

    def explain(self, query: str) -> dict[str, Any]:
        """Give the server's plan for a query of one table."""
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self.server.port,
            user="root",
            database=self.database,
            cursorclass=DictCursor,
        )
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {query}")
                (plan,) = cursor.fetchall()
                return plan
        finally:
            connection.close()

    @property
    def url(self) -> str:
        return f"mysql://{ACCOUNT}@127.0.0.1:{self.server.port}/{self.database}"

    def sink(self, surroundings: Surroundings | None = None, **changes: Any) -> SqlStore:
        settings = Settings(**({"url": self.url, "password": PASSWORD} | changes))
        return SqlStore(settings, surroundings)

    def held(self) -> Counter[tuple[str, int]]:
        rows = self.root(
            "SELECT s.digest, d.`offset` FROM audit_data d JOIN audit_segments s"
            " ON d.segment = s.id"
        )
        return Counter((digest, offset) for digest, offset in rows)

    def count(self) -> int:
        count: int = self.root("SELECT count(*) FROM audit_data")[0][0]
        return count

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The server becomes a read-only replica."""
        self.root("SET GLOBAL read_only = 1")
        try:
            yield
        finally:
            self.root("SET GLOBAL read_only = 0")

    def drop(self) -> None:
        self.root(f"DROP DATABASE {self.database}")


def run_as_root(
    port: int, statement: str, *values: object, database: str | None = None
) -> list[tuple[Any, ...]]:
    connection = pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
    try:
        with connection.cursor() as cursor:
            if database is not None and not statement.startswith("CREATE DATABASE"):
                cursor.execute(f"USE {database}")
            cursor.execute(statement, values or None)
            return list(cursor.fetchall())
    finally:
        connection.close()


@contextmanager
def _rig(start: Any) -> Iterator[SqlRig]:
    rig = SqlRig(shared(start))
    try:
        yield rig
    finally:
        rig.drop()


def on_mariadb(_folder: Path) -> Any:
    return _rig(mariadb)


def on_mysql(_folder: Path) -> Any:
    return _rig(mysql)
