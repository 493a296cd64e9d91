"""Truth law by construction: what a server writes about an event is what the decoder reads.

The corpus writes from the description of the layouts and knows nothing of the decoders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from corpus.event import COMPARED, Event, Writer
from corpus.strategies import events
from corpus.writers import kinds, log
from decode.decoding import decode
from decode.test_laws import LAYOUTS, laws_settings
from hypothesis import given
from hypothesis import strategies as st

RAW_LINE_FEEDS = {"PerconaCsv", "MariaDb"}
by_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)


def compared(document: Mapping[str, Any], layout: Writer) -> dict[str, Any]:
    return {k: v for k, v in document.items() if k in COMPARED - layout.open}


def meanings(layout: Writer, fitted: list[Event]) -> list[dict[str, Any]]:
    return [compared(w.meaning, layout) for event in fitted if (w := layout.write(event))]


@by_layout
@given(data=st.data())
@laws_settings(60)
def test_an_event_reads_as_it_was_written(layout: Writer, data: st.DataObject) -> None:
    event = layout.fit(data.draw(events(kinds(layout))))
    items = decode(log(layout, [event]))
    assert [compared(item, layout) for item in items] == meanings(layout, [event])


@by_layout
@given(data=st.data())
@laws_settings(15)
def test_a_whole_file_reads_as_it_was_written(layout: Writer, data: st.DataObject) -> None:
    drawn = data.draw(st.lists(events(kinds(layout)), min_size=2, max_size=12))
    fitted = [layout.fit(event) for event in drawn]
    items = decode(log(layout, fitted))
    assert [compared(item, layout) for item in items] == meanings(layout, fitted)


@by_layout
@given(data=st.data(), keep=st.floats(0.2, 0.95))
@laws_settings(15)
def test_a_cut_record_does_not_take_its_neighbours_along(
    layout: Writer, data: st.DataObject, keep: float
) -> None:
    drawn = data.draw(st.lists(events(kinds(layout)), min_size=2, max_size=4))
    first, *others = (layout.fit(event) for event in drawn)
    if layout.reader in RAW_LINE_FEEDS:
        # A torn statement may leave lines that look like the start of any record.
        first = replace(first, sql=first.sql.replace("\n", " "))
    whole = log(layout, [first], closed=False)
    head = len(layout.header)
    crashed = whole[: head + max(1, int((len(whole) - head) * keep))]
    # A server that starts again writes its header straight behind the cut record (formats.md 1.1);
    # where there is none, the next record stands on a line of its own.
    items = decode(crashed + b"\n" + log(layout, others))
    read = [compared(item, layout) for item in items if "defect" not in item]
    assert read[-len(others) :] == meanings(layout, others)
