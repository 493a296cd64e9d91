"""What stands behind the operation of a MariaDB row, by meaning (formats.md 4.1, 4.4, 7, 8b)."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from shipper.decode.mariadb_row import QUERY_END, SESSION, TABLES, holds_clock, split_tail
from shipper.model import CHANGE_USER, CONNECT, DISCONNECT, OTHER, QUERY, TABLE

_KINDS: Final = {
    "CONNECT": CONNECT,
    "FAILED_CONNECT": CONNECT,
    "DISCONNECT": DISCONNECT,
    "CHANGEUSER": CHANGE_USER,
    "QUERY": QUERY,
    **dict.fromkeys((*TABLES, "RENAME"), TABLE),
}
_RDS_TYPES: Final = ("UNDEFINED", "TCP/IP", "SOCKET", "NAMED_PIPE", "SSL", "SHARED_MEMORY")
_RDS_QUERY: Final = ",,"  # two empty columns behind the status
_QUERY_FRAME: Final = re.compile(f"([^,]*),''{QUERY_END}")
_REPEATED: Final = (*SESSION, *TABLES)


class Tail(NamedTuple):
    """The part of a record that its operation and the columns behind it make."""

    name: str
    kind: str
    status: int | None
    db: str
    priv_user: str | None
    rds: bool
    extra: dict[str, Any]


def repeated_tail(text: str) -> Tail:
    """Read `CONNECT,shop,,0` or, without the statement, `QUERY,shop,'',0`.

    ValueError where only the whole row can tell.
    """
    operation, _, rest = text.partition(",")
    if operation == "QUERY":
        frame = _QUERY_FRAME.fullmatch(rest)
        parts = (frame[1], "", frame[2], frame[3]) if frame else None
    else:
        parts = split_tail(operation, f",{rest}") if operation in _REPEATED else None
    if parts is None or "," in parts[0] or holds_clock(text):
        raise ValueError(text)
    return read_tail(operation, *parts)


def read_tail(operation: str, db: str, thing: str, status: str, more: str) -> Tail:
    """Give the columns their meaning; `thing` is the object column."""
    extra: dict[str, Any] = {}
    priv_user = None
    columns = more.split(",")[1:]
    rds = operation == "QUERY" and more == _RDS_QUERY
    if operation in SESSION:
        rds = _session(thing, columns, extra)
    elif operation in TABLES:
        extra["table"] = thing
    elif operation == "RENAME":
        extra["table"], extra["renamed_to"] = _renamed(thing)
    elif operation == "PROXY_CONNECT":
        # The object is the account whose privileges are used.
        priv_user, extra["proxied_account"] = _account_user(thing), thing
    elif operation == "AUDIT_CONFIG":
        extra["setting"] = thing
    if any(columns):
        extra["columns"] = columns
    kind = _KINDS.get(operation, OTHER)
    return Tail(operation, kind, int(status) if status else None, db, priv_user, rds, extra)


def _session(thing: str, columns: list[str], extra: dict[str, Any]) -> bool:
    """Take TLS version and connection type out of `columns`; say whether it is a row of RDS."""
    if thing:
        extra["tls"] = thing
    if columns and columns[0] in _RDS_TYPES:
        extra["connection_type"] = columns.pop(0)
        return True
    if columns and (not columns[0] or columns[0].startswith(("TLS", "SSL"))):
        extra["tls"] = columns.pop(0)
    return False


def _renamed(thing: str) -> tuple[str, str]:
    old, pipe, new = thing.partition("|")
    if pipe:
        return old, new
    old, db, table = thing.split(",")
    return old, f"{db}.{table}"


def _account_user(account: str) -> str:
    """Give the user of `user`@`host`; older versions write no backticks."""
    if account.startswith("`"):
        return account[1:].rpartition("`@`")[0] or account.strip("`")
    return account.rpartition("@")[0] or account
