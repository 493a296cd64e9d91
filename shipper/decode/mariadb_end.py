r"""Where a MariaDB row ends: with its statement, or with its line (formats.md 4.1, 4.2).

    20190710 00:06:28,db1,app,10.0.0.7,3,25,QUERY,shop,'SELECT 1\nFROM t',0\n

A statement of a server before 2015 holds raw line feeds, so its row ends behind the quote that
closes it. A row that was cut has no such quote, or columns that fit nothing.
"""

from __future__ import annotations

import re
from typing import Final

from shipper.decode.base import BROKEN, MORE, Context, Data, Seen
from shipper.decode.mariadb_row import (
    HEAD_BYTES_MAX,
    INTEGER,
    KNOWN_START,
    MORE_COLUMNS,
    holds_row,
    split_row,
)

_LINE_FEED: Final = ord("\n")
_ROW_START: Final = re.compile(KNOWN_START.encode())
_QUERY_ANCHOR: Final = re.compile(f",{INTEGER},{INTEGER},QUERY,".encode())
# Any beginning of QUERY_END: of a status there may be the sign alone so far.
_QUERY_END: Final = re.compile(f",(-?[0-9]{{0,10}}){MORE_COLUMNS}\r?".encode())
# A statement that is still open after so many bytes, with the start of a row at a line start
# inside, belongs to a cut row: only servers before 2015 wrote raw line feeds.
_WINDOW: Final = 64 * 1024


class RowEnd:
    """Finds the end of a row; asked again for the same one with more bytes, it goes on."""

    def __init__(self, context: Context, start: bytes) -> None:
        """`start`: the pattern of a row's first bytes."""
        self._seen = Seen(context)
        self._next_row = re.compile(rb"\n(?=%b)" % start)

    def find(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 the shape of Format.end
        """Find the end of a statement, or of a line that is a row without one."""
        limit = start + HEAD_BYTES_MAX
        line = data.find(b"\n", start, limit)
        edge = line if line >= 0 else min(limit, len(data))
        anchor = _QUERY_ANCHOR.search(data, start, edge)
        # From the anchor's last byte on: a second comma is the end of an empty database.
        quote = data.find(b",'", anchor.end(), edge) if anchor else -1
        if quote >= 0 and not holds_row(data[start:quote].decode("latin-1")):
            end = self._text_end(data, start, quote + 2, final)
            if end != BROKEN:
                return end
        if line < 0 and edge < limit and not final:
            return MORE
        if edge < limit and split_row(data[start:edge].removesuffix(b"\r").decode("latin-1")):
            return min(edge + 1, len(data))
        # Cut, and what follows stands behind it on the line or on the next one. Not just at any
        # start of a record: an attacker's user name may hold one.
        second = _ROW_START.search(data, start + 1, edge)
        if second is not None:
            return -second.start()
        return -(line + 1) if line >= 0 else MORE if final else BROKEN

    def _text_end(self, data: Data, start: int, text: int, final: bool) -> int:  # noqa: FBT001 as `find`
        """Find the end of the row whose statement begins at `text`; BROKEN if it is not closed."""
        quote = self._closing_quote(data, start, text)
        window = start + _WINDOW
        if quote < 0 and final:
            return BROKEN
        if (
            not 0 <= quote < window
            and len(data) >= window
            and self._next_row.search(data, text, window)
        ):
            return BROKEN
        if quote < 0:
            return MORE
        match = _QUERY_END.match(data, quote + 1)
        after = match.end() if match else quote + 1
        whole = match is not None and match[1] != b"-"
        if after < len(data):
            return after + 1 if whole and data[after] == _LINE_FEED else BROKEN
        return MORE if not final else after if whole else BROKEN

    def _closing_quote(self, data: Data, start: int, text: int) -> int:
        """Find the first quote from `text` on that is not escaped; -1 if there is none."""
        at = start + self._seen.get(text - start)
        while (quote := data.find(b"'", at)) >= 0:
            part = data[at:quote]
            if (len(part) - len(part.rstrip(b"\\"))) % 2 == 0:
                break
            at = quote + 1
        self._seen.set(text - start, at - start)
        return quote
