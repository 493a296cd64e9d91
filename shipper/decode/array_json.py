"""JSON arrays of MySQL Enterprise and of the Percona filter (formats.md 2.1-2.3, 2.5, 3.3).

    { "timestamp": "2020-08-19 21:03:39", "id": 13, "class": "general", "event": "status", … },

A record is one object; brackets, commas and blanks between records are framing, so the array may be
open, closed, or closed and opened again. The byte behind the first brace tells the writer, record
by record: a blank is Enterprise, a line feed the filter's JSON, a quote the filter's JSONL.
Enterprise writes UTC, the filter the server's local time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate, count
from operator import add
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from shipper.decode import base, rows
from shipper.decode.array_fields import array_record, give_identity
from shipper.decode.array_lines import Line, line_records
from shipper.decode.base import Context, Data, Decoded, Memo
from shipper.decode.identity import Identity, parse_identity
from shipper.decode.jsonscan import ObjectEnd, interrupts, unnested
from shipper.decode.jsontext import load_object
from shipper.errors import MalformedError
from shipper.model import AuditRecord

ENTERPRISE: Final = "enterprise-json"
FILTER: Final = "filter-json"
FILTER_LINES: Final = "filter-jsonl"

# In every real file `timestamp` comes first. Oracle promises no order, so other scalar members may
# come before it: fixed words and digits, nothing that a client chooses.
_SCALAR: Final = (
    rb'"(?:id|time|class|event|connection_id)"\s{0,99}:\s{0,99}(?:\d{1,20}|"[a-z_]{1,40}")'
)
_START: Final = rb'\{\s{0,99}(?:%b\s{0,99},\s{0,99}){0,5}"timestamp"\s{0,99}:\s{0,99}"' % _SCALAR
# In the middle of other bytes, more has to be there.
_START_INSIDE: Final = _START + rb'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"'


class _Layout(NamedTuple):
    """How one writer writes its records, byte for byte."""

    format: str
    opening: bytes
    separator: bytes  # ends with the opening of the next record


# By the byte behind the brace. JSON that no known server writes goes by that byte as well.
_LAYOUTS: Final = {
    opening[1:2]: _Layout(format_, opening, before + opening)
    for format_, before, opening in (
        (ENTERPRISE, b"},\n", b'{ "timestamp": "'),
        (FILTER_LINES, b"},\n", b'{"timestamp":"'),
        (FILTER, b"\n  },\n  ", b'{\n    "timestamp": "'),
        (FILTER, b"\r\n  },\r\n  ", b'{\r\n    "timestamp": "'),
    )
}
# The 8.0.34 plugin closes a data object on its last line: `"status": 0}` (formats.md 2.1).
_TIGHT: Final = re.compile(rb"\S\}\s*\}\Z")
# ValueError: of `zip`, where records are separated in another way. UnicodeDecodeError is one.
_REFUSED: Final = (msgspec.DecodeError, ValueError, RecursionError, MalformedError)
# Objects nested deeper are left to the careful path, so that the depth of the stack, which differs
# between the two, never decides.
_BRACKETS_MAX: Final = 100


class ArrayJson:
    """Reader of the objects of the array."""

    name: ClassVar[str] = ENTERPRISE
    start: ClassVar[bytes] = _START
    found_by: ClassVar[bytes] = unnested(_START_INSIDE)
    interrupted_by: ClassVar[bytes] = interrupts(
        _START_INSIDE, base.PERCONA_JSON_START, base.MCAFEE_START, base.OUTBRAIN_START
    )

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clocks, and memos of users and of an unfinished record."""
        utc, local = context.clock.utc, context.clock
        self._clocks: dict[str, Mapping[str, str]] = {
            ENTERPRISE: utc,
            FILTER: local,
            FILTER_LINES: local,
        }
        self._object = ObjectEnd(context, self.interrupted_by)
        self._rows = rows.RowsInside(context, self.interrupted_by)
        self._identity: Memo[Identity | None] = Memo(parse_identity)
        self._lines = msgspec.json.Decoder(list[Line])
        self._line = msgspec.json.Decoder(Line)
        self._strict = msgspec.json.Decoder(dict[str, Any])
        self._interrupt = re.compile(self.interrupted_by)

    def cut(self, data: Data, start: int, stop: int) -> int:
        """Find the line feed before the last record: with it the one before surely ends."""
        opening = b"\n  {" if data[start + 1 : start + 2] in b"\r\n" else b"\n{"
        return max(data.rfind(opening, start, stop) + 1, start)

    def end(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 the Protocol
        """Find the brace that closes the record."""
        return self._rows.end(data, start, self._object.find(data, start), final)

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of records of one layout.

        A line feed cannot stand inside a valid JSON string, and no usual record holds a list of
        objects: so each separator in a valid array stands between two records.
        """
        layout = _LAYOUTS.get(block[1:2])
        if layout is None or not block.startswith(layout.opening):
            return None
        format_, opening, separator = layout
        parts = block.split(separator)
        length = len(block) - len(parts[-1]) + len(parts[-1].rstrip(b", \r\n"))
        behind = list(accumulate(map(len, parts)))[:-1]
        step, closed = len(separator), separator.index(b"}") + 1
        starts = [offset, *map(add, behind, count(offset + step - len(opening), step))]
        ends = [*map(add, behind, count(offset + closed, step)), offset + length]
        try:
            records = self._records(memoryview(block)[:length], format_)
            if records is None:
                spans = zip(starts, ends, strict=True)
                records = [self._single(block[s - offset : e - offset], format_) for s, e in spans]
            elif format_ is FILTER:
                for record, end in zip(records, ends, strict=True):
                    self._take_apart(record, block, end - offset)
        except _REFUSED:
            return None
        return Decoded(records, starts, ends) if len(records) == len(starts) else None

    def _records(self, body: memoryview, format_: str) -> list[AuditRecord] | None:
        """Read all records at once; None if one of them is unusual."""
        clock = self._clocks[format_]
        try:
            lines = self._lines.decode(b"".join((b"[", body, b"]")))
            return line_records(lines, format_, clock)
        except _REFUSED:
            return None

    def _single(self, raw: bytes, format_: str) -> AuditRecord:
        """Read one record, usual or not, unless the careful path might see it otherwise."""
        try:
            (record,) = line_records([self._line.decode(raw)], format_, self._clocks[format_])
        except _REFUSED:
            brackets = raw.count(b"{") + raw.count(b"[")
            if brackets > _BRACKETS_MAX or self._interrupt.search(raw, 1):
                raise
            return self._meaning(self._strict.decode(raw), raw)
        if format_ is FILTER:
            self._take_apart(record, raw, len(raw))
        return record

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one record of any shape, repairing what the plugin did not escape."""
        return self._meaning(load_object(raw), raw)

    def _meaning(self, fields: dict[str, Any], raw: bytes) -> AuditRecord:
        format_ = _LAYOUTS.get(raw[1:2], _LAYOUTS[b" "]).format
        record = array_record(fields, format_, self._clocks[format_])
        if format_ is FILTER:
            self._take_apart(record, raw, len(raw))
        return record

    def _take_apart(self, record: AuditRecord, data: bytes, end: int) -> None:
        """Take the long users of the 8.0.34 plugin's general records apart (formats.md 2.3)."""
        user = record.user
        if (
            user
            and user[-1] == "]"
            and (record.extra or {}).get("class") == "general"
            and _TIGHT.search(data, max(end - 16, 0), end)
        ):
            give_identity(record, self._identity[user])
