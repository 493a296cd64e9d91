"""Blocks for the lanes of one source: decoded once, however many lanes are at the same place.

A lane that is alone, or far behind the others, has a reader to itself; lanes that are close to
each other find blocks in a small cache. Back-pressure is not asking.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from shipper.lane.reader import Decoding, Reader, Step
from shipper.refine.sessions import Sessions, Who
from shipper.source.catalog import Catalog
from shipper.source.segment import Segment

# Decoded blocks are four times as large as their bytes: 4 MiB for the whole cache, enough for lanes
# that differ by one delivery.
CACHE_BLOCKS: Final = 8


class Feed:
    """Gives steps by place. Thread-safe."""

    def __init__(self, catalog: Catalog, decoding: Decoding, lanes: int) -> None:
        """`lanes`: how many will ask; one alone needs no cache."""
        self.catalog = catalog
        self._decoding = decoding
        self._lanes = lanes
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, int], Step] = OrderedDict()
        self._readers: list[Reader] = []  # latest used last, at most one a lane

    def take(self, segment: Segment, offset: int, sessions: Mapping[int, Who]) -> Step | None:
        """Give the step that begins at `offset`, an item border; None if nothing is there yet.

        `sessions` are those open at `offset`. Raises ShipperError where the content is damaged.
        """
        with self._lock:
            cached = self._cache.get((segment.id, offset))
            if cached is not None:
                return cached
            reader = self._reader_at(segment, offset, sessions)
            step = reader.step()
            while step is not None and step.block.end == offset and not step.ended:
                step = reader.step()  # a part of a record only: no step that leads anywhere
            if step is not None and self._lanes > 1:
                self._cache[segment.id, offset] = step
                if len(self._cache) > CACHE_BLOCKS:
                    self._cache.popitem(last=False)
            return step

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
