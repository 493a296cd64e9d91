"""Read an SQLite store for reports. Nothing is made or changed, whatever the file is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, create_engine, event

from shipper.errors import MisconfiguredError, UsageError
from shipper.sink.sql_tables import SQLITE, FailedLoginRow, failed_logins, newest
from shipper.sink.sqlite import BUSY_MILLISECONDS, refuse_foreign_tables, reporting


class SqliteReader:
    """A store that is there already."""

    def __init__(self, path: str) -> None:
        """Open it. Raises UsageError if it is not there, MisconfiguredError if it is none."""
        if not Path(path).exists():
            raise UsageError(
                f"there is no store at {path}. Fill one with: "
                f"audit-shipper ship AUDIT.LOG --to sqlite:{path}"
            )
        self._path = path
        # Whoever may only read leaves the files of a write-ahead log behind; who may write takes
        # them away at the end. `query_only` keeps both from changing anything.
        writable = os.access(path, os.W_OK) and os.access(Path(path).parent, os.W_OK)
        query = {"mode": "rw" if writable else "ro", "uri": "true"}
        url = URL.create("sqlite", database=f"file:{quote(path)}", query=query)
        self._engine = create_engine(url)
        event.listen(self._engine, "connect", _prepare)
        with reporting("open", path):
            if not refuse_foreign_tables(self._engine, path):
                raise MisconfiguredError(
                    f"{path} is not a store: it has no table {SQLITE.records.name}. Fill one with: "
                    "audit-shipper ship AUDIT.LOG --to sqlite:FILE"
                )

    def failed_logins(self, since: str | None = None) -> Iterator[FailedLoginRow]:
        """Give (at, user, host, ip, status, format, name) of failed logins in order of time.

        `since` is RFC 3339 UTC, inclusive; what has no readable time is always there. Streams: any
        number of rows in little memory.
        """
        for query in failed_logins(SQLITE, since):
            with reporting("read", self._path), self._engine.connect() as connection:
                for row in connection.execution_options(yield_per=1000).execute(query):
                    at, user, host, ip, status, format_, name = row
                    yield at, user, host, ip, status, format_, name

    def newest(self) -> str | None:
        """Give the time of the newest record, RFC 3339 UTC; "" unknown, None: no records."""
        with reporting("read", self._path), self._engine.connect() as connection:
            found = map(connection.scalar, newest(SQLITE))
            return next((time for time in found if time is not None), None)

    def close(self) -> None:
        """Close the file."""
        self._engine.dispose()


def _prepare(connection: Any, _record: object) -> None:
    for pragma in (f"busy_timeout = {BUSY_MILLISECONDS}", "query_only = ON"):
        connection.execute(f"PRAGMA {pragma}")
