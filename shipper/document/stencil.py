"""Documents that are cut once and filled many times. Pure.

Theory of operation. Records of a busy server differ in few values: when, which connection, which
statement, at which offset. The rest (what kind of event, who, from where) repeats. `render` writes
any record, with care and slowly. For the first record of each kind, `render` writes two specimens
in which the changing values are known; what lies between those values is the stencil of that kind.
Later records only fill it.

A log's author cannot make a stencil lie: a value that looks like a specimen's stands in the fixed
parts of the other specimen, so the two disagree, and such a record is rendered. Both ways give the
same bytes; `tests/document/test_stencil.py` proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, TypeAlias

from msgspec import structs

from shipper.model import AuditRecord, Block

# Any record with its offset, to the bytes of its document.
Render: TypeAlias = Callable[[AuditRecord, int], bytes]
# The bytes of what changes, in the order in which they stand in the document: b"" where the record
# does not have the value. Only of timestamp, record, connection_id, sqltext and the offset.
Values: TypeAlias = Callable[[AuditRecord, int], tuple[bytes, ...]]

# Distinct (who, from where, what) of a busy server; a stencil is about a kilobyte. Full means
# forgotten: whoever floods a server with invented names costs rendering, not memory.
ENTRIES_MAX: Final = 4096

# Two sets of values that do not hold each other. Times that every format can write: until 2106.
SPECIMENS: Final = (
    ("2083-10-15T23:59:58Z", "~record-a~", 7_583_101_523_595_801, "~sql-a~", 8_583_101_523_595_803),
    ("2071-07-04T01:02:03Z", "=recordB=", 6_671_070_401_020_302, "=sqlB=", 9_671_070_401_020_304),
)
_ODD_STEP: Final = 1_000_000_000_000_007  # from a specimen's offset to the number in its `extra`


def odd_number(extra: dict[str, Any] | None) -> int | None:
    """Give the one number in `extra`, such as MariaDB's query id."""
    if extra is not None:
        for value in extra.values():
            if type(value) is int:
                return value
    return None


def _shape(extra: dict[str, Any]) -> tuple[str | None, ...] | None:
    """Tell kinds of `extra` apart; None where it has more than texts and one number."""
    shape: list[str | None] = []
    numbers = 0
    for name, value in extra.items():
        if type(value) is str:
            shape += (name, value)
        elif type(value) is int and not numbers:
            numbers = 1
            shape += (name, None)
        else:
            return None
    return tuple(shape)


class Stencils:
    """Write records as `render` does, faster. To be used by one thread."""

    def __init__(self, render: Render, values: Values) -> None:
        """`values(record, offset)` must be what `render` writes for the changing values."""
        self._render = render
        self._values = values
        self._known: dict[Hashable, bytes] = {}  # b"" where the specimens disagree

    def fill(self, block: Block) -> list[bytes]:
        """Give the document of every record of `block`."""
        render, values, known = self._render, self._values, self._known
        documents: list[bytes] = []
        add = documents.append
        for record, offset in zip(block.records, block.starts, strict=True):
            odd = record.extra
            shape: tuple[str | None, ...] | None = ()
            if odd is not None:
                shape = _shape(odd)
                if shape is None:
                    add(render(record, offset))
                    continue
            key = (
                shape,
                record.kind,
                record.name,
                record.command_class,
                record.status,
                record.format,
                record.user,
                record.priv_user,
                record.os_login,
                record.proxy_user,
                record.host,
                record.ip,
                record.db,
                record.timestamp is None,
                record.record is None,
                record.connection_id is None,
                record.sqltext is None,
            )
            stencil = known.get(key)
            if stencil is None:
                stencil = self._learn(key, record)
            add(stencil % values(record, offset) if stencil else render(record, offset))
        return documents

    def __len__(self) -> int:
        """Say how many kinds of records are known."""
        return len(self._known)

    def _learn(self, key: Hashable, record: AuditRecord) -> bytes:
        if len(self._known) >= ENTRIES_MAX:
            self._known.clear()
        first, second = (self._cut(record, specimen) for specimen in SPECIMENS)
        stencil = first if first == second else b""
        self._known[key] = stencil
        return stencil

    def _cut(self, record: AuditRecord, specimen: tuple[str, str, int, str, int]) -> bytes:
        timestamp, id_, connection_id, sqltext, offset = specimen
        example = structs.replace(
            record,
            timestamp=None if record.timestamp is None else timestamp,
            record=None if record.record is None else id_,
            connection_id=None if record.connection_id is None else connection_id,
            sqltext=None if record.sqltext is None else sqltext,
            extra=record.extra
            and {
                name: offset + _ODD_STEP if type(value) is int else value
                for name, value in record.extra.items()
            },
        )
        rest = self._render(example, offset)
        parts = []
        for value in self._values(example, offset):
            part, found, rest = rest.partition(value) if value else (b"", value, rest)
            if found != value:
                return b""
            parts.append(part)
        return b"%b".join(part.replace(b"%", b"%%") for part in (*parts, rest))
