"""The objects of the JSON array formats, to one `AuditRecord` (formats.md 2.3, 3.3, 8b).

Class and event say what happened; `account`, `login` and one object named after the class say the
rest. Members without a field of their own go to `extra` under their own name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shipper.decode.identity import Identity
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
    TABLE,
    AuditRecord,
)

# (class, event) -> kind. `query` is a statement that ended, as in `fields.KIND_OF_NAME`; what is
# not listed is `other`.
KIND_OF_EVENT: Final[dict[tuple[str, str | None], str]] = {
    ("connection", "connect"): CONNECT,
    ("connection", "disconnect"): DISCONNECT,
    ("connection", "change_user"): CHANGE_USER,
    ("query", "query_status_end"): QUERY,
    ("command", "command_end"): COMMAND,
    ("audit", "startup"): AUDIT_START,
    ("audit", "shutdown"): AUDIT_STOP,
    ("audit", None): AUDIT_START,
    ("noaudit", None): AUDIT_STOP,
    **{("table_access", event): TABLE for event in ("read", "insert", "update", "delete")},
}
STATEMENTS: Final = frozenset(("Query", "Prepare", "Execute"))

# The objects whose members are taken out one by one; an unknown object stays whole.
_DATA: Final = tuple(
    f"{name}_data"
    for name in (
        "general",
        "connection",
        "table_access",
        "query",
        "command",
        "message",
        "stored_program",
        "authentication",
        "global_variable",
        "parse",
        "startup",
        "shutdown",
        "server_startup",
        "server_shutdown",
    )
)
_PARTIES: Final = (
    ("login", {"user": "user", "os": "os_login", "ip": "ip", "proxy": "proxy_user"}),
    ("account", {"user": "priv_user", "host": "host"}),
)
_MEMBERS: Final = {
    "status": "status",
    "db": "db",
    "query": "sqltext",
    "sql_command": "command_class",
}
# As `model.Number`: a larger one would stop every target that keeps numbers in a column.
_NUMBER_MAX: Final = 2**63 - 1


def array_record(fields: dict[str, Any], format_: str, clock: Mapping[str, str]) -> AuditRecord:
    """Make a record of an object, which is used up. Raises MalformedError."""
    timestamp, class_ = _text(fields, "timestamp"), _text(fields, "class")
    if timestamp is None or class_ is None:
        raise MalformedError("timestamp or class is missing")
    event = _text(fields, "event")
    number = _number(fields, "id")
    record = AuditRecord(
        record=None if number is None else str(number),
        timestamp=clock[timestamp],
        connection_id=_number(fields, "connection_id"),
        format=format_,
    )
    command = _command(fields) if (class_, event) == ("general", "status") else None
    parts = [(name, _object(fields, name), members) for name, members in _PARTIES]
    parts += [(name, _object(fields, name), _MEMBERS) for name in _DATA if name in fields]
    extra: dict[str, Any] = {"class": class_}
    if event is not None:
        extra["event"] = event
    extra |= {key: value for key, value in fields.items() if value is not None}
    for name, members, meanings in parts:
        _take(record, members, meanings)
        _keep(extra, name, members)
    record.name = command or event or class_
    record.kind = kind_of_event(class_, event, command, record.sqltext)
    record.extra = extra
    return record


def kind_of_event(class_: str, event: str | None, command: str | None, sql: str | None) -> str:
    """Give the kind of a record; a general one is a query if its command is a statement's."""
    if class_ == "general" and event == "status":
        # Builds that leave the command out (formats.md 2.3) leave the text out with it.
        return QUERY if command in STATEMENTS or (command is None and sql) else COMMAND
    return KIND_OF_EVENT.get((class_, event), TABLE if class_ == "table_access" else OTHER)


def give_identity(record: AuditRecord, identity: Identity | None) -> None:
    """Give a record of the 8.0.34 plugin, whose two users hold the long form, its names."""
    # The host stands beside the long form as well: where they differ it is somebody's odd name.
    if identity is not None and identity.host == record.host and record.user == record.priv_user:
        record.user, record.priv_user = identity.user, identity.priv_user


def _take(record: AuditRecord, members: dict[str, Any], meanings: Mapping[str, str]) -> None:
    """Give the members that have a field theirs; what stays in `members` has none."""
    for key, field in meanings.items():
        if key in members and getattr(record, field) is None:
            value = _number(members, key) if field == "status" else _text(members, key)
            setattr(record, field, value)


def _keep(extra: dict[str, Any], name: str, members: dict[str, Any]) -> None:
    """Keep what has no field: under its own name, or `name.key` where that is not clear."""
    for key, value in members.items():
        if value is not None:
            clear = name.endswith("_data") and key not in extra and key not in _MEMBERS
            extra[key if clear else f"{name}.{key}"] = value


def _command(fields: dict[str, Any]) -> str | None:
    general = fields.get("general_data")
    return _text(general, "command") if isinstance(general, dict) else None


def _object(fields: dict[str, Any], key: str) -> dict[str, Any]:
    value = fields.pop(key, None)
    if value is None or isinstance(value, dict):
        return value or {}
    raise MalformedError(f"{key} is not an object")


def _text(fields: dict[str, Any], key: str) -> str | None:
    value = fields.pop(key, None)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"{key} is not text")


def _number(fields: dict[str, Any], key: str) -> int | None:
    value = fields.pop(key, None)
    if value is None:
        return None
    if type(value) is int and -_NUMBER_MAX - 1 <= value <= _NUMBER_MAX:  # a bool is an int as well
        return value
    raise MalformedError(f"{key} is not a number of 64 bits")
