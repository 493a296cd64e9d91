"""What lies there now of a source's segments, looked at beside a daemon or without one.

The ledger has what the daemon saw when it last wrote there: a lane that waits for its target
writes nothing, and a dead daemon sees nothing. So who asks what is not shipped looks at the files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from shipper.decode import FORMATS, Decoder, Options
from shipper.errors import ShipperError
from shipper.lane.identify import Identifier
from shipper.lane.ledger import Ledgered
from shipper.source.archive import open_stream
from shipper.source.names import LogNames
from shipper.source.passwords import Passwords
from shipper.source.stream import PlainStream

# Headers, footers and separators behind the last record: nothing that anybody misses.
_FRAMING_BYTES_MAX: Final = 4096


class Present:
    """The plain files of one source. Archives are not looked into: they do not grow."""

    def __init__(
        self, state: Path, instance: str, segments: Sequence[Ledgered], saved_at: float
    ) -> None:
        """`saved_at`: what was last written before this time, the ledger knows."""
        self._state = state
        self._identify = Identifier(FORMATS, Options(), instance)
        self._known = {each.id for each in segments}
        self._saved_at = saved_at
        self._files: dict[str, PlainStream | None] = {}

    def behind(self, segment: Ledgered, offset: int) -> int:
        """Give how many bytes from `offset` on may hold records."""
        if segment.id not in self._files:
            self._files[segment.id] = next(self._holding(segment), None)
        file = self._files[segment.id]
        if file is None:
            return max(segment.size - offset, 0)
        rest = os.fstat(file.fileno()).st_size - offset
        if 0 < rest <= _FRAMING_BYTES_MAX and _is_framing(file, offset):
            return 0
        return max(rest, 0)

    def _holding(self, segment: Ledgered) -> Iterator[PlainStream]:
        """Give the files that hold the segment; of received ones the name says it."""
        path = Path(segment.path)
        if path.is_relative_to(self._state):
            yield from _opened(segment.path, lambda _stream: True)
        elif path.exists() or path.parent.exists():
            for each in (segment.path, *LogNames(segment.path).older()):
                yield from _opened(each, lambda stream: self._segment(stream) == segment.id)

    def _segment(self, stream: PlainStream) -> str | None:
        identity = self._identify(stream, "", True)  # noqa: FBT003 source.segment.Identify
        return identity.segment if identity else None

    def unknown(self, segments: Sequence[Ledgered]) -> list[tuple[str, int]]:
        """Give (path, size) of what was begun under these segments' names, and nobody knows yet."""
        found: dict[tuple[int, int], tuple[str, int]] = {}
        for log in dict.fromkeys(each.path for each in segments):
            if Path(log).is_relative_to(self._state):
                continue
            for path in (log, *LogNames(log).older()):
                with suppress(OSError):
                    stat = Path(path).stat()
                    key = stat.st_dev, stat.st_ino
                    if stat.st_mtime >= self._saved_at and key not in found:
                        for stream in _opened(path, self._is_new):
                            stream.close()
                            found[key] = path, stat.st_size
        return list(found.values())

    def _is_new(self, stream: PlainStream) -> bool:
        segment = self._segment(stream)
        return segment is not None and segment not in self._known

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            if file is not None:
                file.close()


def _opened(path: str, fits: Callable[[PlainStream], bool]) -> Iterator[PlainStream]:
    """Give the open file if it is a plain one that fits."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        stream = open_stream(fd, path, Passwords())
    except (OSError, ShipperError):
        return
    with suppress(OSError, ShipperError):
        if isinstance(stream, PlainStream) and fits(stream):
            yield stream
            return
    stream.close()


def _is_framing(file: PlainStream, offset: int) -> bool:
    decoder = Decoder(FORMATS, start=offset, options=Options())
    blocks = [decoder.feed(file.read(offset, _FRAMING_BYTES_MAX)), decoder.finish()]
    return not any(block.records or block.defects for block in blocks)
