"""Blocks for the lanes of one source: decoded once, however many lanes are at the same place.

A lane that is alone, or far behind the others, has a reader to itself; lanes that are close to
each other find blocks in a small cache. Back-pressure is not asking.

Lanes that are close stay close: decoding a block again may cost a lane more than all else that it
does with it, and one interpreter runs them all. So who is ahead waits for who would lose a block,
but not for long: a target that is slow or dead holds up nobody else. And lanes that work in memory
alone follow the others: who encodes a block has it in the processor's cache if it decoded it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from itertools import islice
from typing import Final

from shipper.clock import Clock
from shipper.errors import ArchiveError
from shipper.lane.reader import PIECE_BYTES, Decoding, Reader, Step
from shipper.model import Block
from shipper.refine.sessions import Sessions, Who
from shipper.source.catalog import Catalog
from shipper.source.segment import Segment

# Decoded blocks are four times as large as their bytes: 4 MiB for the whole cache, enough for lanes
# that differ by one delivery.
CACHE_BLOCKS: Final = 8
# How long a lane waits for one that stands still, a part of it regained with each block: a lane
# that waits for two requests of 2 MiB does stand. What this comes to: a target that takes less
# than 8 MiB/s holds up nobody for longer; its lane is left behind, and decodes for itself.
PATIENCE_SECONDS: Final = 1.0
_REGAINED: Final = 1 / 64
# How long a lane may take to begin: it loads its client library, and asks its target for what is
# there. Half a second on a machine that is not busy.
BEGIN_SECONDS: Final = 5.0
# How long a follower waits for a lane that leads and stands still, once each time it does: it may
# wait for an answer.
FOLLOW_SECONDS: Final = 0.25
# A lane so far behind will not come soon: as much as the cache may hold.
_NEAR_BYTES: Final = CACHE_BLOCKS * PIECE_BYTES
_ENDED: Final = -1  # the place behind the last block of a segment


class Feed:
    """Gives steps by place. Thread-safe."""

    def __init__(
        self,
        catalog: Catalog,
        decoding: Decoding,
        lanes: Collection[str],
        clock: Clock,
        followers: Collection[str] = (),
    ) -> None:
        """`lanes` will ask; one alone needs no cache. `followers` are those that only count."""
        self._clock = clock
        self.catalog = catalog
        self._decoding = decoding
        self._lanes = len(lanes)
        self._followers = frozenset(followers)
        # Lanes that found something when they asked last, or have not asked yet.
        self._leading = set(lanes) - self._followers
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._places: dict[str, tuple[str, int]] = {}  # of lanes that have begun: what comes next
        self._link = ("", 0), ("", 0)  # an end of a segment, and where the first lane went from it
        self._awaited: frozenset[tuple[str, int]] = frozenset()  # places to be left by all lanes
        self._patience = PATIENCE_SECONDS
        self._begin_seconds = BEGIN_SECONDS if len(lanes) > 1 else 0.0
        self._cache: OrderedDict[tuple[str, int], Step] = OrderedDict()
        self._readers: list[Reader] = []  # latest used last, at most one a lane

    def take(
        self, lane: str, segment: Segment, offset: int, sessions: Mapping[int, Who]
    ) -> Step | None:
        """Give the step that begins at `offset`, an item border; None if nothing is there yet.

        `sessions` are those open at `offset`. Raises ShipperError where the content is damaged.
        """
        place = segment.id, offset
        with self._lock:
            step = self._cache.get(place)
            if step is None or (step.ended and segment.plain and step.end < segment.size):
                # The end that is kept may be no end any more.
                step = self._decoded(segment, offset, sessions)
            if step is not None and self._lanes > 1:
                self._keep(place, step)
                before = self._places.get(lane)
                if before is not None and before[1] == _ENDED and before != self._link[0]:
                    self._link = before, place
                self._places[lane] = segment.id, _ENDED if step.ended else step.block.end
                if self._passed(place):
                    del self._cache[place]
                if before is None or (self._awaited and not self._needed(self._awaited)):
                    self._awaited = frozenset()
                    self._moved.notify_all()
            if lane not in self._followers:
                self._lead(lane, step)
            return step

    def again(
        self, segment: Segment, start: int, end: int, sessions: Mapping[int, Who]
    ) -> Iterator[Block]:
        """Give the blocks of a range once more, aside from the lanes, as far as they are there.

        `start` is an item border, `sessions` are those open there. Raises UnavailableError where
        a disk does not answer.
        """
        reader = Reader(self.catalog, segment, start, Sessions(sessions), self._decoding)
        with suppress(ArchiveError):  # no waiting brings those bytes back
            while reader.position < end and (step := reader.step()) is not None:
                yield step.block
                if step.ended:
                    return

    def _decoded(self, segment: Segment, offset: int, sessions: Mapping[int, Who]) -> Step | None:
        reader = self._reader_at(segment, offset, sessions)
        step = reader.step()
        while step is not None and step.block.end == offset and not step.ended:
            step = reader.step()  # a part of a record only: no step that leads anywhere
        if step is not None and step.ended:
            # Nobody comes here again, and with it go its sessions, which may be megabytes.
            self._readers.remove(reader)
        self._patience = min(PATIENCE_SECONDS, self._patience + _REGAINED * PATIENCE_SECONDS)
        return step

    def _keep(self, place: tuple[str, int], step: Step) -> None:
        self._cache[place] = step
        if len(self._cache) > CACHE_BLOCKS:
            self._cache.popitem(last=False)

    def wait_for_others(self, lane: str) -> None:
        """Wait, before `lane` takes what makes another lose a block, until that one has moved on.

        Not for longer than PATIENCE_SECONDS, or BEGIN_SECONDS once for lanes that have not begun.
        """
        with self._lock:
            place = self._at(lane)
            if lane in self._followers:
                self._follow(place)
            # Of a lane that begins, it is not known whether it needs what is there: likely so.
            if place is None or place in self._cache or len(self._cache) < CACHE_BLOCKS:
                return
            if self._begin_seconds and len(self._places) < self._lanes:
                self._moved.wait_for(self._all_began, self._begin_seconds)
            self._begin_seconds = 0.0
            oldest = next(iter(self._cache))
            if not self._needed({oldest}):
                return
            # Not block by block: half the cache a time, or threads would do little but take turns.
            self._awaited |= set(islice(self._cache, CACHE_BLOCKS // 2))
            begun = self._clock.monotonic()
            moved = self._moved.wait_for(lambda: not self._needed({oldest}), self._patience)
            self._patience = max(0.0, self._patience - (self._clock.monotonic() - begun))
            if not moved:
                for other in [other for other in self._places if self._at(other) == oldest]:
                    del self._places[other]

    def _lead(self, lane: str, step: Step | None) -> None:
        if step is None:
            self._leading.discard(lane)
        else:
            self._leading.add(lane)
        if step is None or self._is_rich():
            self._moved.notify_all()

    def _follow(self, place: tuple[str, int] | None) -> None:
        """Let lanes that are about to decode what is at `place` do so, and some blocks more."""
        if place in self._cache or not self._is_led(place):
            return
        ready = self._moved.wait_for(
            lambda: self._is_rich(place) or not self._is_led(place), FOLLOW_SECONDS
        )
        if not ready:
            self._leading.clear()  # until they move again

    def _is_rich(self, place: tuple[str, int] | None = None) -> bool:
        """Say whether there are enough blocks to be worth a turn of whoever needs `place`."""
        enough = len(self._cache) >= CACHE_BLOCKS // 2
        return enough and (place is None or place in self._cache)

    def _is_led(self, place: tuple[str, int] | None) -> bool:
        return any(self._is_near(self._at(lane), place) for lane in self._leading)

    def _is_near(self, other: tuple[str, int] | None, place: tuple[str, int] | None) -> bool:
        """Say whether a lane that comes to `other` next will be at `place` soon."""
        if other is None or place is None:
            return True  # it begins: likely so
        behind = place[1] - other[1]
        return other[0] == place[0] and other[1] != _ENDED and 0 <= behind <= _NEAR_BYTES

    def _all_began(self) -> bool:
        return not self._begin_seconds or len(self._places) == self._lanes

    def _needed(self, places: AbstractSet[tuple[str, int]]) -> bool:
        return any(self._at(lane) in places for lane in self._places)

    def _passed(self, place: tuple[str, int]) -> bool:
        """Say whether all lanes are behind this place, so that its block can go."""
        segment, offset = place
        passed = [at == _ENDED or at > offset for of, at in self._places.values() if of == segment]
        return len(passed) == self._lanes and all(passed)

    def _at(self, lane: str) -> tuple[str, int] | None:
        """Give where the lane will be next, as far as that is known."""
        place = self._places.get(lane)
        return self._link[1] if place == self._link[0] else place

    def release(self) -> None:
        """Let nobody wait any more: everything is to end."""
        with self._lock:
            self._begin_seconds = 0.0
            self._places.clear()
            self._leading.clear()
            self._moved.notify_all()

    def _reader_at(self, segment: Segment, offset: int, sessions: Mapping[int, Who]) -> Reader:
        reader = next(
            (each for each in self._readers if each.segment is segment and each.position == offset),
            None,
        )
        if reader is None:
            reader = Reader(self.catalog, segment, offset, Sessions(sessions), self._decoding)
        else:
            self._readers.remove(reader)
        self._readers.append(reader)
        del self._readers[: -self._lanes]
        return reader
