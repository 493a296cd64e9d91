r"""The text of a syslog message, in four shapes. Pure.

- `percona`: the plugin's JSON, so that whatever parses its syslog output keeps working;
- `ecs`: the document of the index;
- `cef`: ArcSight's Common Event Format, revision 25;
- a template: `{user}@{host} {kind} {status}`.

A text too long for the transport loses the end of its statement, so that JSON stays JSON. The mark
`...[42 more]` stands where the statement was cut.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import structs

from shipper import __version__
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.percona import percona
from shipper.model import ALERT, CHANGE_USER, CONNECT, AuditRecord, Block
from shipper.sink.syslog_wire import cut_bytes, cut_mark, visible

Text: TypeAlias = Callable[[AuditRecord, int], bytes]  # a record with its offset

_json: Final = msgspec.json.Encoder().encode
# JSON allows these raw, terminals obey them, and some receivers take U+0085 for a line's end.
_CONTROLS: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]")

# CEF's own words for these steps: very high, high, low.
_CEF_ALERTS: Final = {"critical": 9, "warning": 7, "info": 3}

# What a template may name. Values are text; a missing one is empty.
FIELDS: Final = (
    *("timestamp", "kind", "name", "status", "user", "priv_user", "os_login", "proxy_user"),
    *("host", "ip", "db", "connection_id", "command_class", "record", "sqltext", "format"),
)
PLACE_FIELDS: Final = ("segment", "offset")
# What only alerts have; of a record they are empty.
ALERT_FIELDS: Final = ("message", "severity", "count", "first", "last", "samples")


def without_controls(document: bytes) -> bytes:
    r"""Write DEL and C1 in JSON as `\u0085`; the same JSON."""
    return _CONTROLS.sub(lambda match: b"\\u%04x" % ord(match[0].decode()), document)


def percona_text(record: AuditRecord, _offset: int) -> bytes:
    """Write the plugin's JSON."""
    return without_controls(_json(percona(record)))


def ecs_text(place: Place) -> Text:
    """Give a writer of the index's documents for one segment."""
    encoder = EcsEncoder(place)

    def text(record: AuditRecord, offset: int) -> bytes:
        block = Block(offset, offset, [record], [offset], [offset], [])
        return without_controls(encoder.documents(block)[:-1])

    return text


def cef_text(record: AuditRecord, _offset: int) -> bytes:
    """Write a CEF record: `CEF:0|vendor|product|version|class|name|severity|extension`."""
    if record.kind == ALERT:
        return _cef_alert(record)
    failed = bool(record.status)
    login = record.kind in (CONNECT, CHANGE_USER)
    what = record.kind.replace("_", " ")
    fields = {
        "rt": cef_time(record.timestamp).decode() if record.timestamp else None,
        "externalId": record.record,
        "act": record.command_class or record.name,
        "outcome": None if record.status is None else "failure" if failed else "success",
        "reason": record.status,
        "suser": record.user,
        "duser": record.priv_user,
        "src": record.ip or None,
        "shost": record.host or None,
        "cs1Label": "db" if record.db else None,
        "cs1": record.db or None,
        "cn1Label": None if record.connection_id is None else "connection",
        "cn1": record.connection_id,
        "msg": record.sqltext,
    }
    # Severity 0 to 10: a failed login asks for a look, any other failure may.
    severity = (6 if login else 4) if failed else 2
    title = f"MySQL {what}{' failed' if failed else ''}"
    return _cef(record.kind, title, severity, fields)


def _cef_alert(record: AuditRecord) -> bytes:
    about = record.extra or {}
    fields = {
        "rt": cef_time(record.timestamp or "").decode(),
        "start": cef_time(about["first"]).decode(),
        "end": cef_time(about["last"]).decode(),
        "externalId": record.record,
        "act": record.name,
        "cnt": about["count"],
        "suser": record.user,
        "src": record.ip,
        "shost": record.host,
        "cs1Label": "samples",
        "cs1": " ".join(about["samples"]),
        "msg": about["message"],
    }
    return _cef(
        record.name, f"MySQL {about['description']}", _CEF_ALERTS[about["severity"]], fields
    )


def _cef(class_: str, title: str, severity: int, fields: dict[str, Any]) -> bytes:
    extension = " ".join(
        f"{key}={cef_value(str(value))}" for key, value in fields.items() if value is not None
    )
    header = f"CEF:0|audit-shipper|mysql-audit|{__version__}|{class_}|{title}|{severity}|"
    return (header + extension).encode()


def cef_value(text: str) -> str:
    r"""Escape an extension's value: `\`, `=`, and line ends as `\n` and `\r`, as CEF has them."""
    text = text.replace("\\", "\\\\").replace("=", "\\=")
    return visible(text.replace("\n", "\\n").replace("\r", "\\r"))


def cef_time(timestamp: str) -> bytes:
    """Give an RFC 3339 time in UTC in milliseconds since 1970."""
    at = datetime.fromisoformat(timestamp).replace(tzinfo=UTC)
    return b"%d" % (at.timestamp() * 1000)


def template_problems(template: str) -> Iterator[str]:
    """Say what a template has that cannot be filled in."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        yield f"template: {error}"
        return
    allowed = (*FIELDS, *PLACE_FIELDS, *ALERT_FIELDS)
    for _, name, format_, conversion in parts:
        if name is None:
            continue
        if name not in allowed:
            yield f"template: {{{name}}} is none of {', '.join(allowed)}"
        elif format_ or conversion:
            yield f"template: {{{name}}} takes no format"
    if visible(template) != template:
        yield "template: it must be one line without control characters"


def template_text(template: str, segment: str) -> Text:
    """Give a writer that fills in a template that has no problems."""

    def text(record: AuditRecord, offset: int) -> bytes:
        values = {
            name: "" if (value := getattr(record, name)) is None else visible(str(value))
            for name in FIELDS
        }
        values |= _of_alert(record)
        return template.format(**values, segment=segment, offset=offset).encode()

    return text


def _of_alert(record: AuditRecord) -> dict[str, str]:
    if record.kind != ALERT:
        return dict.fromkeys(ALERT_FIELDS, "")
    about = dict(record.extra or {})
    about["samples"] = " ".join(about["samples"])
    return {name: visible(str(about[name])) for name in ALERT_FIELDS}


def shortened(text: Text, record: AuditRecord, offset: int, room: int) -> bytes:
    """Write a record in at most `room` bytes, leaving out the end of its statement.

    Where even the rest is too long the text itself is cut, and JSON is then no JSON any more.
    """
    sql = record.sqltext or ""

    def with_first(count: int) -> bytes:
        kept = sql[:count] + cut_mark(len(sql) - count)
        return text(structs.replace(record, sqltext=kept), offset)

    if not sql or len(with_first(0)) > room:
        return cut_bytes(text(record, offset), room)
    fits, fails = 0, min(len(sql), room)  # a character takes at least a byte
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if len(with_first(middle)) <= room:
            fits = middle
        else:
            fails = middle
    return with_first(fits)
