"""The flat vocabulary of Percona and Enterprise records, to one `AuditRecord`.

OLD, NEW, JSON of Percona's plugin and the XML of Enterprise and the Percona filter all name their
fields alike (formats.md 1.2, 2.4, 3.2). This module is where those names get their meaning; the
fast paths of the formats repeat none of it beyond the order of the fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from shipper.decode.identity import parse_identity
from shipper.errors import MalformedError
from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    COMMAND,
    CONNECT,
    DISCONNECT,
    OTHER,
    QUERY,
    SESSION_KINDS,
    TABLE,
    AuditRecord,
    Number,
)

# NAME -> kind (formats.md 1.3, 2.4, 3.2). `query` is a statement that ended: the records that the
# filter plugin writes for earlier phases of the same statement are `other`, or counts would double.
KIND_OF_NAME: Final[dict[str, str]] = {
    "Connect": CONNECT,
    "Quit": DISCONNECT,
    "Disconnect": DISCONNECT,
    "Change user": CHANGE_USER,
    "Query": QUERY,
    "Prepare": QUERY,
    "Execute": QUERY,
    "Status": QUERY,
    "Query Status End": QUERY,
    "Audit": AUDIT_START,
    "Startup": AUDIT_START,
    "NoAudit": AUDIT_STOP,
    "Shutdown": AUDIT_STOP,
    "TableRead": TABLE,
    "TableInsert": TABLE,
    "TableUpdate": TABLE,
    "TableDelete": TABLE,
    "Command End": COMMAND,
    **dict.fromkeys(
        (
            "Binlog Dump",
            "Binlog Dump GTID",
            "Close stmt",
            "Connect Out",
            "Create DB",
            "Daemon",
            "Debug",
            "Delayed insert",
            "Drop DB",
            "Fetch",
            "Field List",
            "Init DB",
            "Kill",
            "Long Data",
            "Ping",
            "Processlist",
            "Refresh",
            "Register Replica",
            "Register Slave",
            "Reset Connection",
            "Reset stmt",
            "Set option",
            "Sleep",
            "Statistics",
            "Table Dump",
            "Time",
            "clone",
        ),
        COMMAND,
    ),
}

_NUMBER: Final[Any] = Number | None
_TEXT: Final = ("command_class", "sqltext", "priv_user", "proxy_user", "host", "ip", "db")
_OWN: Final = frozenset(
    (*_TEXT, "name", "record", "record_id", "timestamp", "connection_id", "status", "user")
) | {"os_login", "os_user"}


def _number(value: object) -> int | None:
    converted: int | None = msgspec.convert(value, _NUMBER, strict=False)
    return converted


def number(value: object, field: str) -> int | None:
    """Read a number, also out of text; None for a field that is missing or empty.

    Accepts what the typed decoder of the JSON fast path accepts, so that both paths agree.
    """
    if value is None or value == "":
        return None
    try:
        return _number(value)
    except msgspec.ValidationError as error:
        raise MalformedError(f"{field} is not a number: {str(value)[:40]!r}") from error


def _text(fields: Mapping[str, Any], key: str) -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"{key} is not text")


def kind_of(name: str, command_class: str | None) -> str:
    """Give the kind of a record by its NAME; `Startup` only of the audit log itself."""
    if name in ("Startup", "Shutdown") and command_class not in (None, "Audit"):
        return OTHER
    return KIND_OF_NAME.get(name, OTHER)


def flat_record(fields: Mapping[str, Any], format_: str, clock: Mapping[str, str]) -> AuditRecord:
    """Make a record of fields keyed by their lower-case names.

    Unknown fields go to `extra`. Raises MalformedError for a field that cannot be what it is
    called; a record without NAME and TIMESTAMP is none.
    """
    name, timestamp = _text(fields, "name"), _text(fields, "timestamp")
    if name is None or timestamp is None:
        raise MalformedError("NAME or TIMESTAMP is missing")
    texts: dict[str, Any] = {key: _text(fields, key) for key in _TEXT}
    os_user = _text(fields, "os_user")
    record = AuditRecord(
        name=name,
        record=_text(fields, "record_id" if fields.get("record") is None else "record"),
        timestamp=clock[timestamp],
        connection_id=number(fields.get("connection_id"), "CONNECTION_ID"),
        status=number(fields.get("status"), "STATUS"),
        user=_text(fields, "user"),
        os_login=os_user if os_user is not None else _text(fields, "os_login"),
        kind=kind_of(name, texts["command_class"]),
        format=format_,
        **texts,
    )
    split_identity(record)
    record.extra = {key: value for key, value in fields.items() if key not in _OWN} or None
    return record


def split_identity(record: AuditRecord) -> None:
    """Replace a long-form `user` by its parts; parts that the record has itself stay."""
    if not record.user or record.kind in SESSION_KINDS:
        return
    identity = parse_identity(record.user)
    if identity is None:
        return
    record.user = identity.user
    if record.priv_user is None:
        record.priv_user = identity.priv_user
    if record.host is None:
        record.host = identity.host
    if record.ip is None:
        record.ip = identity.ip
