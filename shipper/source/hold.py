"""Keep rotated segments from being pruned before they are shipped.

The server, logrotate or a person deletes old logs by their names. A hard link in the state
directory keeps the bytes. It costs no space until the other names are gone, and then no more than
`bytes_max`. Where links cannot be made (another file system, somebody else's file under
fs.protected_hardlinks), the open descriptor keeps the bytes as long as this process lives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from shipper.notices import Endangered, Tell, ignore
from shipper.source.segment import Segment
from shipper.source.stream import fileno

# A segment's name is a digest of 128 bits in hexadecimal; a link's name begins with it.
ID_CHARACTERS: Final = 32


class Hold:
    """The hard links of one source, in one folder of its own."""

    def __init__(self, folder: Path, bytes_max: int, source: str, tell: Tell) -> None:
        """Use `folder`, which is made when needed; links of an earlier process are still good."""
        self._folder = folder
        self._bytes_max = bytes_max
        self._source = source
        self._tell = tell
        # Bytes that some lane has not shipped yet; whoever runs lanes knows better.
        self.unshipped: Callable[[Segment], int] = self._bytes_of
        self._told: set[str] = set()  # segments whose danger is announced
        # Segment -> its link; read from the folder once, because nobody else changes it.
        self._links: dict[str, Path] = {}
        with suppress(OSError):  # not made yet, or not readable now
            for path in folder.iterdir():
                self._links[path.name[:ID_CHARACTERS]] = path

    def files(self) -> list[Path]:
        """Give the files that are held, for finding them again after a restart."""
        return sorted(self._links.values())

    def update(self, unshipped: Sequence[Segment]) -> None:
        """Hold what is not shipped, oldest first, within the limit; announce the rest."""
        held = 0
        for segment in unshipped:
            if segment.live:
                self._link(segment)
                continue
            size = self._bytes_of(segment)
            held += size
            if held > self._bytes_max:
                self._let_go(segment)
                self._announce(segment, f"more than {self._bytes_max:,} bytes wait")
            elif not self._link(segment) and segment.closed:
                # Not before: on another file system that would be each rotation, and lanes that
                # do their work have shipped all of it by now.
                self._announce(segment, "no hard link: only this process holds it")

    def release(self, segment: Segment) -> None:
        """Give a shipped segment up."""
        self._let_go(segment)
        self._told.discard(segment.id)

    def check(self, path: str, holds: str, *, wanted: bool) -> bool:
        """Let a link go whose file holds something else now, as after copytruncate; True then.

        `holds`: the segment that was found in it, "" for none; `wanted`: it is still to be shipped,
        so that from now on the link is that one's.
        """
        link = Path(path)
        meant = link.name[:ID_CHARACTERS]
        if holds == meant or self._links.get(meant) != link:
            return False
        del self._links[meant]
        place = self._folder / f"{holds}{link.name[ID_CHARACTERS:]}"
        if wanted and holds not in self._links and _renamed(link, place):
            self._links[holds] = place
        else:
            _remove(link)
        return True

    def _bytes_of(self, segment: Segment) -> int:
        if segment.plain:
            return segment.size
        try:
            return Path(segment.path).stat().st_size
        except OSError:
            return 0

    def _place(self, segment: Segment) -> Path:
        # The name keeps its end: it may name the password of an encrypted archive.
        name = Path(segment.path).name
        return self._folder / (name if name.startswith(segment.id) else f"{segment.id}-{name}")

    def _link(self, segment: Segment) -> bool:
        if segment.id in self._links:
            return True
        fd, place = fileno(segment.stream), self._place(segment)
        source = f"/proc/self/fd/{fd}" if fd is not None else segment.path
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A directory descriptor, whatever it is, makes Python follow the link in /proc.
            os.link(source, place, src_dir_fd=fd, follow_symlinks=True)
        except OSError:
            return False
        self._links[segment.id] = place
        return True

    def _let_go(self, segment: Segment) -> None:
        path = self._links.pop(segment.id, None)
        if path is not None:
            _remove(path)

    def forget(self, shipped: Collection[str]) -> None:
        """Remove the links of these segments: a process that ended may not have come to it."""
        for segment in self._links.keys() & set(shipped):
            _remove(self._links.pop(segment))

    def _announce(self, segment: Segment, why: str) -> None:
        size = self.unshipped(segment)
        if size and segment.id not in self._told:
            self._told.add(segment.id)
            self._tell(Endangered(self._source, segment.path, size, why))


def _renamed(path: Path, place: Path) -> bool:
    try:
        path.rename(place)
    except OSError:
        return False
    return True


def _remove(path: Path) -> None:
    """Remove a link; what the disk does not let us remove is tried at the next start."""
    with suppress(OSError):
        path.unlink()


class NoHold(Hold):
    """For files that nobody else deletes."""

    def __init__(self) -> None:
        """Hold nothing."""
        super().__init__(Path(os.devnull), 0, "", ignore)

    def files(self) -> list[Path]:
        """Give nothing."""
        return []

    def update(self, unshipped: Sequence[Segment]) -> None:
        """Do nothing."""
