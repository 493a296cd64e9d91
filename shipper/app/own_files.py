"""Files of our own that are followed like logs: how they are named, and when they go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Protocol

from shipper.lane.identify import Identifier, segment_of
from shipper.notices import Trouble
from shipper.source.base import Surroundings
from shipper.source.segment import Identify, Identity
from shipper.source.stream import PlainStream, Stream


class Keeps(Protocol):
    """Files of our own that somebody fills: a spool, a findings log."""

    @property
    def current(self) -> Path:
        """The file that is written to."""
        ...

    def segments(self) -> list[Path]:
        """Give the files, the oldest first; all but the last are complete."""
        ...

    def remove(self, segment: Path, /) -> bool:
        """Delete a complete file that all lanes are done with. Raises OSError."""
        ...

    def close(self) -> None:
        """Stop writing."""
        ...


class SpoolNames:
    """The files of a spool: the last is written to."""

    def __init__(self, spool: Keeps) -> None:
        """Ask this spool."""
        self._spool = spool

    def live(self) -> str:
        """Give the file that is written to."""
        return str(self._spool.current)

    def older(self) -> list[str]:
        """Give the complete files, the oldest first."""
        live = self._spool.current
        return [str(path) for path in self._spool.segments() if path != live]


class SpoolIdentifier:
    """Names spool files by their own names: what was received may well repeat itself."""

    def __init__(self, identify: Identifier, instance: str) -> None:
        """`identify` finds the first item and its time."""
        self._identify = identify
        self._instance = instance

    def __call__(self, stream: Stream, path: str, whole: bool) -> Identity | None:  # noqa: FBT001 as Identify
        """Identify a file; None while its first item is not complete."""
        found = self._identify(stream, path, whole)
        if found is None or not isinstance(stream, PlainStream):
            return None
        # The inode too: a spool that somebody emptied counts from one again.
        inode = os.fstat(stream.fileno()).st_ino
        name = f"{Path(path).name} {inode} {found.segment}".encode()
        return found._replace(segment=segment_of(name, self._instance), first_time="")


class Undated:
    """Names files by their content, which never repeats itself; their names order them."""

    def __init__(self, identify: Identifier) -> None:
        """`identify` finds the first line."""
        self._identify = identify

    def __call__(self, stream: Stream, path: str, whole: bool) -> Identity | None:  # noqa: FBT001 as Identify
        """Identify a file; None while its first line is not complete."""
        found = self._identify(stream, path, whole)
        return None if found is None else found._replace(first_time="")


class Leftovers:
    """Removes the complete files of a spool that every lane has; of a log, which is not ours, none.

    A file that cannot be removed is told, and is in nobody's way.
    """

    def __init__(self, spool: Keeps | None, identify: Identify, around: Surroundings) -> None:
        """`spool` is None where the source is no spool."""
        self._spool = spool
        self._identify = identify
        self._around = around

    def remove(self, path: Path) -> None:
        """Remove a file that every lane has."""
        if self._spool is None:
            return
        try:
            self._spool.remove(path)
        except OSError as error:
            text = f"cannot remove {path} from the spool: {error.strerror}"
            self._around.tell(Trouble(self._around.source, "", text))

    def sweep(self, finished: Mapping[str, int]) -> None:
        """Remove what an earlier process shipped and did not live to remove.

        `finished`: the segments that every lane has, each with its size in bytes.
        """
        for path in [] if self._spool is None else self._spool.segments()[:-1]:
            with suppress(OSError), path.open("rb") as file:
                stream = PlainStream(os.dup(file.fileno()), str(path))
                with closing(stream):
                    found = self._identify(stream, str(path), True)  # noqa: FBT003 the Protocol
                if found and finished.get(found.segment) == path.stat().st_size:
                    self.remove(path)
