"""Which segments there are, and which file holds the bytes of each.

Theory of operation. A followed log is a name that points to one file after another; older files
lie beside it under names that change. `poll` looks at what is there and keeps a list of segments,
oldest first, known by their content: renaming, copying and compressing do not make a new one.
Lanes read segments through this list and never see names change.

A segment is `closed` when its file has lost the name to a newer one and nothing came for a while.
It is lost when no file has its bytes any more: shrinking, replacing in place and deleting lead
there, and copies found under other names lead back. What the files say is `looker`'s; this is what
lanes ask, and the lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence

from shipper.source.base import Surroundings
from shipper.source.finder import Finder
from shipper.source.hold import Hold
from shipper.source.looker import Looker, is_intact
from shipper.source.names import Names
from shipper.source.segment import Segment
from shipper.source.stream import PlainStream, Stream


class Catalog:
    """The segments of one followed log. Thread-safe."""

    def __init__(
        self,
        names: Names,
        finder: Finder,
        hold: Hold,
        surroundings: Surroundings,
        note: Callable[[Sequence[Segment]], None] = lambda _segments: None,
    ) -> None:
        """Look at nothing yet; the first `poll` does.

        `note` hears of segments that were found or lost their file, to put them into the ledger
        before anybody reads them: what nobody knows of, nobody misses.
        """
        self._note = note
        self._hold = hold
        self._looker = Looker(names, finder, hold, surroundings)
        self.changed = threading.Condition(threading.RLock())
        self.version = 0  # grows with every change, so that none is missed while waiting
        self._segments = self._looker.segments

    # --- for lanes -------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """Give the unfinished segments, oldest first."""
        with self.changed:
            return list(self._segments)

    def remember(self, finished: Mapping[str, int], unfinished: Mapping[str, Segment]) -> None:
        """Take over what earlier processes knew: what was shipped, and what was not yet."""
        with self.changed:
            self._looker.finished.update(finished)
            self._hold.forget(finished)
            self._segments += unfinished.values()

    def read(self, segment: Segment, offset: int, size: int) -> bytes:
        """Read plain bytes up to the segment's size as last polled; b"" where there are no more.

        Raises ShipperError where the content is damaged; b"" and `segment.key is None` where no
        file has it any more.
        """
        with self.changed:
            size = min(size, segment.size - offset)
            stream = self._looker.stream_of(segment)
            if size <= 0 or stream is None:
                return b""
            segment.lend()
            # Whoever writes the live log may end a member of gzip and begin the next.
            closed, live = segment.closed, segment.live
        try:
            # Not under the catalogue's lock: a place deep in an archive takes as long as inflating
            # up to it, and whoever polls or reads another segment must not wait for that.
            with segment.reading:
                data = stream.read(offset, size)
                whole = not data and (closed or (stream.ended and not live))
                # Asked after reading: had the file been written anew before, it would show now.
                intact = not data or is_intact(segment, stream)
        finally:
            with self.changed:
                segment.give_back()
        if not intact:
            self._notice(segment, stream)
            return b""
        if whole and not segment.plain:
            self._end(segment, stream, offset)
        return data

    def _notice(self, segment: Segment, stream: Stream) -> None:
        """Hear from a reader that the file holds something else now."""
        with self.changed:
            if segment.stream is stream and isinstance(stream, PlainStream):
                self._looker.replaced(segment, os.fstat(stream.fileno()).st_size)
                self.wake()

    def _end(self, segment: Segment, stream: Stream, size: int) -> None:
        """Note the plain size of a wrapped file, unless another took its place meanwhile."""
        with self.changed:
            if segment.stream is stream:
                segment.size, segment.closed = size, True

    def decoded(self, segment: Segment, items_end: int) -> None:
        """Hear how far somebody has decoded: what lies before must not change any more."""
        segment.items_end = max(segment.items_end, items_end)

    def finish(self, segment: Segment) -> None:
        """Forget a segment that every lane has shipped to its end."""
        with self.changed:
            if segment not in self._segments or segment.live:
                return
            self._looker.finished[segment.id] = segment.size
            self._hold.release(segment)
            self._segments.remove(segment)
            segment.close()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until `version` is no longer `seen`, or the time is over."""
        with self.changed:
            self.changed.wait_for(lambda: self.version != seen, seconds)

    def wake(self) -> None:
        """Let everybody look again."""
        with self.changed:
            self.version += 1
            self.changed.notify_all()

    def close(self) -> None:
        """Give all files back."""
        with self.changed:
            for segment in self._segments:
                segment.close()

    def poll(self, *, thorough: bool = False) -> bool:
        """Look at the files; say whether there may be something new to read.

        `thorough`: see each file, however long those take that cannot be read.
        """
        with self.changed:
            changed = self._looker.look(thorough=thorough)
            news = self._looker.take_news()
            if news:
                self._note(news)
            if changed:
                self._hold.update(self._segments)
                self.wake()
            return changed
