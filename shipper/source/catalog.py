"""Which segments there are, and which file holds the bytes of each.

Theory of operation. A followed log is a name that points to one file after another; older files
lie beside it under names that change. `poll` looks at what is there and keeps a list of segments,
oldest first, known by their content: renaming, copying and compressing do not make a new one.
Lanes read segments through this list and never see names change.

A segment is `closed` when its file has lost the name to a newer one and nothing came for a while.
It is lost when no file has its bytes any more: shrinking, replacing in place and deleting lead
there, and copies found under other names lead back. I/O errors on single files are taken as "not
now": the next poll tries again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from shipper.errors import UnavailableError
from shipper.notices import Opened, Rotated, Truncated
from shipper.source.base import Surroundings
from shipper.source.finder import Finder, Found, key_of
from shipper.source.hold import Hold
from shipper.source.names import Names
from shipper.source.segment import UNKNOWN, FileKey, Segment
from shipper.source.stream import PlainStream, Stream

# A folder's time says that a name came or went; this is for file systems where it does not.
SCAN_SECONDS: Final = 5.0
# Descriptors open at once; far below the usual limit of 1024, and more than a server keeps logs.
OPEN_MAX: Final = 128


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
        self._unnoted: list[Segment] = []
        self._names = names
        self._finder = finder
        self._hold = hold
        self._around = surroundings
        self.changed = threading.Condition(threading.RLock())
        self.version = 0  # grows with every change, so that none is missed while waiting
        self._segments: list[Segment] = []
        self._finished: dict[str, int] = {}  # segment -> plain size when it was shipped
        self._live_key: FileKey | None = None  # what the followed name points to
        self._scanned = float("-inf")
        self._folder_time = 0.0

    # --- for lanes -------------------------------------------------------------------------

    def segments(self) -> list[Segment]:
        """Give the unfinished segments, oldest first."""
        with self.changed:
            return list(self._segments)

    def remember(self, finished: Mapping[str, int], unfinished: Mapping[str, Segment]) -> None:
        """Take over what earlier processes knew: what was shipped, and what was not yet."""
        with self.changed:
            self._finished.update(finished)
            self._hold.forget(finished)
            self._segments += unfinished.values()

    def read(self, segment: Segment, offset: int, size: int) -> bytes:
        """Read plain bytes up to the segment's size as last polled; b"" where there are no more.

        Raises ShipperError where the content is damaged; b"" and `segment.key is None` where no
        file has it any more.
        """
        with self.changed:
            size = min(size, segment.size - offset)
            stream = self._stream_of(segment)
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
                intact = not data or _intact(segment, stream)
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
                self._replaced(segment, os.fstat(stream.fileno()).st_size)
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
            self._finished[segment.id] = segment.size
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

    def _stream_of(self, segment: Segment) -> Stream | None:
        """Open the segment's file where it is not open."""
        if segment.stream is None and segment.key is not None:
            self._make_room(segment)
            with suppress(OSError):
                stat = Path(segment.path).stat()
                found = self._finder.reopen(segment.path, stat)
                if found is not None and found.identity.segment == segment.id:
                    segment.take_file(found.path, found.key, found.stream, found.size)
                    return segment.stream
                if found is not None:
                    found.stream.close()  # the next scan asks it: it may be one that nobody knows
            self._lose(segment)  # the next scan may find it under another name
        return segment.stream

    def _make_room(self, wanted: Segment) -> None:
        """Close files that are far from being read: a link holds most of them, or a name."""
        is_open = [each for each in self._segments if each.stream is not None]
        for segment in reversed(is_open[OPEN_MAX - 1 :]):
            if segment is not wanted and not segment.live:
                segment.close()

    # --- looking ---------------------------------------------------------------------------

    def poll(self, *, thorough: bool = False) -> bool:
        """Look at the files; say whether there may be something new to read.

        `thorough`: see each file, however long those take that cannot be read.
        """
        with self.changed:
            now = self._around.clock.monotonic()
            changed = [self._watch(segment, now) for segment in self._segments]
            if self._scan_is_due(now):
                self._scanned = now
                changed.append(self._scan(now, thorough=thorough))
            changed += [self._settle(segment, now) for segment in self._segments]
            if self._unnoted:
                self._note(self._unnoted)
                self._unnoted = []
            if any(changed):
                self._segments.sort(key=lambda segment: segment.order)
                self._hold.update(self._segments)
                self.wake()
            return any(changed)

    def _watch(self, segment: Segment, now: float) -> bool:
        """See whether an open file grew, shrank, or was written anew in place."""
        if segment.stream is None:
            return False
        if not isinstance(segment.stream, PlainStream):
            return _wrapped_grew(segment, now)
        try:
            size = os.fstat(segment.stream.fileno()).st_size
            if size == segment.size:
                return False
            intact = _intact(segment, segment.stream)
        except (OSError, UnavailableError):
            return False  # not now; a lane that reads it tells
        if not intact or size < segment.items_end:
            self._replaced(segment, size)
            return True
        # Shrinking within what held no record: Enterprise before 5.7.21 takes its footer back.
        segment.size, segment.quiet_since, segment.closed = size, now, False
        segment.file_size = size
        return True

    def _replaced(self, segment: Segment, size: int) -> None:
        """Note that the file was cut, or written anew in place."""
        self._around.tell(Truncated(self._around.source, segment.path, size, segment.items_end))
        if segment.key is not None:
            self._finder.forget(segment.key)
        self._lose(segment)

    def _lose(self, segment: Segment) -> None:
        self._unnoted.append(segment)
        self._finder.forget_copies(segment.id)
        segment.lose_file()
        # Not closed: what was renamed between two looks is found again, and is no loss before.
        segment.quiet_since, segment.closed = self._around.clock.monotonic(), False
        self._scanned = float("-inf")

    def _settle(self, segment: Segment, now: float) -> bool:
        """Close what has lost its name, or its file, and stayed quiet since."""
        quiet = now - segment.quiet_since >= self._around.settle_seconds
        if segment.closed or segment.live or not quiet:
            return False
        if segment.key is not None and self._live_key is None:
            return False  # renamed, and no new log yet: the server still writes to it
        segment.closed = True
        return True

    def _scan_is_due(self, now: float) -> bool:
        try:
            key = key_of(Path(self._names.live()).stat())
        except OSError:
            key = None
        live = next((segment for segment in self._segments if segment.live), None)
        if any(each.key is None and not each.closed for each in self._segments):
            return True  # a copy may be in the making: growing, it does not change the folder
        if now - self._scanned >= SCAN_SECONDS or (live.key if live else None) != key:
            return True
        with suppress(OSError):
            changed = Path(self._names.live()).parent.stat().st_mtime
            if changed != self._folder_time:
                self._folder_time = changed
                return True
        return False

    def _scan(self, now: float, *, thorough: bool) -> bool:
        """Look at every file that may hold a segment."""
        by_key = {each.key: each for each in self._segments if each.key is not None}
        held, changed, live = {str(path) for path in self._hold.files()}, False, None
        followed = self._names.live()
        for path, stat in self._finder.candidates(held, thorough=thorough):
            key = key_of(stat)
            live = key if path == followed else live
            holds = ""  # the segment that this file turned out to hold
            if key in by_key:
                holds = by_key[key].id
                if path not in held:
                    by_key[key].path = path
            elif (found := self._finder.ask(path, stat)) is not None:
                holds = found.identity.segment
                segment = self._admit(found, now)
                if segment is not None:
                    by_key[key] = segment
                    changed = True
            if path in held and (holds or not stat.st_size):
                changed |= self._hold.check(path, holds, wanted=key in by_key)
        return self._follow_name(live, now) or changed

    def _admit(self, found: Found, now: float) -> Segment | None:
        """Take a file in: a new segment, or new bytes of one we know; None if it is neither."""
        id_ = found.identity.segment
        segment = next((each for each in self._segments if each.id == id_), None)
        shipped = self._finished.get(id_)
        grown = isinstance(found.stream, PlainStream) and found.size > (shipped or 0)
        if (segment is not None and segment.key is not None) or (shipped is not None and not grown):
            self._finder.set_aside(found)  # a copy of what another file holds, or held
            return None
        self._finished.pop(id_, None)
        if segment is None:
            segment = Segment(id=id_, first_time=found.identity.first_time, path=found.path)
            self._segments.append(segment)
        segment.take_file(found.path, found.key, found.stream, found.size)
        segment.head, segment.mtime = found.identity.head, found.mtime
        segment.quiet_since, segment.closed = now, False
        size = 0 if segment.size == UNKNOWN else segment.size
        self._around.tell(Opened(self._around.source, id_, found.path, size))
        self._unnoted.append(segment)
        if found.path != self._names.live():
            self._make_room(self._segments[0])
        return segment

    def _follow_name(self, live: FileKey | None, now: float) -> bool:
        """Note which segment the followed name points to now."""
        self._live_key = live
        changed = False
        for segment in self._segments:
            is_live = segment.key is not None and segment.key == live
            if segment.live and not is_live:
                self._around.tell(Rotated(self._around.source, segment.path))
                segment.quiet_since = now
            changed |= segment.live != is_live
            segment.live = is_live
        return changed


def _wrapped_grew(segment: Segment, now: float) -> bool:
    """See whether there is more of an archive that is still written; what, only reading tells."""
    try:
        stat = Path(segment.path).stat()
    except OSError:
        return False  # renamed a moment ago; a scan finds its name
    if key_of(stat) != segment.key or stat.st_size <= segment.file_size:
        return False
    segment.file_size, segment.quiet_since = stat.st_size, now
    segment.size, segment.closed = UNKNOWN, False
    return True


def _intact(segment: Segment, stream: Stream) -> bool:
    """Whether a plain file still begins as the segment does."""
    return not segment.plain or stream.read(0, len(segment.head)) == segment.head
