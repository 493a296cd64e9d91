r"""Azure Database for MySQL: audit records in diagnostic JSON (formats.md 4.6, 8b).

    {"records":[{"category":"MySqlAuditLogs","time":"…","resourceId":"…","properties":{
     "event_class":"connection_log","event_subclass":"CONNECT","event_time":"…","user":"app",…}}]}

A record is one envelope with its `properties`; the wrapper of a blob is framing, and an export may
do without it, one envelope a line. The order of the members is free.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from shipper.decode import base, rows
from shipper.decode.base import Context, Data
from shipper.decode.fields import number, split_identity
from shipper.decode.jsonscan import ObjectEnd, interrupts, unnested
from shipper.decode.jsontext import load_object
from shipper.errors import MalformedError
from shipper.model import (
    CHANGE_USER,
    COMMAND,
    CONNECT,
    DISCONNECT,
    OTHER,
    QUERY,
    TABLE,
    AuditRecord,
)

NAME: Final = "azure-json"
CATEGORY: Final = "MySqlAuditLogs"

# `"category":"MySqlAuditLogs"` may stand behind a statement of any length, so an envelope is known
# by its first two keys, and `careful` asks for the category. The value between them holds nothing
# that could itself be the start of a record.
_KEY: Final = (
    rb'"(?i:category|correlationId|EventName|identity|level|location|LogicalServerName|operationName|'
    rb'properties|Region|resourceId|resultType|ServerType|tenantId|time)"\s{0,9}:\s{0,9}'
)
_PROPERTY: Final = (
    rb'"(?:category|connection_id|db|error_code|event_class|event_subclass|event_time|external_user|'
    rb'host|ip|server_id|sql_text|table|thread_id|user)"\s{0,9}:'
)
_START: Final = (
    rb'\{\s{0,99}%b(?:"MySqlAuditLogs"|(?:"[\w/.:+() -]{0,300}"|\d{1,9})\s{0,99},\s{0,99}%b|'
    rb"\{\s{0,99}%b)"
) % (_KEY, _KEY, _PROPERTY)
_WRAPPER: Final = rb'\{\s{0,9}"records"\s{0,9}:\s{0,9}\['

_KIND_OF_EVENT: Final = {
    ("connection_log", "CONNECT"): CONNECT,
    ("connection_log", "DISCONNECT"): DISCONNECT,
    ("connection_log", "CHANGE USER"): CHANGE_USER,
    # ERROR and RESULT speak of a statement that LOG has counted.
    ("general_log", "LOG"): QUERY,
}
# Ours, by what Azure calls it; the first that is there counts.
_TEXTS: Final = {
    "sqltext": "sql_text",
    "user": "user",
    "host": "host",
    "ip": "ip",
    "db": "db",
    "os_login": "external_user",
}


class Azure:
    """Reader of diagnostic envelopes."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = _START
    found_by: ClassVar[bytes] = unnested(_START, below=(b"properties",))
    interrupted_by: ClassVar[bytes] = interrupts(
        _START,
        _WRAPPER,
        base.ARRAY_START,
        base.MCAFEE_START,
        base.OUTBRAIN_START,
        base.PERCONA_JSON_START,
        below=(b"properties",),
    )

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock, and a memo of an unfinished record."""
        self._clock = context.clock.utc
        self._object = ObjectEnd(context, self.interrupted_by)
        self._rows = rows.RowsInside(context, self.interrupted_by)

    cut = staticmethod(base.never_cut)  # the service delivers blobs of some minutes
    fast = staticmethod(base.never_fast)

    def end(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 the Protocol
        """Find the brace that closes the envelope."""
        return self._rows.end(data, start, self._object.find(data, start), final)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one envelope."""
        envelope = load_object(raw)
        properties = envelope.pop("properties", None)
        if not isinstance(properties, dict):
            raise MalformedError("no properties")
        named = [each.pop("category", None) for each in (envelope, properties)]
        if CATEGORY not in named or any(name not in (CATEGORY, None) for name in named):
            raise MalformedError(f"not of the category {CATEGORY}")
        record = _record(properties, self._clock, envelope.get("time"))
        # What both levels name alike stays apart: the properties keep the plain name.
        outer = {(f"envelope.{k}" if k in properties else k): v for k, v in envelope.items()}
        record.extra = outer | properties
        return record


def _record(properties: dict[str, Any], clock: Mapping[str, str], time: Any) -> AuditRecord:
    """Take the fields of a record out of the properties."""
    class_, subclass = properties.get("event_class"), _taken(properties, "event_subclass")
    stamp = _taken(properties, "event_time") or time
    if not isinstance(class_, str) or not isinstance(stamp, str):
        raise MalformedError("event_class or a time is missing")
    texts: dict[str, Any] = {ours: _taken(properties, theirs) for ours, theirs in _TEXTS.items()}
    kind = TABLE if class_ == "table_access_log" else OTHER
    kind = _KIND_OF_EVENT.get((class_, subclass or ""), kind)
    record = AuditRecord(
        name=subclass or class_,
        timestamp=clock[stamp],
        connection_id=_number(properties, "connection_id", "thread_id"),
        status=_number(properties, "error_code"),
        kind=COMMAND if kind == QUERY and not texts["sqltext"] else kind,
        format=NAME,
        **texts,
    )
    split_identity(record)
    return record


def _taken(properties: dict[str, Any], key: str) -> str | None:
    value = properties.pop(key, None)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"{key} is not text")


def _number(properties: dict[str, Any], *keys: str) -> int | None:
    for key in keys:
        value = properties.pop(key, None)
        if value is not None:
            # A bool is an int as well.
            if type(value) is str or (type(value) is int and abs(value) < 2**64):
                return number(value, key)
            raise MalformedError(f"{key} is not a number of 64 bits")
    return None
