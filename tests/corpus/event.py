"""What happened, before any server wrote it down; and what a writer makes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CONNECT = "connect"
QUIT = "disconnect"
CHANGE_USER = "change_user"
QUERY = "query"
COMMAND = "command"  # a client command without SQL: Ping, Init DB
TABLE = "table"
AUDIT_START = "audit_start"
AUDIT_STOP = "audit_stop"
SESSION = (CONNECT, QUIT, CHANGE_USER)
KINDS = (*SESSION, QUERY, COMMAND, TABLE, AUDIT_START, AUDIT_STOP)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One audit event with everything that any layout can say about it."""

    kind: str
    sequence: int = 1
    time: datetime = datetime(2024, 9, 3, 1, 53, 33, tzinfo=UTC)
    opened: datetime = datetime(2024, 9, 3, 1, 53, 14, tzinfo=UTC)
    connection_id: int = 11
    status: int = 0
    command: str = "Query"  # the client command that a general event finished
    command_class: str = "select"
    sql: str = ""
    user: str = "app"
    priv_user: str = "app"
    os_login: str = ""
    proxy_user: str = ""
    host: str = "localhost"
    ip: str = ""
    port: int = 54312
    db: str = "shop"
    table: str = "orders"
    access: str = "read"  # of a table: read, insert, update, delete
    server: str = "db1"

    @property
    def stamp(self) -> str:
        """The time as `2024-09-03T01:53:33`."""
        return f"{self.time:%Y-%m-%dT%H:%M:%S}"

    @property
    def record(self) -> str:
        """RECORD and RECORD_ID: `7_2024-09-03T01:53:14`."""
        return f"{self.sequence}_{self.opened:%Y-%m-%dT%H:%M:%S}"


@dataclass(frozen=True)
class Written:
    """A record's bytes, and the flat document that a right decoder makes of them."""

    raw: bytes
    meaning: Mapping[str, Any]


# The fields of the flat document that a meaning speaks about: what it does not name is absent.
COMPARED = frozenset(
    (
        "kind",
        "timestamp",
        "record",
        "connection_id",
        "status",
        "user",
        "priv_user",
        "proxy_user",
        "os_login",
        "host",
        "ip",
        "db",
        "command_class",
        "sqltext",
    )
)


def _as_is(event: Event) -> Event:
    return event


@dataclass(frozen=True, kw_only=True, repr=False)
class Writer:
    """One layout of one generation of a server."""

    name: str
    reader: str  # class name of the format that reads it
    write: Callable[[Event], Written | None]  # None: this layout has no such record
    header: bytes = b""
    between: bytes = b""
    footer: bytes = b""
    # What the layout cannot carry is taken out of an event before a round trip.
    fit: Callable[[Event], Event] = _as_is
    # Fields of COMPARED whose meaning the description of the layout leaves open.
    open: frozenset[str] = frozenset()
    wrapped: bool = False  # inside syslog lines: the format `Syslog` is needed as well

    def __repr__(self) -> str:
        return f"<Writer {self.name}>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: FBT001 hypothesis calls it
        printer.text(repr(self))
