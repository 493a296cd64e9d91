"""Find the files that may hold a segment, and ask each unknown one once what it is.

Identifying means opening, and for an archive decrypting and decompressing its beginning. So what
was asked is remembered by (device, inode, size, time), for as long as the process lives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

from shipper.errors import ArchiveError, ShipperError, UsageError
from shipper.notices import Mended, Trouble
from shipper.source.base import Surroundings
from shipper.source.names import Names
from shipper.source.segment import FileKey, Identify, Identity
from shipper.source.stream import Stream

# How soon a file is asked again whose password is wrong or whose beginning is damaged, while it
# does not change: trying may cost a second of a core, and somebody has to do something first.
REFUSED_SECONDS: Final = 60.0
# Time for files that turn out so in one look; the live log waits meanwhile. The rest is put off.
REFUSING_SECONDS: Final = 1.0

OpenStream = Callable[[int, str], Stream]  # (descriptor, path); takes the descriptor over


class Found(NamedTuple):
    """An unknown file, open, that turned out to hold a segment."""

    path: str
    key: FileKey
    size: int  # of the file
    mtime: float
    stream: Stream
    identity: Identity


class _Asked(NamedTuple):
    """What a file looked like when it was last asked."""

    size: int
    mtime: float
    whole: bool
    segment: str = ""  # that it was a copy of


def key_of(stat: os.stat_result) -> FileKey:
    """Give what identifies a file as long as it exists."""
    return FileKey(stat.st_dev, stat.st_ino)


class Finder:
    """Looks at one log and the files beside it."""

    def __init__(
        self,
        names: Names,
        identify: Identify,
        open_stream: OpenStream,
        surroundings: Surroundings,
    ) -> None:
        """Look at nothing yet."""
        self._names = names
        self._identify = identify
        self._open_stream = open_stream
        self._around = surroundings
        self._asked: dict[FileKey, _Asked] = {}
        self._first_seen: dict[FileKey, float] = {}
        self._live: FileKey | None = None  # the file that is followed, as last seen
        self._refused: dict[FileKey, tuple[int, float, float]] = {}  # size, mtime, when to ask
        self._left = 0.0  # of REFUSING_SECONDS, in this look
        self._troubles: set[str] = set()

    def candidates(
        self, held: Collection[str], *, thorough: bool
    ) -> Iterator[tuple[str, os.stat_result]]:
        """Give every file that may hold a segment; the live log last.

        Last, so that what was rotated away a moment ago is found before what took its place.
        `thorough`: encrypted files that cannot be opened may take as long as they do.
        """
        self._live, self._left = None, float("inf") if thorough else REFUSING_SECONDS
        with suppress(OSError):
            self._live = key_of(Path(self._names.live()).stat())
        for path in (*self._names.older(), *sorted(held), self._names.live()):
            with suppress(OSError):
                yield path, Path(path).stat()

    def forget(self, key: FileKey) -> None:
        """Ask this file again: its content is not what it was."""
        self._asked.pop(key, None)
        self._first_seen.pop(key, None)

    def forget_copies(self, segment: str) -> None:
        """Ask the copies of a segment again: what they held twice may be theirs alone now."""
        copies = [key for key, asked in self._asked.items() if asked.segment == segment]
        for key in copies:
            del self._asked[key]

    def set_aside(self, found: Found) -> None:
        """Close a copy, which holds nothing new; it is asked again only when it changes."""
        found.stream.close()
        segment = found.identity.segment
        self._asked[found.key] = _Asked(found.size, found.mtime, whole=True, segment=segment)

    def ask(self, path: str, stat: os.stat_result) -> Found | None:
        """Open a file and find out which segment it holds; None if none, or not now."""
        key, now = key_of(stat), self._around.clock.monotonic()
        quiet = now - self._first_seen.setdefault(key, now) >= self._around.settle_seconds
        # A rotated file that nobody writes to any more is whole, however odd its end.
        # The live log has other names too: a link that holds it, or that somebody else made.
        whole = key != self._live and path != self._names.live() and quiet
        asking = _Asked(stat.st_size, stat.st_mtime, whole)
        asked = self._asked.get(key)
        if asked is not None and asked[:2] == asking[:2] and asked.whole >= whole:
            return None
        if stat.st_size == 0 and not S_ISREG(stat.st_mode):
            self._trouble(path, UsageError(f"{path} is no file, but a pipe, device or folder"))
            return None
        if stat.st_size == 0 or self._is_refused(path, key, stat, now):
            return None
        return self._identified(path, stat, asking)

    def reopen(self, path: str, stat: os.stat_result) -> Found | None:
        """Open a file whose segment is known, to see whether it still holds it."""
        return self._identified(path, stat, _Asked(stat.st_size, stat.st_mtime, whole=True))

    def _is_refused(self, path: str, key: FileKey, stat: os.stat_result, now: float) -> bool:
        refused = self._refused.get(key)
        if refused is None or refused[:2] != (stat.st_size, stat.st_mtime):
            return self._left <= 0 and path != self._names.live() and path.endswith(".enc")
        return now < refused[2]

    def _identified(self, path: str, stat: os.stat_result, asking: _Asked) -> Found | None:
        key, whole, begun = key_of(stat), asking.whole, self._around.clock.monotonic()
        stream: Stream | None = None
        try:
            stream = self._open(path)
            identity = self._identify(stream, path, whole)
        except (OSError, ShipperError) as error:
            if stream is not None:
                stream.close()
            if isinstance(error, ArchiveError):
                now = self._around.clock.monotonic()
                self._left -= now - begun
                self._refused[key] = stat.st_size, stat.st_mtime, now + REFUSED_SECONDS
            self._trouble(path, error)
            return None
        self._refused.pop(key, None)
        self._mended(path)
        if identity is None:
            stream.close()
            self._asked[key] = asking
            return None
        return Found(path, key, stat.st_size, stat.st_mtime, stream, identity)

    def _open(self, path: str) -> Stream:
        # Not blocking: a pipe under a log's name must not stop the shipper.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        return self._open_stream(fd, path)

    def _trouble(self, path: str, error: OSError | ShipperError) -> None:
        if path not in self._troubles:
            self._troubles.add(path)
            text = str(error)  # of ours, which names the file
            if isinstance(error, OSError):
                text = f"cannot read {path}: {error.strerror}"
            self._around.tell(Trouble(self._around.source, "", text))

    def _mended(self, path: str) -> None:
        if path in self._troubles:
            self._troubles.discard(path)
            self._around.tell(Mended(self._around.source, "", f"{path} can be read again"))
