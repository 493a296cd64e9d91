"""Read a database on a server for reports. Nothing is made or changed there."""

from __future__ import annotations

from collections.abc import Iterator

from shipper.sink.sql import SqlStore
from shipper.sink.sql_tables import SERVER, FailedLoginRow, failed_logins, newest


class SqlReader:
    """What reports ask of a store on a server; raises as the store does."""

    def __init__(self, store: SqlStore) -> None:
        """Read from a store that is prepared, and close it in the end."""
        self._store = store

    def failed_logins(self, since: str | None = None) -> Iterator[FailedLoginRow]:
        """Give (at, user, host, ip, status, format, name) of failed logins in order of time.

        `since` is RFC 3339 UTC, inclusive; what has no readable time is always there. Streams: any
        number of rows in little memory.
        """
        for query in failed_logins(SERVER, since):
            with self._store.reporting("read") as engine, engine.connect() as connection:
                for row in connection.execution_options(yield_per=1000).execute(query):
                    at, user, host, ip, status, format_, name = row
                    yield at or None, user, host, ip, status, format_ or "", name or ""

    def newest(self) -> str | None:
        """Give the time of the newest record, RFC 3339 UTC; "" unknown, None: no records."""
        with self._store.reporting("read") as engine, engine.connect() as connection:
            found = map(connection.scalar, newest(SERVER))
            return next((time for time in found if time is not None), None)

    def close(self) -> None:
        """Close all connections."""
        self._store.close()
