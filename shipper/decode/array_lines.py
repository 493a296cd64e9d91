"""The usual objects of the JSON array formats, typed: what `array_fields` says, but fast.

The decoder makes the `Line`s in one call for a whole block. A member that stands here nowhere makes
it refuse the object; what is typed but unusual, `line_records` refuses. `array_fields` reads both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, field

from shipper.decode.array_fields import KIND_OF_EVENT, STATEMENTS, kind_of_event
from shipper.errors import MalformedError
from shipper.model import QUERY, AuditRecord

_Number = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

# Connection attributes of these names can look like a record start; clients choose the names.
_SUSPECT: Final = frozenset(("timestamp", "ts", "msg-type", "audit_record"))


class _Account(Struct, forbid_unknown_fields=True, gc=False):
    user: str | None = None
    host: str | None = None


class _Login(Struct, forbid_unknown_fields=True, gc=False):
    user: str | None = None
    os: str | None = None
    ip: str | None = None
    proxy: str | None = None


class _General(Struct, forbid_unknown_fields=True, gc=False):
    command: str | None = None
    sql_command: str | None = None
    query: str | None = None
    status: _Number | None = None


class _Data(Struct, forbid_unknown_fields=True, gc=False):
    """Members of the other usual `*_data` objects; their names mean the same in each."""

    connection_type: str | None = None
    status: _Number | None = None
    db: str | None = None
    connection_attributes: dict[str, str] | None = None
    table: str | None = None
    query: str | None = None
    sql_command: str | None = None
    name: str | None = None
    command: str | None = None


class Line(Struct, forbid_unknown_fields=True, gc=False):
    """One object, as it stands in the file."""

    timestamp: str
    id: _Number | None = None
    class_: str = field(name="class", default="")
    event: str | None = None
    connection_id: _Number | None = None
    account: _Account | None = None
    login: _Login | None = None
    general_data: _General | None = None
    connection_data: _Data | None = None
    table_access_data: _Data | None = None
    query_data: _Data | None = None
    command_data: _Data | None = None
    connection_attributes: dict[str, str] | None = None


_NO_ACCOUNT: Final = _Account()
_NO_LOGIN: Final = _Login()
_NO_DATA: Final = _Data()


def line_records(
    lines: Iterable[Line], format_: str, clock: Mapping[str, str]
) -> list[AuditRecord]:
    """Make records as `array_record` would; MalformedError if an object is unusual.

    Four of five records are of the one kind that is read right here, without another call.
    """
    records = []
    for line in lines:
        general, class_, event = line.general_data, line.class_, line.event
        if general is None or event != "status" or class_ != "general":
            records.append(_other_record(line, format_, clock))
            continue
        table, query, rest = line.table_access_data, line.query_data, line.command_data
        if (
            line.connection_data is not None
            or line.connection_attributes is not None
            or not table is query is rest is None
        ):
            raise MalformedError("unusual")
        account, login = line.account or _NO_ACCOUNT, line.login or _NO_LOGIN
        command, sql, number = general.command, general.query, line.id
        # By position: by keyword, msgspec takes four times as long for so many fields.
        record = AuditRecord(
            command or event,
            None if number is None else str(number),
            clock[line.timestamp],
            general.sql_command,
            line.connection_id,
            general.status,
            sql,
            login.user,
            account.host,
            login.os,
            login.ip,
            None,  # db
            account.user,
            login.proxy,
            QUERY if command in STATEMENTS else kind_of_event(class_, event, command, sql),
            format_,
            {"class": class_, "event": event},
        )
        records.append(record)
    return records


def _other_record(line: Line, format_: str, clock: Mapping[str, str]) -> AuditRecord:
    class_, event, number = line.class_, line.event, line.id
    if not class_ or not event:
        raise MalformedError("unusual")
    data = _only_data(line)
    account, login = line.account or _NO_ACCOUNT, line.login or _NO_LOGIN
    return AuditRecord(
        event,
        None if number is None else str(number),
        clock[line.timestamp],
        data.sql_command,
        line.connection_id,
        data.status,
        data.query,
        login.user,
        account.host,
        login.os,
        login.ip,
        data.db,
        account.user,
        login.proxy,
        KIND_OF_EVENT.get((class_, event)) or kind_of_event(class_, event, None, data.query),
        format_,
        _extra(line, data),
    )


def _only_data(line: Line) -> _Data:
    """Give the one data object, an empty one where there is none."""
    connection, general = line.connection_data, line.general_data
    table, query, command = line.table_access_data, line.query_data, line.command_data
    if connection is not None and general is None and table is query is command is None:
        return connection
    found = [data for data in (connection, table, query, command) if data is not None]
    if general is not None:  # of another event than status
        data = _Data(None, general.status, None, None, None, general.query, general.sql_command)
        data.command = general.command
        found.append(data)
    if len(found) > 1:
        raise MalformedError("unusual")
    return found[0] if found else _NO_DATA


def _extra(line: Line, data: _Data) -> dict[str, Any]:
    """Collect what has no field of its own."""
    extra: dict[str, Any] = {"class": line.class_, "event": line.event}
    if data.connection_type is not None:
        extra["connection_type"] = data.connection_type
    if data.table is not None:
        extra["table"] = data.table
    if data.command is not None:
        extra["command"] = data.command
    if data.name is not None:
        extra["name"] = data.name
    attributes = data.connection_attributes
    if line.connection_attributes is not None:
        if attributes is not None:
            raise MalformedError("unusual")
        attributes = line.connection_attributes
    if attributes is not None:
        if not _SUSPECT.isdisjoint(attributes):
            raise MalformedError("unusual")
        extra["connection_attributes"] = attributes
    return extra
