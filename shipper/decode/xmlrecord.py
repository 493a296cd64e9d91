"""The fields of one XML record, still escaped, to one `AuditRecord` (formats.md 0, 1.4, 2.4, 3.2).

Three servers write the same two syntaxes, and rotated files have no header, so each record says
itself who wrote it: RECORD is Percona's audit_log, RECORD_ID with ` UTC` after the time is MySQL
Enterprise, RECORD_ID without it the Percona filter, whose time is local.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from shipper.decode.base import MORE, Data
from shipper.decode.fields import flat_record
from shipper.decode.xmltext import unescape
from shipper.model import AuditRecord

# Generation B ends a value after its first TAB, LF or CR (formats.md 1.4). Others write values that
# merely end in one, so this is a sign and no proof.
_BREAK: Final = re.compile("&#(?:9|10|13);")
MAYBE_TRUNCATED: Final = "maybe_truncated"  # key of `extra`: the names of such fields
_LINE_FEED: Final = 0x0A


def looks_cut(value: str) -> bool:
    """Say whether an escaped value holds a TAB, LF or CR reference only at its very end."""
    match = _BREAK.search(value)
    return match is not None and match.end() == len(value)


def record_of(escaped: Mapping[str, Any], syntax: str, clock: Mapping[str, str]) -> AuditRecord:
    """Make a record of escaped fields, keyed by lower-case names; `syntax` is "old" or "new".

    Raises MalformedError.
    """
    texts = [value for value in escaped.values() if isinstance(value, str)]
    if len(texts) == len(escaped) and "&" not in "".join(texts):  # the usual case
        return flat_record(escaped, f"{_writer(escaped)}-{syntax}", clock)
    percona = "record" in escaped
    literal = "startup_options" if percona else None  # never escaped there
    fields = {k: v if k == literal else _unescaped(v) for k, v in escaped.items()}
    record = flat_record(fields, f"{_writer(fields)}-{syntax}", clock)
    if percona:
        cut = [
            key
            for key, value in escaped.items()
            if key != literal and isinstance(value, str) and value[-1:] == ";" and looks_cut(value)
        ]
        if cut:
            record.extra = {**(record.extra or {}), MAYBE_TRUNCATED: cut}
    return record


def startup_fields(match: re.Match[str]) -> dict[str, str]:
    """Name the values of audit_log's Audit record, whose order is fixed (formats.md 1.2)."""
    names = ("name", "record", "timestamp", "mysql_version", "startup_options", "os_version")
    return dict(zip(names, match.groups(), strict=True))


def _writer(fields: Mapping[str, Any]) -> str:
    if "record" in fields:
        return "percona"
    local = "record_id" in fields and not str(fields.get("timestamp")).endswith(" UTC")
    return "filter" if local else "enterprise"


def _unescaped(value: Any) -> Any:
    if isinstance(value, str):
        return unescape(value)
    return {unescape(key): _unescaped(inner) for key, inner in value.items()}


def with_line_feed(data: Data, end: int, final: bool) -> int:  # noqa: FBT001 as in Format.end
    """Give the end of a record with the line feed after it, which belongs to it."""
    if end == len(data):
        return end if final else MORE
    return end + (data[end] == _LINE_FEED)
