"""What stands at the end of a file that is read once may be half of a record.

Half a row of MariaDB reads as a whole one with another error number, and a target never changes
what it has: so the end waits until a line feed, a next record, an archive's checksum or the
operator says that it is whole.
"""

from __future__ import annotations

from typing import Final

from shipper.model import Block

# A row of these says nothing of its own end but the line feed: `…,,,10` may become 1045.
_ENDED_BY_LINE: Final = frozenset(("mariadb", "rds-mysql", "aurora-mysql"))


def closed(tail: Block, *, line_ended: bool) -> Block:
    """Leave out what the end of the file may have cut: it is whole when the file is read again."""
    if tail.defects and tail.defects[-1].span.end == tail.end:
        tail.end = tail.defects.pop().span.start
    elif tail.records and not line_ended and tail.records[-1].format in _ENDED_BY_LINE:
        del tail.records[-1], tail.ends[-1]
        tail.end = tail.starts.pop()
    return tail
