"""Do the records' own numbers leave gaps? Pure; one tracker a lane.

Percona's plugin numbers records from each opening of the file (`<n>_<time of opening>`, formats.md
1.5), Enterprise's XML likewise (3.2), Enterprise's JSON within each second (3.3), Percona's filter
plugin through the server's life (2.2). MariaDB, McAfee and the rest have no numbers. Concurrent
sessions write out of order, so a run of numbers is judged by its lowest, highest and count, and
not before a later run has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from shipper.model import AUDIT_START, AuditRecord

# Runs that may still get late records. Openings follow each other by seconds at least.
OPEN_RUNS_MAX: Final = 4
# Gaps kept with their place; beyond it they are only counted. A page for a person to read.
GAPS_MAX: Final = 100
# A number this far below the highest can only mean that the server began to count anew.
REORDERED_MAX: Final = 1_000

_PERCONA: Final = ("percona-json", "percona-old", "percona-new", "percona-csv")
_BY_OPENING: Final = frozenset((*_PERCONA, "enterprise-old", "enterprise-new"))
_BY_SECOND: Final = frozenset(("enterprise-json",))
_BY_LIFE: Final = frozenset(("filter-json", "filter-jsonl", "filter-old", "filter-new"))
NUMBERED: Final = _BY_OPENING | _BY_SECOND | _BY_LIFE


class Run(Struct):
    """Numbers of one opening, second or life."""

    key: str
    low: int
    high: int
    count: int

    @property
    def missing(self) -> int:
        """How many numbers between the lowest and the highest never came."""
        return max(self.high - self.low + 1 - self.count, 0)


class Gap(Struct, frozen=True):
    """A run with missing numbers."""

    key: str
    low: int
    high: int
    missing: int


class Sequences(Struct):
    """What the numbers of one log say; the fields are its state, kept with the cursor."""

    runs: list[Run] = msgspec.field(default_factory=list)  # the latest, oldest first
    gaps: list[Gap] = msgspec.field(default_factory=list)
    complete: int = 0  # runs judged to have no gap
    missing: int = 0  # numbers that never came, over all gaps
    lives: int = 0  # how often a filter plugin's server began to count anew

    def see(self, records: Sequence[AuditRecord]) -> None:
        """Take the records of one block, in the order of the log."""
        if not records or records[0].format not in NUMBERED:
            return
        first, last = _split(records[0]), _split(records[-1])
        span = last[1] - first[1] + 1
        if first[0] == last[0] and first[1] > 0 and span == len(records):
            # Numbers as they should be: one addition for the whole block. If late records make this
            # wrong inside, the block that has them is counted one by one, and the sum comes out.
            self._add(first[0], first[1], last[1], span)
            return
        for record in records:
            key, number = _split(record)
            if number >= 0 and record.format in NUMBERED:
                self._add(key, number, number, 1, restart=record.kind == AUDIT_START)

    def _add(self, key: str, low: int, high: int, count: int, *, restart: bool = False) -> None:
        if not key:
            key = self._life(low, restart=restart)
        for run in reversed(self.runs):
            if run.key == key:
                run.low, run.high = min(run.low, low), max(run.high, high)
                run.count += count
                return
        self.runs.append(Run(key, low, high, count))
        if len(self.runs) > OPEN_RUNS_MAX:
            self._judge(self.runs.pop(0))

    def _life(self, number: int, *, restart: bool) -> str:
        highest = max((run.high for run in self.runs if run.key == f"life {self.lives}"), default=0)
        if restart or number + REORDERED_MAX < highest:
            self.lives += 1
        return f"life {self.lives}"

    def _judge(self, run: Run) -> None:
        if not run.missing:
            self.complete += 1
            return
        self.missing += run.missing
        if len(self.gaps) < GAPS_MAX:
            self.gaps.append(Gap(run.key, run.low, run.high, run.missing))

    def open_gaps(self) -> list[Gap]:
        """Give the gaps of runs that are not judged yet: late records may still fill them."""
        return [Gap(r.key, r.low, r.high, r.missing) for r in self.runs if r.missing]


def _split(record: AuditRecord) -> tuple[str, int]:
    """Give what the record is numbered within ("" for the server's life), and its number or -1."""
    text: Any = record.record
    if text is None:
        return "", -1
    number, _, opening = text.partition("_")
    if not number.isdecimal() or len(number) > 20:
        return "", -1
    if record.format in _BY_OPENING:
        return opening, int(number)
    if record.format in _BY_SECOND:
        return record.timestamp or "", int(number)
    return "", int(number)
