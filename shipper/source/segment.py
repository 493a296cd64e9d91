"""One generation of a log: its bytes, whatever file holds them at the moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from msgspec import Struct, field

from shipper.source.names import age_of
from shipper.source.stream import PlainStream, Stream

# The bytes of the first item prove that a file still is what it was: more than one connection row
# of any format, little enough to read at every growth.
HEAD_BYTES_MAX: Final = 1024
# Plain size of a wrapped segment that nobody has read to its end yet.
UNKNOWN: Final = 2**62


class Identity(NamedTuple):
    """What the content of a file says about itself."""

    segment: str  # digest that names the segment
    first_time: str  # RFC 3339 of the first record that has a time; "" where none has
    head: bytes  # from the file's first byte to the end of its first item, HEAD_BYTES_MAX at most


# (stream, path, whole) -> Identity, or None where the first item is not complete yet; `whole` says
# that no more bytes will come. Handed in, because only a decoder knows items.
Identify: TypeAlias = Callable[[Stream, str, bool], Identity | None]


class FileKey(NamedTuple):
    """What makes a file the same file under another name, as long as it exists."""

    device: int
    inode: int


class Segment(Struct, eq=False, kw_only=True):
    """A segment as the catalogue knows it. Changed only under the catalogue's lock.

    `reading` is taken before or without that lock, never after it.
    """

    id: str
    first_time: str
    path: str  # where its bytes were last seen, for people and for opening
    key: FileKey | None = None  # None: no file has its bytes any more
    head: bytes = b""
    stream: Stream | None = None  # open while it is read, and to hold it against deletion
    plain: bool = True  # a wrapped file's size says nothing about its content
    size: int = 0  # plain bytes known to exist, UNKNOWN for a wrapped file
    least: int = 0  # plain bytes that were there before the segment was wrapped
    file_size: int = 0  # of the file as it is, wrapped or not, when it was looked at
    items_end: int = 0  # end of the last record or defect that was decoded by anybody
    live: bool = False  # the followed name points to it
    closed: bool = False  # no more bytes are expected
    quiet_since: float = 0.0  # monotonic time of the last growth, or of losing the name
    mtime: float = 0.0  # of the file when it was found
    reading: threading.Lock = field(default_factory=threading.Lock)  # over its stream
    readers: int = 0  # who read just now, without the catalogue's lock
    retired: list[Stream] = []  # given up while somebody read; closed by the last reader

    @property
    def order(self) -> tuple[bool, str, float, int, str]:
        """Oldest first: by the name it is followed under, by its content, by its file."""
        return self.live, self.first_time, self.mtime, -age_of(self.path), self.path

    @property
    def known(self) -> int:
        """Plain bytes that there are at least."""
        return self.least if self.size == UNKNOWN else self.size

    @property
    def looks(self) -> tuple[object, ...]:
        """What changes when there may be more to read."""
        return self.size, self.file_size, self.closed, self.key

    def take_file(self, path: str, key: FileKey, stream: Stream, size: int) -> None:
        """Let this file hold the segment's bytes from now on."""
        if self.size != UNKNOWN:
            self.least = max(self.least, self.size)
        self.path, self.key, self.stream, self.file_size = path, key, stream, size
        self.plain = isinstance(stream, PlainStream)
        self.size = size if self.plain else UNKNOWN

    def lose_file(self) -> None:
        """Note that the file which held the bytes is gone, or holds something else."""
        self.close()
        self.key, self.live = None, False

    def close(self) -> None:
        """Give the open file back; the segment can be opened again."""
        if self.stream is not None:
            self.retired.append(self.stream)
            self.stream = None
            self._close_retired()

    def lend(self) -> None:
        """Keep the stream open until it is given back: its descriptor must not become another's."""
        self.readers += 1

    def give_back(self) -> None:
        """End a `lend`."""
        self.readers -= 1
        self._close_retired()

    def _close_retired(self) -> None:
        while self.retired and not self.readers:
            self.retired.pop().close()
