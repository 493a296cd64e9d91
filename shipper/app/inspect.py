"""What a daemon has done and not done, from its state directory: running, stopped or dead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from shipper.app.present import Present
from shipper.clock import seconds_of
from shipper.lane.dead_letters import DeadLetters
from shipper.lane.ledger import Cursor, Ledgered, Loss
from shipper.lane.state import State
from shipper.refine.sequence import Gap, Sequences


class LaneReport(Struct, frozen=True):
    """One lane: totals over all segments, and how far it is behind."""

    source: str
    sink: str
    segment: str  # path of the segment that it is in
    position: int
    behind_bytes: int  # of all segments in the ledger, as they are now, and of unknown ones
    newest: str | None  # event time of the newest acknowledged record
    behind_seconds: float | None  # its age, where something waits
    records: int
    duplicates: int
    refused: int  # and not replayed since
    waiting: int  # of the refused ones, in the dead letters
    filtered: int
    defects: int
    lost_bytes: int
    segments_done: int
    segments_open: int
    numbers_missing: int  # by the records' own numbers
    gaps: tuple[Gap, ...]
    losses: tuple[Loss, ...]
    configured: bool  # False for a lane that the configuration has no more

    @property
    def complete(self) -> bool:
        """Whether everything that the ledger knows is accounted for."""
        amiss = self.behind_bytes or self.lost_bytes or self.losses or self.numbers_missing
        return not (self.configured and amiss)


class SourceReport(Struct, frozen=True):
    """One source: its ledger and its lanes."""

    source: str
    segments: tuple[Ledgered, ...]
    lanes: tuple[LaneReport, ...]
    dead_letters_bytes: int


def inspect_state(
    directory: Path, now: float, configured: Collection[tuple[str, str]] | None = None
) -> list[SourceReport]:
    """Report on every source that has a state in `directory`.

    `configured`: the lanes (source, sink) that there should be; None where nobody knows.
    Raises UnavailableError or MisconfiguredError where a state cannot be read.
    """
    return [_source(path, now, configured) for path in sorted(directory.glob("*.db"))]


def _source(path: Path, now: float, configured: Collection[tuple[str, str]] | None) -> SourceReport:
    name = path.stem
    state = State(path, read_only=True)
    letters = DeadLetters(path.with_name(f"{name}.dead-letters.ndjson"))
    with closing(state):
        segments, cursors, losses = state.segments(), state.cursors(), state.losses()
        numbers = {lane: state.lane(lane).sequences for lane in state.lanes()}
        refused = any(each.refused for of in cursors.values() for each in of.values())
        waiting = Counter(each.sink for each in letters.read() if each.record) if refused else {}
        with closing(Present(path.parent, state.instance(), segments, state.saved_at())) as present:
            lanes = tuple(
                msgspec.structs.replace(
                    _lane(
                        name,
                        lane,
                        segments,
                        cursors.get(lane, {}),
                        losses,
                        numbers[lane],
                        now,
                        present,
                    ),
                    waiting=waiting.get(lane, 0),
                    configured=configured is None or (name, lane) in configured,
                )
                for lane in numbers
            )
    return SourceReport(name, tuple(segments), lanes, letters.size)


def _lane(  # noqa: PLR0913, PLR0917 one lane is a view over all of these
    source: str,
    sink: str,
    segments: Sequence[Ledgered],
    cursors: dict[str, Cursor],
    losses: Sequence[Loss],
    sequences: Sequences,
    now: float,
    present: Present,
) -> LaneReport:
    own = tuple(loss for loss in losses if loss.lane == sink)
    open_ = [each for each in segments if not cursors.get(each.id, Cursor()).has_all(each.size)]
    behind = sum(present.behind(each, cursors.get(each.id, Cursor()).offset) for each in open_)
    behind += sum(size for _, size in present.unknown(open_ or segments[-1:]))
    at = open_[0] if open_ else (segments[-1] if segments else None)
    newest = max((cursor.newest for cursor in cursors.values() if cursor.newest), default=None)
    gaps = (*sequences.gaps, *sequences.open_gaps())
    done = list(cursors.values())
    return LaneReport(
        source=source,
        sink=sink,
        segment=at.path if at else "",
        position=cursors.get(at.id, Cursor()).offset if at else 0,
        behind_bytes=behind,
        newest=newest,
        behind_seconds=max(now - seconds_of(newest), 0.0) if newest and behind else None,
        records=sum(cursor.records for cursor in done),
        duplicates=sum(cursor.duplicates for cursor in done),
        refused=sum(cursor.refused for cursor in done),
        waiting=0,
        filtered=sum(cursor.filtered for cursor in done),
        defects=sum(cursor.defects for cursor in done),
        lost_bytes=sum(loss.span.end - loss.span.start for loss in own),
        segments_done=len(segments) - len(open_),
        segments_open=len(open_),
        numbers_missing=sequences.missing + sum(gap.missing for gap in sequences.open_gaps()),
        gaps=gaps,
        losses=own,
        configured=True,
    )
