"""Blocks of whole XML records, read with one regular expression.

Four values of a record vary without end: RECORD, TIMESTAMP, CONNECTION_ID and SQLTEXT. The texts
between them come from small sets: names, accounts, addresses. So the first record with given texts
is read the careful way, and those after it are copies with the four values replaced.

The block is matched as Latin-1: one character is one byte, so lengths are spans, and a block with
one Chinese word costs no more than one without.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import accumulate
from operator import add, itemgetter
from typing import Any, Final

from shipper.decode.base import Decoded, Format
from shipper.decode.xmllayout import (
    BLANKS,
    LAYOUTS,
    NUMBER,
    STATEMENT,
    WHOLE,
    Layout,
    Syntax,
    compiled,
)
from shipper.decode.xmlrecord import MAYBE_TRUNCATED, looks_cut, record_of
from shipper.decode.xmltext import unescape_column
from shipper.errors import MalformedError
from shipper.model import AuditRecord

# Accounts times addresses times statement classes of a busy server; about 4 MiB when full.
PROTOTYPES_MAX: Final = 4096
# Longer texts are no names and addresses: not worth keeping.
KEY_CHARACTERS_MAX: Final = 2048
# A layout is looked for near the start of a block; most records are under 1 KiB.
SAMPLE_CHARACTERS: Final = 8192

# Of a repeated field the last one counts: it must not be one that each record has its own of.
_VARYING: Final = frozenset(("record", "record_id", "timestamp", "connection_id"))

_Row = tuple[str, ...]
_Prototype = tuple[Any, ...]


class _Reader:
    """One layout in one syntax, with the prototypes of its records."""

    def __init__(self, syntax: Syntax, layout: Layout) -> None:
        self.layout = layout
        self.record, self.rows = compiled(syntax, layout)
        self.prototypes: dict[_Row, _Prototype] = {}


class BlockReader:
    """Reads blocks in one syntax; the layout of the last block is tried first."""

    def __init__(self, format_: Format, syntax: Syntax, clock: Mapping[str, str]) -> None:
        """Read records that no layout fits with `format_`."""
        self._format = format_
        self._interrupts = re.compile(format_.interrupted_by)
        self._syntax = syntax
        self._clock = clock
        self._layouts = list(LAYOUTS)
        self._readers: dict[Layout, _Reader] = {}

    def read(self, block: bytes, offset: int) -> Decoded | None:
        """Read the records in `block`; None unless they and blanks are all there is."""
        text = block.decode("latin-1")
        reader = self._reader(text)
        rows = reader.rows.findall(text)
        lengths = [len(row[WHOLE]) for row in rows]
        blanks = map(len, map(itemgetter(BLANKS), rows))
        steps = lengths if sum(lengths) == len(text) else map(add, lengths, blanks)
        starts = list(accumulate(steps, initial=offset))
        if starts.pop() != offset + len(text):
            return None
        ends = list(map(add, starts, lengths))
        try:
            return Decoded(self._records(reader, rows), starts, ends)
        except (MalformedError, UnicodeDecodeError):
            return None

    def _reader(self, text: str) -> _Reader:
        """Choose the layout by the first records, and try it first from now on."""
        for index, layout in enumerate(self._layouts):
            reader = self._readers.get(layout)
            if reader is None:
                reader = self._readers[layout] = _Reader(self._syntax, layout)
            if reader.record.search(text, 0, SAMPLE_CHARACTERS):
                self._layouts.insert(0, self._layouts.pop(index))
                return reader
        return self._readers[self._layouts[0]]

    def _records(self, reader: _Reader, rows: list[_Row]) -> list[AuditRecord]:
        clock, prototypes, layout = self._clock, reader.prototypes, reader.layout
        time_first, percona = layout.time_first, layout.percona
        texts = [row[STATEMENT] for row in rows]
        statements = unescape_column(texts, line_feeds=layout.line_feeds)
        records = []
        for row, statement in zip(rows, statements, strict=True):
            _, name, record, time, before, number, between, has_sql, sql, after, _ = row
            if time_first:
                name, time = time, name
            key = (name, before, between, has_sql, after)
            like = prototypes.get(key) or self._prototype(reader, key, row)
            if like is None:
                records.append(self._odd(_utf8(row[WHOLE])))
                continue
            word, class_, status, no_sql, user, host, login, ip, db, priv, proxy, kind, last = like
            format_, extra = last
            if extra:
                extra = dict(extra)
            if sql and sql[-1] == ";" and percona and looks_cut(sql):
                extra = {**(extra or {}), MAYBE_TRUNCATED: ["sqltext"]}
            records.append(
                # By position: keywords would cost a tenth of the whole.
                AuditRecord(
                    word,
                    record,
                    clock[time],
                    class_,
                    int(number),
                    status,
                    statement if has_sql else no_sql,
                    user,
                    host,
                    login,
                    ip,
                    db,
                    priv,
                    proxy,
                    kind,
                    format_,
                    extra,
                )
            )
        return records

    def _prototype(self, reader: _Reader, key: _Row, row: _Row) -> _Prototype | None:
        """Read what all records with this key share, and remember it; None if it is not clear."""
        if not row[NUMBER]:
            return None  # no layout fits
        name, before, between, has_sql, after = map(_utf8, key)
        inner = before + between + after.removesuffix("/").rstrip()
        fields = self._syntax.fields(inner)
        if fields is None or not _VARYING.isdisjoint(fields):
            return None
        if not reader.layout.line_feeds and "\n" in "".join((name, *fields.values())):
            return None  # it may begin a row that cuts the record
        if "sqltext" in fields and (has_sql or fields["sqltext"]):  # but NEW's <SQLTEXT/>
            return None
        time = row[1] if reader.layout.time_first else row[3]
        head = {"name": name, reader.layout.head[1].lower(): row[2], "timestamp": time}
        record = record_of({**head, **fields}, self._syntax.name, self._clock)
        if record.extra and MAYBE_TRUNCATED in record.extra:
            return None  # SQLTEXT may have to go first in that list
        made = _prototype(record)
        if len(name) + len(inner) <= KEY_CHARACTERS_MAX:
            if len(reader.prototypes) >= PROTOTYPES_MAX:
                reader.prototypes.clear()
            reader.prototypes[key] = made
        return made

    def _odd(self, whole: str) -> AuditRecord:
        """Read a record that no layout fits, if it is one for the engine too."""
        raw = whole.encode()
        if self._interrupts.search(raw, 1) or self._format.end(raw, 0, True) != len(raw):  # noqa: FBT003 the shape of Format.end
            raise MalformedError("not one whole record")
        return self._format.careful(raw)


def _utf8(value: str) -> str:
    return value if value.isascii() else value.encode("latin-1").decode()


def _prototype(record: AuditRecord) -> _Prototype:
    """Give what records with the same key have in common, in the order of their making."""
    return (
        record.name,
        record.command_class,
        record.status,
        record.sqltext,
        record.user,
        record.host,
        record.os_login,
        record.ip,
        record.db,
        record.priv_user,
        record.proxy_user,
        record.kind,
        (record.format, record.extra),
    )
