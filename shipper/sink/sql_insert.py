"""Rows as one INSERT, every value in hexadecimal.

Nothing of a log ever stands in a statement as text: user names and SQL are chosen by attackers,
and digits need no quoting, whatever the server's mode and character set. It is also the quickest
way: escaping a record's JSON costs three times as much as making it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy.exc import DBAPIError

from shipper.document.percona import percona
from shipper.model import Block, Defect
from shipper.sink.base import Refusal
from shipper.sink.sql_errors import refusal, said
from shipper.sink.sql_tables import WORD_CHARACTERS, defect_row

if TYPE_CHECKING:
    from sqlalchemy import Connection

# The comment is how the shipper knows its own statements when they come back in an audit log.
MARK: Final = "/* audit-shipper */"
_RECORDS: Final = "INTO audit_data (info, segment, `offset`, kind, name, format) VALUES "
_DEFECTS: Final = "INTO audit_defects (segment, `offset`, `end`, reason, detail, excerpt) VALUES "
# Not INSERT IGNORE: that would also turn values that do not fit into warnings.
_KNOWN_STAYS: Final = " ON DUPLICATE KEY UPDATE segment = segment"
# The protocol's own byte, and a little air for a proxy that adds a comment.
_FRAME_BYTES: Final = 1024
_TEXT_MAX: Final = 4096  # characters of a defect's detail and excerpt: no more than is ever written


class Row(NamedTuple):
    """One row, written as SQL."""

    offset: int
    sql: str


class Tally(Struct):
    """What came of the rows of a batch."""

    new: int = 0
    refusals: list[Refusal] = []
    size: int = 0  # bytes of the statements


def record_rows(block: Block, segment: int) -> Iterator[Row]:
    """Write the records of a block."""
    encode = msgspec.json.Encoder().encode
    words: dict[tuple[str, str, str], str] = {}
    for record, offset in zip(block.records, block.starts, strict=True):
        key = record.kind, record.name, record.format
        tail = words.get(key)
        if tail is None:
            tail = words[key] = ",".join(_hex(word[:WORD_CHARACTERS]) for word in key)
        info = encode(percona(record)).hex()
        yield Row(offset, f"(_utf8mb4 x'{info}',{segment},{offset},{tail})")


def defect_rows(defects: Sequence[Defect], segment: int) -> Iterator[Row]:
    """Write defects."""
    for defect in defects:
        number, start, end, *texts = defect_row(defect, segment)
        values = ",".join(_hex(str(text)[:_TEXT_MAX]) for text in texts)
        yield Row(defect.span.start, f"({number},{start},{end},{values})")


def _hex(text: str) -> str:
    return f"_utf8mb4 x'{text.encode('utf-8', 'backslashreplace').hex()}'"


def insert_records(connection: Connection, rows: Sequence[Row], packet_bytes: int) -> Tally:
    """Insert records; one statement, or as few as the server's limit allows."""
    return _insert(connection, _RECORDS, rows, packet_bytes)


def insert_defects(connection: Connection, rows: Sequence[Row], packet_bytes: int) -> None:
    """Insert defects. One that the server refuses has nowhere else to go and is left out."""
    _insert(connection, _DEFECTS, rows, packet_bytes)


def _insert(connection: Connection, into: str, rows: Sequence[Row], packet_bytes: int) -> Tally:
    head = f"INSERT {MARK} {into}"
    tally = Tally()
    room = packet_bytes - len(head) - len(_KNOWN_STAYS) - _FRAME_BYTES
    chunk: list[Row] = []
    size = 0
    for row in rows:
        length = len(row.sql) + 1
        if length > room:
            detail = f"{length} bytes as SQL; max_allowed_packet is {packet_bytes}"
            tally.refusals.append(Refusal(row.offset, "too_large", detail))
            continue
        if size + length > room:
            _execute(connection, head, chunk, tally)
            chunk, size = [], 0
        chunk.append(row)
        size += length
    _execute(connection, head, chunk, tally)
    return tally


def _execute(connection: Connection, head: str, rows: Sequence[Row], tally: Tally) -> None:
    """Run one statement; where the server refuses a value, find the record by halving.

    A refused statement leaves the transaction as it was before it.
    """
    if not rows:
        return
    statement = head + ",".join([row.sql for row in rows]) + _KNOWN_STAYS
    try:
        tally.new += connection.exec_driver_sql(statement).rowcount
    except DBAPIError as error:
        reason = refusal(error)
        if reason is None:
            raise
        if len(rows) == 1:
            tally.refusals.append(Refusal(rows[0].offset, reason, said(error)))
            return
        middle = len(rows) // 2
        _execute(connection, head, rows[:middle], tally)
        _execute(connection, head, rows[middle:], tally)
    else:
        tally.size += len(statement)
