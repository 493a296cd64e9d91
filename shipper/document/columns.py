"""Values of a whole block, encoded together: a call a column costs less than a call a record. Pure.

Theory of operation. What changes from record to record is a column of short texts of digits or
letters. A column is written by one call, or one list, for all records of a block; a row of what
`zip` makes of the columns then fills a document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from shipper.model import AuditRecord, Shared

_encode: Final = msgspec.json.Encoder().encode
_NULL: Final = b"null"
_APART: Final = b"\n"  # not in what stands before a number

_record: Final = attrgetter("record")
_timestamp: Final = attrgetter("timestamp")
_connection_id: Final = attrgetter("connection_id")
_sqltext: Final = attrgetter("sqltext")
_query_id: Final = attrgetter("query_id")

Column: TypeAlias = list[bytes]
Value = TypeVar("Value", str | None, int | None)


def numbers(values: Sequence[int | None], before: bytes = b"") -> Column:
    """Write numbers, each behind `before`; b"" where there is none."""
    if values.count(None) == len(values):
        return [b""] * len(values)
    text = _encode(values)[1:-1]
    if before:
        text = before + text.replace(b",", _APART + before)
    written = text.split(_APART if before else b",")
    if (null := before + _NULL) in written:
        written = [b"" if number == null else number for number in written]
    return written


def texts(values: Iterable[str | None], write: Callable[[str], bytes]) -> Column:
    """Write texts, each by itself; b"" where there is none."""
    return [b"" if value is None else write(value) for value in values]


def repeated(values: Sequence[Value], write: Callable[[Value], bytes]) -> Column:
    """Write values of which few are different, such as times: each once."""
    written = {value: write(value) for value in set(values)}
    return [written[value] for value in values]


def connection_ids(records: Sequence[AuditRecord]) -> list[int | None]:
    """Give the column."""
    return list(map(_connection_id, records))


def query_ids(records: Sequence[AuditRecord]) -> list[int | None]:
    """Give the column."""
    return list(map(_query_id, records))


def record_ids(records: Sequence[AuditRecord]) -> list[str | None]:
    """Give the column."""
    return list(map(_record, records))


def statements(records: Sequence[AuditRecord]) -> list[str | None]:
    """Give the column."""
    return list(map(_sqltext, records))


def timestamps(records: Sequence[AuditRecord]) -> list[str | None]:
    """Give the column."""
    return list(map(_timestamp, records))


# --- `extra`: names that repeat, and numbers that do not, such as the port of a client.

Shape: TypeAlias = tuple[Any, ...]  # tells kinds of `extra` apart
_Parted: TypeAlias = tuple[Shape, tuple[int, ...]] | None
# What is longer is no name, and what is more than any format writes is not worth remembering.
_CHARACTERS_MAX: Final = 200
_ITEMS_MAX: Final = 16


def parted(extra: dict[str, Any]) -> _Parted:
    """Part the numbers in `extra` from the rest; None where it has more than texts and those."""
    if type(extra) is Shared:
        made: _Parted = extra.parted or _parted(extra)
        extra.parted = made
        return made
    return _parted(extra)


def _parted(extra: dict[str, Any]) -> _Parted:
    if len(extra) > _ITEMS_MAX:
        return None
    shape: list[Any] = []
    odd: tuple[int, ...] = ()
    for item in extra.items():
        name, value = item
        if type(value) is str and len(value) <= _CHARACTERS_MAX:
            shape.append(item)
        elif type(value) is int:
            odd += (value,)
            shape.append(name)
        else:
            return None
    return tuple(shape), odd


def with_number(extra: dict[str, Any], number: int) -> dict[str, Any]:
    """Put another number in the place of the one in an `extra` that can be parted."""
    return {name: number if type(value) is int else value for name, value in extra.items()}
