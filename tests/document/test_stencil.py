"""Filling a stencil and rendering a record give the same bytes, whatever the record says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.document import stencil
from shipper.document.stencil import Row, Stencils
from shipper.model import KINDS, AuditRecord, Block

_json = msgspec.json.Encoder().encode


def render(record: AuditRecord, offset: int) -> bytes:
    document = {"at": record.timestamp, **msgspec.structs.asdict(record), "offset": offset}
    document["kind"] = document.pop("kind")
    document["extra"] = document.pop("extra")
    document["offset"] = document.pop("offset")
    return b"%d %s " % (offset, (record.timestamp or "").encode()) + _json(document)


def rows(block: Block, numbers: Sequence[int | None]) -> Iterable[Row]:
    return map(row, block.records, block.starts, numbers)


def row(record: AuditRecord, offset: int, number: int | None) -> Row:
    def shown(value: Any) -> bytes:
        return b"" if value is None else _json(value)

    place, at = str(offset).encode(), (record.timestamp or "").encode()
    return (
        place,
        at,
        shown(record.timestamp),
        shown(record.record),
        shown(record.timestamp),
        shown(record.connection_id),
        shown(record.sqltext),
        shown(number),
        place,
    )


def block(record: AuditRecord, offset: int) -> Block:
    """The record twice, so that the second time a stencil is there."""
    return Block(offset, offset + 9, [record] * 2, [offset] * 2, [offset + 9] * 2, [])


SPECIMEN_TEXTS = tuple(str(value) for specimen in stencil.SPECIMENS for value in specimen)
TEXTS = st.one_of(st.text(max_size=8), st.sampled_from(SPECIMEN_TEXTS), st.just("100 %b %% %"))
WORDS = st.one_of(st.none(), TEXTS)
RECORDS = st.builds(
    AuditRecord,
    name=TEXTS,
    record=WORDS,
    timestamp=st.one_of(st.none(), st.sampled_from(("2024-09-03T01:53:33Z", SPECIMEN_TEXTS[0]))),
    connection_id=st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    status=st.one_of(st.none(), st.integers(0, 2000)),
    sqltext=WORDS,
    user=WORDS,
    host=WORDS,
    db=WORDS,
    kind=st.sampled_from(KINDS),
    query_id=st.none() | st.integers(-5, 2**63 - 1),
    extra=st.none()
    | st.dictionaries(
        st.sampled_from(("table", "query_id", "x%")),
        TEXTS | st.integers(-5, 2**63) | st.booleans() | st.none() | st.lists(st.integers()),
        max_size=3,
    ),
)


@given(st.lists(st.tuples(RECORDS, st.integers(0, 2**63)), max_size=6))
def test_a_filled_stencil_is_what_render_writes(records: list[tuple[AuditRecord, int]]) -> None:
    write = Stencils(render, rows)
    for record, offset in records:
        assert write.fill(block(record, offset)) == [render(record, offset)] * 2


@given(st.lists(st.tuples(RECORDS, st.integers(0, 2**63)), max_size=6))
def test_neighbours_do_not_change_what_is_written(
    records: list[tuple[AuditRecord, int]],
) -> None:
    offsets = [offset for _, offset in records]
    together = Block(0, 0, [record for record, _ in records], offsets, offsets, [])
    assert Stencils(render, rows).fill(together) == [render(*each) for each in records]


def test_records_that_differ_in_changing_values_only_are_rendered_once() -> None:
    calls = []

    def counted(record: AuditRecord, offset: int) -> bytes:
        calls.append(offset)
        return render(record, offset)

    write = Stencils(counted, rows)
    for number in range(100):
        record = AuditRecord(user="bob", sqltext=f"select {number}", connection_id=number)
        record.extra, record.query_id = {"serverhost": "db1"}, number
        write.fill(block(record, number))
    assert len(calls) == 2  # the two specimens


def test_a_flood_of_names_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stencil, "ENTRIES_MAX", 8)
    write = Stencils(render, rows)
    for number in range(100):
        record = AuditRecord(user=f"guess{number}", sqltext="select 1", connection_id=1)
        assert write.fill(block(record, number))[0] == render(record, number)
    assert len(write) <= 8


def test_values_that_render_does_not_write_are_noticed() -> None:
    write = Stencils(render, lambda block, _numbers: [(b"never written",)] * len(block.records))
    record = AuditRecord(user="bob")
    assert write.fill(block(record, 5))[1] == render(record, 5)
