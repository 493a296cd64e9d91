"""One source with its lanes, running."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from shipper.app.absent import Absent
from shipper.app.inputs import open_input
from shipper.app.own_files import Leftovers
from shipper.app.reading import decoding_of, selection_of
from shipper.clock import Clock
from shipper.config import Config, name_of
from shipper.errors import ShipperError, UnavailableError
from shipper.lane.dead_letters import DeadLetters
from shipper.lane.deliver import StatefulSink
from shipper.lane.feed import Feed
from shipper.lane.fittings import Fittings, select_all
from shipper.lane.parcel import ledgered
from shipper.lane.run import Lane
from shipper.lane.start import skipped
from shipper.lane.state import State
from shipper.notices import Tell, Trouble
from shipper.refine.sequence import Sequences
from shipper.refine.sessions import Changes
from shipper.sink import Sink, SinkSettings, make_sink
from shipper.sink.base import Surroundings as SinkSurroundings
from shipper.source.base import SourceSettings, Surroundings
from shipper.source.catalog import Catalog
from shipper.source.finder import Finder
from shipper.source.findings import Findings
from shipper.source.segment import Segment
from shipper.source.settings import FileSettings


class Remainder(Struct, frozen=True):
    """What a lane has not shipped of a segment."""

    source: str
    sink: str
    path: str
    position: int
    size: int


class RunningSource:
    """Follows one log and runs a lane for each of its sinks, each in a thread."""

    def __init__(
        self,
        settings: SourceSettings,
        sinks: Sequence[SinkSettings],
        config: Config,
        clock: Clock,
        tell: Tell,
        *,
        make: Callable[[SinkSettings, SinkSurroundings], Sink] = make_sink,
    ) -> None:
        """Open the state and look at the files once; raises ShipperError where that fails."""
        self.name = name_of(settings)
        self._clock = clock
        self._tell = tell
        self.stop = threading.Event()
        self.failed: list[BaseException] = []
        self.on_failure: Callable[[], None] = lambda: None
        self.on_end: Callable[[], None] = lambda: None  # the input is over: standard input
        state = Path(config.state)
        self.state = State(state / f"{self.name}.db", instance=config.instance)
        self.dead_letters = DeadLetters(state / f"{self.name}.dead-letters.ndjson")
        self._decoding = decoding_of(settings, clock.now())
        around = Surroundings(self.name, clock, tell)
        try:
            self._input = open_input(settings, config, self._decoding, around)
        except Exception:
            self.state.close()
            raise
        parts = self._input
        self._leftovers = Leftovers(parts.spool, parts.identify, parts.around)
        self.catalog = self._open_catalog()
        path = settings.path if isinstance(settings, FileSettings) else None
        self._absent = Absent(self.name, path, clock, tell)
        around_sinks = SinkSurroundings(clock, tell, config.instance, self.name)
        self._sinks = [make(each, around_sinks) for each in sinks]
        names = [name_of(each) for each in sinks]
        counting = [
            n for n, s in zip(names, self._sinks, strict=True) if isinstance(s, StatefulSink)
        ]
        self._feed = Feed(self.catalog, self._decoding, names, clock, counting)
        self._begin(names)
        self.lanes = [
            self._lane(each, sink, first=index == 0)
            for index, (each, sink) in enumerate(zip(sinks, self._sinks, strict=True))
        ]
        self._input.hold.unshipped = self._unshipped
        for segment in self.catalog.segments():  # that new lanes were not to ship
            self._forget_shipped(segment)
        self._threads: list[threading.Thread] = []

    def _open_catalog(self) -> Catalog:
        parts = self._input
        finder = Finder(parts.names, parts.identify, parts.opened, parts.around)
        return Catalog(parts.names, finder, parts.hold, parts.around, self._note)

    def _note(self, segments: Sequence[Segment]) -> None:
        try:
            self.state.note([ledgered(each) for each in segments], self._clock.now())
        except UnavailableError as error:  # the lanes will meet it too, and wait
            self._tell(Trouble(self.name, "", str(error)))

    def _begin(self, lanes: Sequence[str]) -> None:
        """Tell the catalogue what earlier processes knew, and new lanes where to begin."""
        known, cursors, ledger = self.state.lanes(), self.state.cursors(), self.state.segments()
        finished: dict[str, int] = {}
        unfinished: dict[str, Segment] = {}
        for each in ledger:
            done = {
                lane
                for lane in lanes
                if (cursor := cursors.get(lane, {}).get(each.id)) and cursor.has_all(each.size)
            }
            if done >= set(lanes):
                finished[each.id] = each.size
            else:
                unfinished[each.id] = Segment(
                    id=each.id,
                    first_time=each.first_time,
                    path=each.path,
                    size=each.size,
                    quiet_since=self._clock.monotonic(),
                )
        self._leftovers.sweep(finished)
        self.catalog.remember(finished, unfinished)
        # What a new lane is not to ship has to be known before it begins.
        some_skipped = self._input.start != "beginning" and not set(lanes) <= set(known)
        self.catalog.poll(thorough=some_skipped)
        present = {each.id for each in self.catalog.segments() if each.key is not None}
        gone = [each for each in ledger if each.id not in present]
        for lane in set(lanes) - set(known):
            start, since = self._input.start, self._input.since
            progress = skipped(start, since, self.catalog, self._decoding, gone)
            now = self._clock.now()
            self.state.commit(lane, progress, Changes(), Sequences(), now=now)

    def _lane(self, settings: SinkSettings, sink: Sink, *, first: bool) -> Lane:
        name = name_of(settings)
        fittings = Fittings(
            source=self.name,
            feed=self._feed,
            state=self.state,
            dead_letters=self.dead_letters,
            clock=self._clock,
            tell=self._tell,
            stop=self.stop,
            chance=random.random,
            done=self._forget_shipped,
        )
        select = selection_of(settings, self._input.since) if self._input.filters else select_all
        return Lane(name, sink, fittings, select=select, keeps_defects=first)

    def _forget_shipped(self, segment: Segment) -> None:
        """Give a segment up that every lane has to its end."""
        if self.lanes and all(lane.is_done(segment) for lane in self.lanes):
            self.catalog.finish(segment)
            self._leftovers.remove(Path(segment.path))

    def _unshipped(self, segment: Segment) -> int:
        return max((lane.behind(segment) for lane in self.lanes), default=0)

    @property
    def findings(self) -> Findings | None:
        """The findings log that this follows, for whoever writes it; None for other sources."""
        kept = self._input.spool
        return kept if isinstance(kept, Findings) else None

    # --- running ---------------------------------------------------------------------------

    def start(self) -> None:
        """Start following and shipping."""
        if self._input.receiver is not None:
            self._thread("receive", self._receive)
        self._thread("follow", self._follow)
        for lane in self.lanes:
            self._thread(lane.name, lane.run, lane.name)

    def _thread(self, name: str, work: Callable[[], None], sink: str = "") -> None:
        thread = threading.Thread(
            target=self._guarded, args=(work, sink), name=f"{self.name}:{name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _guarded(self, work: Callable[[], None], sink: str) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 the one place: whatever it is ends the process
            if isinstance(error, ShipperError):
                error.source, error.sink = self.name, sink
            self.failed.append(error)
            self.on_failure()

    def _receive(self) -> None:
        if self._input.receiver is not None:
            self._input.receiver.run(self.stop)
        if not self.stop.is_set():
            self.on_end()

    def _follow(self) -> None:
        while not self._clock.wait(self.stop, self._input.poll_seconds):
            self.catalog.poll()
            self._absent.look()

    @property
    def idle(self) -> bool:
        """Whether everything that can be read now is shipped."""
        return all(lane.idle for lane in self.lanes)

    def halt(self) -> None:
        """Stop all threads, after what they are delivering just now; wait for them."""
        self.stop.set()
        self.catalog.wake()
        self._feed.release()
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """Give everything up; after `halt`."""
        for sink in self._sinks:
            try:
                sink.close()
            except ShipperError as error:
                self._tell(Trouble(self.name, "", f"cannot close a target: {error}"))
        self._input.close()
        self.catalog.close()
        self.state.close()

    def remaining(self) -> list[Remainder]:
        """Say what is not shipped, each lane and segment."""
        self.catalog.poll()
        return [
            Remainder(
                self.name, lane.name, segment.path, lane.position(segment), ledgered(segment).size
            )
            for lane in self.lanes
            for segment in self.catalog.segments()
            if not lane.has_all(segment)
        ]
