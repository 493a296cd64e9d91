"""What a live log shows at once: records do not wait for those that come later."""

from __future__ import annotations

import re

import pytest
from corpus.event import Writer
from corpus.realistic import events
from corpus.writers import WRITERS

from shipper.decode import FORMATS, Decoder
from shipper.decode.base import STARTS_OF_SEVERAL_LINES

FOREIGN = (b"garbage\n", b"2024-09-03 01:53:14 0 [ERROR] no room\n", b"\xff\x00oops\r\n", b"7\n")


def written(layout: Writer, count: int) -> list[bytes]:
    """Records as they come into a log, each with what makes its end known."""
    made = [record for event in events(50) if (record := layout.write(event))]
    return [layout.between + record.raw for record in made[:count]]


@pytest.mark.parametrize("foreign", FOREIGN)
@pytest.mark.parametrize("layout", WRITERS, ids=lambda layout: layout.name)
def test_a_foreign_line_holds_nothing_back(layout: Writer, foreign: bytes) -> None:
    decoder = Decoder(FORMATS)
    before, behind, last = written(layout, 3)
    decoder.feed(layout.header + before.removeprefix(layout.between))
    if not before.endswith(b"\n"):
        foreign = b"\n" + foreign
    blocks = [decoder.feed(foreign), decoder.feed(behind), decoder.feed(last)]
    # A record of some layouts is only known to be whole when the next one begins.
    assert sum(len(block.records) for block in blocks) >= 1
    assert sum(len(block.defects) for block in blocks) == 1


@pytest.mark.parametrize("layout", WRITERS, ids=lambda layout: layout.name)
def test_starts_look_no_further_than_their_line(layout: Writer) -> None:
    """But for those of XML and JSON: else a line could not be known to begin no record."""
    starts = [re.compile(format_.start) for format_ in FORMATS]
    for raw in written(layout, 8):
        record = raw.removeprefix(layout.between)
        for place in range(1, min(len(record), 200)):
            torn = record[:place] + b"\n" + record[place:]
            if torn[0] in STARTS_OF_SEVERAL_LINES:
                continue
            line = torn[: torn.index(b"\n") + 1]
            matches = [start for start in starts if start.match(torn)]
            assert matches == [start for start in starts if start.match(line)]
