"""Blocks to syslog messages: header, structured data and text, none longer than the limit. Pure."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from shipper.document import columns
from shipper.document.ecs import Place
from shipper.document.stencil import Row, Rows, Stencils
from shipper.model import AuditRecord, Block
from shipper.sink.syslog_message import (
    Text,
    cef_text,
    cef_time,
    cef_value,
    ecs_text,
    percona_text,
    shortened,
    template_text,
    without_controls,
)
from shipper.sink.syslog_wire import Header, head, stamp, visible

PERCONA: Final = "percona"
ECS: Final = "ecs"
CEF: Final = "cef"

# What changes from record to record (`stencil.py`), by the names that templates have for it.
_CHANGING: Final = ("stamp", "timestamp", "connection_id", "record", "sqltext", "odd", "offset")

_json: Final = msgspec.json.Encoder().encode


class Shape(Struct, frozen=True):
    """What the messages of one sink look like."""

    header: Header
    message: str  # PERCONA, ECS, CEF, or a template
    limit: int  # bytes of a message, without its framing
    instance: str = ""  # the operator's name for the server, in ECS messages


class _Body(NamedTuple):
    """One shape of text: how it is written, and how and in which order it has what changes."""

    text: Text
    order: tuple[str, ...]
    escape: Callable[[str], bytes]
    time: Callable[[str], bytes] = str.encode


class Encoder:
    """Write the records of one segment; to be used by one thread."""

    def __init__(self, shape: Shape, segment: str, path: str) -> None:
        """Prepare the parts that all messages of the segment share."""
        self._header = shape.header
        self._limit = shape.limit
        self._segment = segment
        self._body = _body(
            shape.message, Place(segment=segment, path=path, instance=shape.instance)
        )
        self._now = ""
        tells_place = shape.header.rfc5424 and shape.header.sd_id
        begin = ("stamp", *(("connection_id", "offset") if tells_place else ()))
        self._stencils = Stencils(self._render, self._rows((*begin, *self._body.order)))

    def messages(self, block: Block, now: str) -> list[bytes]:
        """Give a message for every record; `now`, RFC 3339, stands in for a missing time."""
        self._now = now
        messages = self._stencils.fill(block)
        whole = b"".join(messages)
        if b"\x7f" in whole or b"\xc2" in whole:
            messages = [without_controls(message) for message in messages]
        if max(map(len, messages), default=0) <= self._limit:
            return messages
        items = zip(block.records, block.starts, strict=True)
        return [
            message if len(message) <= self._limit else self._shortened(*item)
            for message, item in zip(messages, items, strict=True)
        ]

    def _head(self, record: AuditRecord, offset: int) -> bytes:
        at = self._header_time(record.timestamp)
        return head(self._header, record, at, self._segment, offset)

    def _header_time(self, timestamp: str | None) -> str:
        # rsyslog takes a header with another year for no header at all.
        if timestamp is not None and "1970" <= timestamp < "2100":
            return timestamp
        return self._now

    def _render(self, record: AuditRecord, offset: int) -> bytes:
        return self._head(record, offset) + self._body.text(record, offset)

    def _shortened(self, record: AuditRecord, offset: int) -> bytes:
        begin = self._head(record, offset)
        return begin + shortened(self._body.text, record, offset, self._limit - len(begin))

    def _rows(self, order: Sequence[str]) -> Rows:
        """Make the function that gives what changes, in this order."""
        header, body, header_time = self._header, self._body, self._header_time

        def in_header(timestamp: str | None) -> bytes:
            return stamp(header, header_time(timestamp))

        def in_text(timestamp: str | None) -> bytes:
            return b"" if timestamp is None else body.time(timestamp)

        def rows(block: Block, numbers: Sequence[int | None]) -> Iterable[Row]:
            records = block.records
            times = columns.timestamps(records)
            made: dict[str, Callable[[], columns.Column]] = {
                "stamp": lambda: columns.repeated(times, in_header),
                "timestamp": lambda: columns.repeated(times, in_text),
                "connection_id": lambda: columns.numbers(columns.connection_ids(records)),
                "record": lambda: columns.texts(columns.record_ids(records), body.escape),
                "sqltext": lambda: columns.texts(columns.statements(records), body.escape),
                "odd": lambda: columns.numbers(numbers),
                "offset": lambda: columns.numbers(block.starts),
            }
            every = {name: made[name]() for name in set(order)}
            return zip(*(every[name] for name in order), strict=True)

        return rows


def _body(message: str, place: Place) -> _Body:
    order: tuple[str, ...]
    if message == PERCONA:
        order = ("record", "timestamp", "connection_id", "sqltext", "odd")
        return _Body(percona_text, order, _json)
    if message == ECS:
        order = ("timestamp", "offset", "connection_id", "odd", "sqltext", "record")
        return _Body(ecs_text(place), order, _json)
    if message == CEF:
        order = ("timestamp", "record", "connection_id", "sqltext")
        return _Body(cef_text, order, _escape_cef, cef_time)
    names = [name for _, name, _, _ in string.Formatter().parse(message)]
    order = tuple(name for name in names if name in _CHANGING)
    return _Body(template_text(message, place.segment), order, _escape_plain)


def _escape_cef(text: str) -> bytes:
    return cef_value(text).encode()


def _escape_plain(text: str) -> bytes:
    return visible(text).encode()
