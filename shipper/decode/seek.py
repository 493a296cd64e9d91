"""Where the next record may start, behind bytes that begin none. Pure, and for the engine alone.

Two kinds of bytes begin no record. In a line that others share, such as one of syslog, nothing but
the next such line counts: a client may choose what stands in it (`Format.header`). Anywhere else
the start of a record of any format does, also in mid-line, for a crash leaves no line feed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Final

from shipper.decode.base import LOOKAHEAD, Format

NONE: Final = 0  # no start was found
MORE_LINES: Final = -2  # what is held does not say yet
# A longer line is no syslog daemon's: they cut at 8 to 128 KiB.
FRAME_BYTES_MAX: Final = 256 * 1024

_LINE_FEED: Final = 0x0A
_LINE_END: Final = re.compile(rb"\n")
_LAST_LINE: Final = re.compile(rb"(?s:.*)\n")


class Seeker:
    """Looks in views of the bytes from the item on that begins no record."""

    def __init__(self, formats: Sequence[type[Format]]) -> None:
        """Take what the formats say of their starts."""
        # `found_by` is stricter than `start` where a format must not be found in mid-line.
        searched = [getattr(format_, "found_by", format_.start) for format_ in formats]
        self._searched = b"|".join(b"(?:%b)" % pattern for pattern in searched)
        self._starts = [re.compile(format_.start) for format_ in formats]
        self._framed = [
            (re.compile(header), re.compile(pattern))
            for format_, pattern in zip(formats, searched, strict=True)
            if (header := getattr(format_, "header", None)) is not None
        ]

    def behind_frames(self, view: memoryview, line: int, *, final: bool) -> tuple[int, int]:
        """Find a record behind the shared lines at `line`, or inside one that was cut.

        NONE: there are no such lines, or other bytes are behind them. The second number says from
        where on to go on; `line` is 0 or what it was before. `final`: no more of `view` will come.
        """
        while (own := self._frame(view, line)) is not None:
            edge = min(line + FRAME_BYTES_MAX, len(view))
            feed = _LINE_END.search(view, line, edge)
            if feed is None:
                whole = final or edge == line + FRAME_BYTES_MAX
                return (NONE if whole else MORE_LINES), line
            inside = own.search(view, line + 1, feed.start())
            if inside is not None:
                return inside.start(), line
            edge = min(feed.end() + LOOKAHEAD, len(view))
            if not final and edge == len(view) and not _LINE_END.search(view, feed.end(), edge):
                return MORE_LINES, line
            line = feed.end()
            if any(start.match(view, line) for start in self._starts):
                return line, line
        return NONE, line

    def find(self, view: memoryview, begin: int) -> int:
        """Find where a record may start from `begin` on, or the shared line around that place.

        NONE where there is no such place.
        """
        found = self._any(view, begin)
        if found and self._framed:
            before = _LAST_LINE.match(view, 0, found)
            # The first line is none of those: `behind_frames` has seen it.
            if before and before.end() < found and self._frame(view, before.end()) is not None:
                return before.end()
        return found

    def _frame(self, view: memoryview, line: int) -> re.Pattern[bytes] | None:
        """Give what ends the shared line that begins at `line`, None where none does."""
        return next((own for header, own in self._framed if header.match(view, line)), None)

    def _any(self, view: memoryview, begin: int) -> int:
        """Find the first place from `begin` on where a record of any format may start."""
        found = self._any_start.search(view, begin - 1)
        if found is not None and view[found.start()] != _LINE_FEED and found.start() < begin:
            found = self._any_start.search(view, begin)
        if found is None:
            return NONE
        return found.start() + (view[found.start()] == _LINE_FEED)

    @cached_property
    def _any_start(self) -> re.Pattern[bytes]:
        # Where a format may start in mid-line, it starts with one of these bytes: to look for them
        # first is forty times faster on plain text. Behind a line feed any byte may start one, so
        # a match begins with the byte itself, or with the line feed before it. Made when needed:
        # it takes as long as all other start-up of a decoder, and most logs have no use for it.
        some = self._searched
        return re.compile(rb'[\n<{"0-9](?:(?<=\n)(?=%b)|(?<=(?=%b)[\s\S]))' % (some, some))
