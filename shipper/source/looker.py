"""Look at the files of one log: what grew, what was written anew, what came and what is gone.

I/O errors on single files are taken as "not now": the next look tries again.
"""

from __future__ import annotations

import os
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


class Looker:
    """Keeps the segments of one log as the files are. Used under the catalogue's lock."""

    def __init__(
        self, names: Names, finder: Finder, hold: Hold, surroundings: Surroundings
    ) -> None:
        """Look at nothing yet."""
        self._names = names
        self._finder = finder
        self._hold = hold
        self._around = surroundings
        self.segments: list[Segment] = []  # the unfinished ones, oldest first
        self.finished: dict[str, int] = {}  # segment -> plain size when it was shipped
        self._news: list[Segment] = []
        self._live_key: FileKey | None = None  # what the followed name points to
        self._scanned = float("-inf")
        self._folder_time = 0.0

    def look(self, *, thorough: bool) -> bool:
        """Look at the files; say whether there may be something new to read.

        `thorough`: see each file, however long those take that cannot be read.
        """
        now = self._around.clock.monotonic()
        due = self._scan_is_due(now)
        changed = [self._watch(segment, now, closely=due) for segment in self.segments]
        if due or self._scan_is_due(now):
            self._scanned = now
            changed.append(self._scan(now, thorough=thorough))
        changed += [self._settle(segment, now) for segment in self.segments]
        if any(changed):
            self.segments.sort(key=lambda segment: segment.order)
        return any(changed)

    def take_news(self) -> list[Segment]:
        """Give the segments that were found or lost their file since the last call."""
        news, self._news = self._news, []
        return news

    def stream_of(self, segment: Segment) -> Stream | None:
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
            self.lose(segment)  # the next scan may find it under another name
        return segment.stream

    def _make_room(self, wanted: Segment) -> None:
        """Close files that are far from being read: a link holds most of them, or a name."""
        is_open = [each for each in self.segments if each.stream is not None]
        for segment in reversed(is_open[OPEN_MAX - 1 :]):
            if segment is not wanted and not segment.live:
                segment.close()

    def _watch(self, segment: Segment, now: float, *, closely: bool) -> bool:
        """See whether an open file grew, shrank, or was written anew in place.

        `closely`: also one that is as long as before.
        """
        if not isinstance(segment.stream, PlainStream):
            return segment.stream is not None and _wrapped_grew(segment, now)
        try:
            size = os.fstat(segment.stream.fileno()).st_size
            if size == segment.size and not closely:
                return False
            intact = is_intact(segment, segment.stream)
        except (OSError, UnavailableError):
            return False  # not now; a lane that reads it tells
        if not intact or size < segment.items_end:
            self.replaced(segment, size)
            return True
        if size == segment.size:
            return False
        # Shrinking within what held no record: Enterprise before 5.7.21 takes its footer back.
        segment.size, segment.quiet_since, segment.closed = size, now, False
        segment.file_size = size
        return True

    def replaced(self, segment: Segment, size: int) -> None:
        """Note that the file was cut, or written anew in place."""
        self._around.tell(Truncated(self._around.source, segment.path, size, segment.items_end))
        if segment.key is not None:
            self._finder.forget(segment.key)
        self.lose(segment)

    def lose(self, segment: Segment) -> None:
        """Note that a segment's file is gone, or holds something else."""
        self._news.append(segment)
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
        live = next((segment for segment in self.segments if segment.live), None)
        if any(each.key is None and not each.closed for each in self.segments):
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
        by_key = {each.key: each for each in self.segments if each.key is not None}
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
        segment = next((each for each in self.segments if each.id == id_), None)
        shipped = self.finished.get(id_)
        grown = isinstance(found.stream, PlainStream) and found.size > (shipped or 0)
        if (segment is not None and segment.key is not None) or (shipped is not None and not grown):
            self._finder.set_aside(found)  # a copy of what another file holds, or held
            return None
        self.finished.pop(id_, None)
        if segment is None:
            segment = Segment(id=id_, first_time=found.identity.first_time, path=found.path)
            self.segments.append(segment)
        segment.take_file(found.path, found.key, found.stream, found.size)
        segment.head, segment.mtime = found.identity.head, found.mtime
        segment.quiet_since, segment.closed = now, False
        size = 0 if segment.size == UNKNOWN else segment.size
        self._around.tell(Opened(self._around.source, id_, found.path, size))
        self._news.append(segment)
        if found.path != self._names.live():
            self._make_room(self.segments[0])
        return segment

    def _follow_name(self, live: FileKey | None, now: float) -> bool:
        """Note which segment the followed name points to now."""
        self._live_key = live
        changed = False
        for segment in self.segments:
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


def is_intact(segment: Segment, stream: Stream) -> bool:
    """Whether a plain file still begins as the segment does."""
    return not segment.plain or stream.read(0, len(segment.head)) == segment.head
