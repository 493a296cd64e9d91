r"""MariaDB's `server_audit` and its relatives at Amazon: comma-separated rows (formats.md 4).

20240903 01:53:33,db1,app,localhost,11,7,QUERY,shop,'SELECT \'x\'',0\n
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from corpus.event import CHANGE_USER, CONNECT, QUERY, QUIT, TABLE, Event, Writer, Written

_QUOTES = str.maketrans({"'": r"\'", "\\": r"\\"})
_BLANKED = str.maketrans("\n\r\t", "   ")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\b": r"\b", "\f": r"\f"}
_LOSSY: Mapping[int, str] = {**_QUOTES, **dict.fromkeys(map(ord, "\n\r\t"), " ")}
_MODERN: Mapping[int, str] = {**_QUOTES, **str.maketrans(_SHORT)}
_TABLES = {"read": "READ", "insert": "WRITE", "update": "WRITE", "delete": "WRITE"}


@dataclass(frozen=True)
class Dialect:
    """What differs between the writers of these rows."""

    name: str
    escapes: Mapping[int, str]
    aurora_clock: bool = False
    port: bool = False  # host:port for clients over TCP
    tls: str = "none"  # "object": in the ninth field; "last": an eleventh field
    session_tail: str = ""  # connection_type of RDS
    query_tail: str = ""
    tables: bool = True


DIALECTS = (
    Dialect("mariadb-5.5", _QUOTES),
    Dialect("mariadb-10.1", _LOSSY),
    Dialect("mariadb-1.4", _MODERN),
    Dialect("mariadb-12.0", _MODERN, port=True, tls="object"),
    Dialect("mariadb-enterprise-12.3", _MODERN, port=True, tls="last"),
    Dialect("rds-10", _MODERN, tables=False),
    Dialect("rds-12", _MODERN, session_tail=",SOCKET", query_tail=",,", tables=False),
    Dialect("aurora", _MODERN, aurora_clock=True),
)


def _clock(event: Event, dialect: Dialect) -> tuple[str, str]:
    """Give the time as written and as meant."""
    if dialect.aurora_clock:
        micro = event.sequence % 1_000_000
        return f"{int(event.time.timestamp())}{micro:06}", f"{event.stamp}.{micro:06}Z"
    return f"{event.time:%Y%m%d %H:%M:%S}", f"{event.stamp}Z"


def _host(event: Event, dialect: Dialect) -> str:
    if not dialect.port:
        return event.host
    if event.ip:
        return f"{event.host}:{event.port}"
    return f"{event.host}:unavailable" if dialect.tls == "last" else event.host


def _operation(event: Event, dialect: Dialect) -> str | None:
    if event.kind == CONNECT:
        return "FAILED_CONNECT" if event.status else "CONNECT"
    if event.kind == TABLE and not dialect.tables:
        return None
    names = {QUIT: "DISCONNECT", CHANGE_USER: "CHANGEUSER", QUERY: "QUERY"}
    return names.get(event.kind) or (_TABLES[event.access] if event.kind == TABLE else None)


def _tail(event: Event, dialect: Dialect) -> tuple[str, dict[str, Any]]:
    """Give what follows the operation, and its meaning."""
    if event.kind == QUERY:
        text = event.sql.translate(dialect.escapes)
        # Blanked characters are lost; everything else comes back.
        read = event.sql
        if dialect.escapes is _LOSSY:
            read = read.translate(_BLANKED)
        meaning = {"db": event.db, "sqltext": read, "status": event.status}
        return f"{event.db},'{text}',{event.status}{dialect.query_tail}", meaning
    if event.kind == TABLE:
        return f"{event.db},{event.table},", {"db": event.db}
    tls = "TLSv1.3" if event.ip else ""
    middle = tls if dialect.tls == "object" else ""
    last = f",{tls}" if dialect.tls == "last" else dialect.session_tail
    meaning = {"db": event.db, "status": event.status}
    return f"{event.db},{middle},{event.status}{last}", meaning


def row(event: Event, dialect: Dialect, *, syslog: bool = False) -> Written | None:
    """Write one row; through syslog it has no timestamp field (4.3)."""
    operation = _operation(event, dialect)
    if operation is None:
        return None
    written, meant = _clock(event, dialect)
    tail, meaning = _tail(event, dialect)
    query_id = event.sequence if event.kind in {QUERY, TABLE} else 0
    start = "" if syslog else f"{written},"
    text = (
        f"{start}{event.server},{event.user},{_host(event, dialect)},{event.connection_id},"
        f"{query_id},{operation},{tail}\n"
    )
    meaning |= {
        "kind": event.kind,
        "name": operation,
        "timestamp": meant,
        "user": event.user,
        "host": event.host,
        "connection_id": event.connection_id,
    }
    return Written(text.encode(), meaning)


def fit(event: Event) -> Event:
    """Names are not escaped: line ends would end the row, commas in the rest shift columns."""
    names: dict[str, Any] = {
        key: _line(getattr(event, key)) for key in ("user", "host", "db", "table")
    }
    for key in ("host", "db", "table"):
        names[key] = re.sub(r"[,'|`:;\[\]]", "_", names[key])
    # A second number-number-operation run in the user makes the columns undecidable.
    names["user"] = re.sub(r"(?<=\d),", ";", names["user"])
    return replace(event, **names, sql=event.sql.replace("\0", ""))


def _line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]", "_", text).strip() or ""


# The host is the address where no name is known (4.1), which a reader may say as `ip`.
OPEN = frozenset(("ip",))

WRITERS = tuple(
    Writer(
        name=dialect.name,
        reader="MariaDb",
        write=partial(row, dialect=dialect),
        fit=fit,
        open=OPEN,
    )
    for dialect in DIALECTS
)
