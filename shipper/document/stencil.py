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

from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import attrgetter
from typing import Final, TypeAlias

from msgspec import structs
from msgspec.structs import astuple

from shipper.document.columns import Shape, parted, query_ids, with_number
from shipper.model import QUERY_ID, AuditRecord, Block

# Any record with its offset, to the bytes of its document.
Render: TypeAlias = Callable[[AuditRecord, int], bytes]
Row: TypeAlias = tuple[bytes, ...]
# For each record of a block the bytes of what changes, in the order in which they stand in the
# document: b"" where the record does not have the value. Only of timestamp, record, connection_id,
# sqltext, the offset, and the one number in `details`, which are the second argument.
Rows: TypeAlias = Callable[[Block, Sequence[int | None]], Iterable[Row]]

# Distinct (who, from where, what) of a busy server; a stencil is about a kilobyte. Full means
# forgotten: whoever floods a server with invented names costs rendering, not memory.
ENTRIES_MAX: Final = 4096

# Two sets of values that do not hold each other. Times that every format can write: until 2106.
SPECIMENS: Final = (
    ("2083-10-15T23:59:58Z", "~record-a~", 7_583_101_523_595_801, "~sql-a~", 8_583_101_523_595_803),
    ("2071-07-04T01:02:03Z", "=recordB=", 6_671_070_401_020_302, "=sqlB=", 9_671_070_401_020_304),
)
_ODD_STEP: Final = 1_000_000_000_000_007  # from a specimen's offset to the number in its `details`


_extra: Final = attrgetter("extra")
_NO_EXTRA: Final[Shape] = (None,)  # () is an empty one


class Stencils:
    """Write records as `render` does, faster. To be used by one thread."""

    def __init__(self, render: Render, rows: Rows) -> None:
        """`rows` must give what `render` writes for the changing values."""
        self._render = render
        self._rows = rows
        self._known: dict[Hashable, bytes] = {}  # b"" where the specimens disagree

    def fill(self, block: Block) -> list[bytes]:
        """Give the document of every record of `block`."""
        render, known, records = self._render, self._known, block.records
        documents: list[bytes] = []
        add = documents.append
        shapes, numbers = _parted(records)
        rows = self._rows(block, numbers)
        for record, fields, shape, row, offset in zip(
            records, map(astuple, records), shapes, rows, block.starts, strict=True
        ):
            if shape is None:
                add(render(record, offset))
                continue
            # fmt: off
            (
                name, id_, time, class_, connection, status, sql, user, host, login, ip, db, priv,
                proxy, kind, format_, _, query,
            ) = fields
            key = (
                shape, kind, name, class_, status, format_, user, host, login, ip, db, priv, proxy,
                time is None, id_ is None, connection is None, sql is None, query is None,
            )
            # fmt: on
            stencil = known.get(key)
            if stencil is None:
                stencil = self._learn(key, record)
            add(stencil % row if stencil else render(record, offset))
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
            extra=record.extra and with_number(record.extra, offset + _ODD_STEP),
            query_id=None if record.query_id is None else offset + _ODD_STEP,
        )
        rest = self._render(example, offset)
        parts = []
        _, numbers = _parted([example])
        (row,) = self._rows(Block(offset, offset, [example], [offset], [offset], []), numbers)
        for value in row:
            part, found, rest = rest.partition(value) if value else (b"", value, rest)
            if found != value:
                return b""
            parts.append(part)
        # `%s`, not `%b`: the same for bytes, and a third faster.
        return b"%s".join(part.replace(b"%", b"%%") for part in (*parts, rest))


def _parted(records: Sequence[AuditRecord]) -> tuple[list[Shape | None], list[int | None]]:
    """Give the shape of each record's `extra`, None for one without, and the number it has."""
    extras, numbers = list(map(_extra, records)), query_ids(records)
    if extras.count(None) == len(extras):  # so it is in the logs of Percona's plugin
        return [_NO_EXTRA] * len(extras), numbers
    shapes: list[Shape | None] = []
    for place, (extra, number) in enumerate(zip(extras, numbers, strict=True)):
        shape, odd = (_NO_EXTRA, ()) if extra is None else parted(extra) or (None, ())
        if number is not None and extra and QUERY_ID in extra:
            shape = None
        if odd and number is None:
            numbers[place], odd = odd[0], odd[1:]
        shapes.append(None if odd else shape)  # a row has room for one
    return shapes, numbers
