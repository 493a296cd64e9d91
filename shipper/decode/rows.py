r"""Whole rows of MariaDB inside another format's record: they prove that it was cut.

    <AUDIT_RECORD\n  NAME="Query"\n  RECORD="3_2024-0
    20240903 01:53:33,db1,app,localhost,11,0,CONNECT,shop,,0

A row has nothing that a value could not hold but for its line feeds. So it proves something only
where a record's writer leaves no line feed raw in a value, and only as a whole line: what a client
wrote into the cut record cannot be one then. Rows in syslog lines count as well; rows with a free
clock do not, for any text may be one.
"""

from __future__ import annotations

import re
from typing import Final

from shipper.decode.base import MORE, Context, Data, Seen
from shipper.decode.mariadb_row import KNOWN_START, split_row
from shipper.decode.syslog_message import start_pattern, timed

_NONE: Final = -1
# Twice what the servers make of a row by default; the next shorter one proves as much.
ROW_BYTES_MAX: Final = 2048

# No line of an intact record begins like this, so it costs nobody time to wait for its end.
_LINE: Final = re.compile(rb"\n(?=[0-9]|<[0-9]|[A-Z][a-z][a-z] )")
_LINE_BYTES: Final = 5
_ROW: Final = re.compile(KNOWN_START.encode())
_IN_SYSLOG: Final = re.compile(start_pattern(()))


class RowsInside:
    """Looks for rows in the records of one format."""

    def __init__(self, context: Context, interrupted_by: bytes) -> None:
        """Let what proves a cut before a row, `interrupted_by`, come first."""
        self._interrupts = re.compile(interrupted_by)
        self._seen = Seen(context)

    def end(self, data: Data, start: int, end: int, final: bool) -> int:  # noqa: FBT001 as Format.end
        """Answer `Format.end`: `end`, an index or MORE, unless a row before it proves a cut."""
        row = self._find(data, start, end or len(data), final)
        return end if row == _NONE else -row

    def _find(self, data: Data, start: int, stop: int, final: bool) -> int:  # noqa: FBT001 hot call
        """Find the first row in the record at `start`, which ends at `stop` or is open there.

        _NONE: there is none. MORE: more bytes will tell, or the engine will find what comes before.
        Anything else is its index.
        """
        # A block of whole records is asked about as final, one by one within the same item.
        at = start if final else start + self._seen.get(0)
        while (begins := _LINE.search(data, at, stop)) is not None:
            at = begins.end()
            feed = data.find(b"\n", at, at + ROW_BYTES_MAX)
            if feed < 0 and len(data) < at + ROW_BYTES_MAX and not final:
                self._seen.set(0, begins.start() - start)
                return MORE
            if feed >= 0 and _is_row(bytes(data[at:feed])):
                other = self._interrupts.search(data, start + 1, feed)
                return at if other is None or other.start() >= at else MORE
        if not final:
            self._seen.set(0, max(stop - _LINE_BYTES - start, 0))
        return _NONE


def _is_row(line: bytes) -> bool:
    line = line.removesuffix(b"\r")
    if not _ROW.match(line):
        header = _IN_SYSLOG.match(line)
        if header is None:
            return False
        line = timed(line[header.end() :])
    return split_row(line.decode("latin-1")) is not None
