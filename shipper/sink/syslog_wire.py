r"""What stands in a syslog message: headers, structured data, framing. Pure.

    RFC 5424:  <14>1 2024-09-03T01:53:33Z db1 percona-audit - connect [mysql@32473 event="connect"
               user="root" source="10.0.0.9" status="1045" connection="7" segment="…" offset="80"] …
    RFC 3164:  <14>Sep  3 01:53:33 db1 percona-audit: …

No content can forge a second message: no control character leaves this room. In structured data
they become `#` and three octal digits, as rsyslog writes them itself.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from msgspec import Struct

from shipper.document.columns import numbers
from shipper.model import ALERT, CHANGE_USER, CONNECT, AuditRecord

# RFC 5424 6.2.1 for 12 to 15 has no short names; these are those of the BSDs, where LOG_SECURITY
# is defined. LOG_CLOCK is the RFC's "clock daemon".
FACILITIES: Final = {
    name: number
    for number, name in enumerate(
        (
            *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron"),
            *("authpriv", "ftp", "ntp", "security", "console", "clock"),
            *(f"local{number}" for number in range(8)),
        )
    )
}
PRIORITIES: Final = {
    name: number
    for number, name in enumerate(
        ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
    )
}
# What alerts are sent with, whatever `priority` says: so a receiver tells them from records.
_OF_SEVERITY: Final = {
    "critical": PRIORITIES["crit"],
    "warning": PRIORITIES["warning"],
    "info": PRIORITIES["info"],
}

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_OCTAL: Final = {
    code: "".join(f"#{byte:03o}" for byte in chr(code).encode())
    for code in (*range(0x20), *range(0x7F, 0xA0))
}
# RFC 5424 6.3.3; a PARAM-VALUE holds nothing else that ends it.
_PARAM: Final = _OCTAL | {ord(character): f"\\{character}" for character in '"\\]'}
# Names of accounts and hosts are shorter; what is longer is an attack on the receiver's columns.
PARAM_MAX: Final = 256
# RFC 5424 6.2.3: TIME-SECFRAC has at most six digits.
_FRACTION: Final = re.compile(r"(\.\d{6})\d+")


def number_of(name: str, table: dict[str, int]) -> int | None:
    """Give the code of `LOG_USER` or `user`; None for a name that is not in the table."""
    return table.get(name.lower().removeprefix("log_"))


def visible(text: str) -> str:
    r"""Write control characters (C0, DEL, C1) as `#012`; all else stays."""
    return text if text.isprintable() else text.translate(_OCTAL)


class Header(Struct, frozen=True, kw_only=True):
    """What all messages of one sink have in common."""

    rfc5424: bool
    pri: int  # facility * 8 + priority
    failed_pri: int  # of failed logins
    hostname: str  # "" leaves it out of RFC 3164, as syslog(3) does on /dev/log
    ident: str
    sd_id: str  # "" sends no structured data
    zone: tzinfo | None  # of RFC 3164 times, which do not tell it; None: the machine's


def head(header: Header, record: AuditRecord, timestamp: str, segment: str, offset: int) -> bytes:
    """Write everything before the message; `timestamp` is the record's, or the time of sending."""
    failed = record.kind in (CONNECT, CHANGE_USER) and bool(record.status)
    pri = header.failed_pri if failed else header.pri
    if record.kind == ALERT and record.extra is not None:
        pri = pri // 8 * 8 + _OF_SEVERITY[record.extra["severity"]]
    at = stamp(header, timestamp).decode()
    if not header.rfc5424:
        host = f"{header.hostname} " if header.hostname else ""
        return f"<{pri}>{at} {host}{header.ident}: ".encode()
    data = _structured(header.sd_id, record, segment, offset) if header.sd_id else "-"
    host = header.hostname or "-"
    return f"<{pri}>1 {at} {host} {header.ident} - {record.kind} {data} ".encode()


def stamp(header: Header, timestamp: str) -> bytes:
    """Write the time of a record, RFC 3339 in UTC, as the header has it."""
    if header.rfc5424:
        return _FRACTION.sub(r"\1", timestamp).encode()
    at = datetime.fromisoformat(timestamp).replace(tzinfo=UTC)
    try:
        local = at.astimezone(header.zone)
    except (OverflowError, ValueError):  # a log may claim the year 1; no zone goes there
        local = at
    return f"{_MONTHS[local.month - 1]} {local.day:2} {local:%H:%M:%S}".encode()


def _structured(sd_id: str, record: AuditRecord, segment: str, offset: int) -> str:
    params = {
        "event": record.kind,
        "name": record.name,
        "user": record.user,
        "source": record.ip or record.host,
        "status": record.status,
        "connection": record.connection_id,
        "segment": segment,
        "offset": offset,
    }
    written = "".join(
        f' {name}="{_param(str(value))}"' for name, value in params.items() if value is not None
    )
    return f"[{sd_id}{written}]"


def _param(text: str) -> str:
    if len(text) > PARAM_MAX:
        text = f"{text[:PARAM_MAX]}{cut_mark(len(text) - PARAM_MAX)}"
    return text.translate(_PARAM)


def cut_mark(count: int) -> str:
    """Mark the place where so many characters or bytes were left out."""
    return f"...[{count} more]"


def cut_bytes(message: bytes, limit: int) -> bytes:
    """Cut a message to `limit` bytes, marked, never inside of a UTF-8 character."""
    if len(message) <= limit:
        return message
    room = limit - len(cut_mark(len(message)))
    kept = message[: max(room, 0)].decode("utf-8", "ignore").encode()
    return (kept + cut_mark(len(message) - len(kept)).encode())[:limit]


def octet_counted(messages: list[bytes]) -> bytes:
    """Frame messages for a stream (RFC 6587 3.4.1, RFC 5425 4.3): `LENGTH SP MESSAGE`."""
    framed = [b" "] * (3 * len(messages))
    framed[0::3] = numbers(list(map(len, messages)))
    framed[2::3] = messages
    return b"".join(framed)


def line_framed(messages: list[bytes]) -> bytes:
    """Frame messages by line feeds (RFC 6587 3.4.2); they hold none."""
    return b"\n".join([*messages, b""])
