"""The one loop that may promise anything: read, filter, deliver until acknowledged, commit.

    laws: the committed cursor is never ahead of what the sink acknowledged; every record is
    delivered at least once, or refused into the dead letters, or lies in a loss in the ledger;
    order is kept within a segment; duplicates come only from a crash or an unclear failure.

A lane belongs to one source and one sink and has a thread of its own. It owns waiting: sinks do not
sleep. Back-pressure is not reading. `turn` does one piece of work and never waits longer than a
delivery takes, which is what tests drive; `run` is turns with waits between them.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from shipper.errors import DamagedError, ShipperError
from shipper.lane.deliver import Courier, StatefulSink
from shipper.lane.fittings import Fittings, Select, select_all
from shipper.lane.ledger import Cursor
from shipper.lane.parcel import Parcel
from shipper.lane.reader import Step
from shipper.model import Span
from shipper.notices import Filtered, Finished, Lost, Mended, Saved, Taken, Trouble
from shipper.sink import Receipt, Sink
from shipper.sink.base import PackingSink
from shipper.source.segment import UNKNOWN, Segment

# A lane that has nothing to do looks up this often, should a wake-up ever be missed.
LOOK_SECONDS: Final = 1.0
# A sink whose own state is saved with the position counts again what was not saved: it needs no
# commit, with its wait for the disk, for each delivery while there is more to read. That much is
# read again after a crash, in a tenth of a second.
COMMIT_BYTES: Final = 8 * 1024 * 1024


class Lane:
    """Brings one source's records to one sink."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        fittings: Fittings,
        *,
        select: Select = select_all,
        keeps_defects: bool = True,
    ) -> None:
        """Go on where the state says. `keeps_defects`: write unreadable ranges to dead letters."""
        self.name = name
        self._fit = fittings
        self._select = select
        self._courier = Courier(name, sink, fittings, keeps_defects=keeps_defects)
        self._sink = sink
        known = fittings.state.lane(name)
        self._cursors = known.cursors
        self._sessions = known.sessions
        self._sequences = known.sequences
        self._courier.restore(known.sink)
        self._at = {segment: cursor.offset for segment, cursor in known.cursors.items()}
        # Where a segment ended; UNKNOWN for one that this lane was not to ship.
        self._over = {
            segment: cursor.offset or UNKNOWN
            for segment, cursor in known.cursors.items()
            if cursor.done
        }
        # What a segment was like when it had nothing.
        self._asked: dict[str, tuple[object, ...]] = {}
        self._troubled: set[str] = set()  # segments that cannot be read at present
        self._parcel: Parcel | None = None
        self._sent: deque[tuple[Parcel, Future[Receipt | None]]] = deque()
        self._arrived: list[Parcel] = []  # acknowledged, not committed; without their blocks
        self._stateful = sink if isinstance(sink, StatefulSink) else None
        self._packing = sink if isinstance(sink, PackingSink) else None
        self._threads = (
            ThreadPoolExecutor(sink.in_flight, f"{name}-") if sink.in_flight > 1 else None
        )

    # --- running ---------------------------------------------------------------------------

    def run(self) -> None:
        """Work until `stop`. Raises MisconfiguredError; then nothing more is delivered."""
        catalog, stop = self._fit.feed.catalog, self._fit.stop
        try:
            if not self._courier.prepare():
                return
            while not stop.is_set():
                seen = catalog.version
                self._fit.feed.wait_for_others(self.name)
                if not self.turn():
                    catalog.wait(seen, LOOK_SECONDS)
            self._collect(everything=True)
        finally:
            if self._threads is not None:
                self._threads.shutdown(wait=True, cancel_futures=True)

    def turn(self) -> bool:
        """Do one piece of work; False where there is nothing to do until files change."""
        found = self._next()
        if found is None:
            self._send()
            self._collect(everything=True)
            return False
        segment, step = found
        self._take(segment, step)
        full = self._parcel is not None and self._parcel.size >= self._sink.batch_bytes
        if step is None or step.ended or full:
            self._send()
        self._collect(everything=False)
        return True

    @property
    def idle(self) -> bool:
        """Whether everything that can be read now is committed."""
        waits = self._sent or self._arrived or self._parcel
        return not waits and not any(map(self._unasked, self._todo()))

    def position(self, segment: Segment) -> int:
        """Give the offset up to which the segment is committed."""
        cursor = self._cursors.get(segment.id)
        return cursor.offset if cursor else 0

    def is_done(self, segment: Segment) -> bool:
        """Whether the segment's end, as it is now, is committed."""
        cursor = self._cursors.get(segment.id)
        return cursor is not None and cursor.done and self._is_over(segment)

    def behind(self, segment: Segment) -> int:
        """Give the bytes that may hold something and are not committed, as far as one can say."""
        asked, at = self._asked.get(segment.id), self.position(segment)
        if self._is_over(segment) or (asked and asked[:2] == segment.looks[:2]):
            return max(segment.items_end - at, 0)
        return max((segment.file_size if segment.size == UNKNOWN else segment.size) - at, 0)

    def has_all(self, segment: Segment) -> bool:
        """Whether every item that can be read of the segment now is committed."""
        asked = self._is_over(segment) or not self._unasked(segment)
        return asked and self.position(segment) >= segment.items_end

    # --- reading ---------------------------------------------------------------------------

    def _todo(self) -> list[Segment]:
        return [each for each in self._fit.feed.catalog.segments() if not self._is_over(each)]

    def _is_over(self, segment: Segment) -> bool:
        end = self._over.get(segment.id)
        if end is None:
            return False
        # A server may write on into what had been at its end for long (formats.md 1.9, PS-1098),
        # and somebody may compress it then.
        return segment.known <= end

    def _unasked(self, segment: Segment) -> bool:
        return self._asked.get(segment.id) != segment.looks

    def _next(self) -> tuple[Segment, Step | None] | None:
        """Find the oldest segment that has something: a step, or None for a loss at its end."""
        for segment in self._todo():
            if not self._unasked(segment):
                continue
            looks = segment.looks
            self._over.pop(segment.id, None)
            try:
                at = self._at.get(segment.id, 0)
                step = self._fit.feed.take(self.name, segment, at, self._sessions)
            except DamagedError as error:
                self._trouble(segment, error)
                self._lose(segment, "damaged_archive")
                return segment, None
            except ShipperError as error:  # a password is missing, or the disk does not answer
                self._trouble(segment, error)
                continue
            if step is not None:
                self._mended(segment)
                return segment, step
            if segment.closed and segment.key is None:
                self._lose(segment, "truncated_unread")
                return segment, None
            self._asked[segment.id] = looks
        return None

    def _trouble(self, segment: Segment, error: ShipperError) -> None:
        if segment.id not in self._troubled:
            self._troubled.add(segment.id)
            self._fit.tell(Trouble(self._fit.source, self.name, str(error)))

    def _mended(self, segment: Segment) -> None:
        if segment.id in self._troubled:
            self._troubled.discard(segment.id)
            text = f"{segment.path} can be read again"
            self._fit.tell(Mended(self._fit.source, self.name, text))

    def _take(self, segment: Segment, step: Step | None) -> None:
        parcel = self._begin(segment)
        if step is None:
            return
        step.changes.apply(self._sessions)
        self._sequences.see(step.block.records)
        kept, filtered = self._select(step.block)
        parcel.add(step, kept, filtered)
        self._at[segment.id] = step.end
        if step.ended:
            self._over[segment.id] = step.end

    def _begin(self, segment: Segment) -> Parcel:
        """Give the parcel that this segment's steps go into; one of another segment is sent."""
        if self._parcel is not None and self._parcel.segment is not segment:
            self._send()
        if self._parcel is None:
            self._parcel = Parcel.begin(segment, self._at.get(segment.id, 0))
            if self._packing is not None:
                self._parcel.package = self._packing.package(segment.id, segment.path)
                self._parcel.sessions = dict(self._sessions)
        return self._parcel

    def _lose(self, segment: Segment, reason: str) -> None:
        """Note that the rest of a segment will never come."""
        parcel, at = self._begin(segment), self._at.get(segment.id, 0)
        end = max(segment.known, at)
        if end > at or reason == "damaged_archive":
            parcel.progress.losses.append((Span(at, end), reason))
            lost = Lost(self._fit.source, self.name, segment.id, Span(at, end), reason)
            self._fit.tell(lost)
        parcel.progress.offset, parcel.progress.done = end, True
        self._over[segment.id] = end

    # --- delivering ------------------------------------------------------------------------

    def _send(self) -> None:
        """Hand the parcel over; with several in flight, without waiting for its arrival."""
        parcel, self._parcel = self._parcel, None
        if parcel is None or not parcel.moved:
            return
        parcel.seal(self._sequences)
        self._tell_taken(parcel)
        future: Future[Receipt | None] = Future()
        if not parcel.blocks:
            future.set_result(Receipt(0))
        elif self._threads is not None:
            if len(self._sent) >= self._sink.in_flight:
                self._collect(everything=False, at_least=1)
            future = self._threads.submit(self._courier.deliver, parcel)
        else:
            future.set_result(self._courier.deliver(parcel))
        self._sent.append((parcel, future))

    def _tell_taken(self, parcel: Parcel) -> None:
        """Tell what was read: once a parcel, as telling costs as much as filtering a block."""
        fit, defects = self._fit, parcel.progress.defects
        fit.tell(Taken(fit.source, self.name, parcel.records, defects, parcel.size))
        for name, count in parcel.filtered.items():
            fit.tell(Filtered(fit.source, self.name, name, count))

    def _collect(self, *, everything: bool, at_least: int = 0) -> None:
        """Commit what arrived, in order; wait for `at_least` parcels, or for all."""
        arrived, count = self._arrived, 0
        wanted = len(self._sent) if everything else at_least
        while self._sent and (count < wanted or self._sent[0][1].done()):
            parcel, future = self._sent.popleft()
            receipt = future.result()
            if receipt is None:  # stopped: this and what follows is delivered after the next start
                self._sent.clear()
                break
            parcel.progress.records += receipt.new
            parcel.progress.duplicates += receipt.duplicates
            parcel.progress.refused += len(receipt.refusals)
            parcel.blocks, parcel.package, parcel.sessions = [], None, {}
            arrived.append(parcel)
            count += 1
        if arrived and (everything or self._due(arrived)):
            self._arrived = []
            self._commit(arrived)

    def _due(self, arrived: list[Parcel]) -> bool:
        sink = self._stateful
        if sink is None or sink.urgent:
            return True
        return sum(parcel.size for parcel in arrived) >= COMMIT_BYTES

    def _commit(self, arrived: list[Parcel]) -> None:
        if not self._courier.commit(arrived):
            return
        if self._stateful is not None:
            self._stateful.urgent = False
        fit = self._fit
        for parcel in arrived:
            segment, progress = parcel.segment, parcel.progress
            cursor = self._cursors.setdefault(segment.id, Cursor())
            cursor.offset, cursor.done = progress.offset, progress.done
            if progress.done:
                fit.tell(Finished(fit.source, self.name, segment.id, progress.offset))
                fit.done(segment)
        last = arrived[-1]
        fit.tell(Saved(fit.source, self.name, last.segment.id, last.progress.offset))
