"""Records as lines of a terminal: streamed, so there is no width to be known in advance.

2024-09-03T01:53:33Z  connect     1156  @juju-da2225-8           #993
"""

from __future__ import annotations

import shutil
import sys
from typing import Final

from shipper.model import SESSION_KINDS, AuditRecord, Block, Defect
from shipper.terminal import encodable, printable

# Wide enough for user@address of ordinary length, so that columns line up.
_WHO_WIDTH: Final = 28
_TEXT_LIMIT: Final = 2000  # characters of SQL on a line when the output is no terminal


def render(block: Block) -> bytes:
    """Give one line for every record and defect; log content cannot leave its line."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _TEXT_LIMIT
    lines = (
        printable(_defect(item) if isinstance(item, Defect) else _record(item), limit=width - 12)
        for _span, item in block.items()
    )
    text = "".join(line + "\n" for line in lines)
    return encodable(text, sys.stdout.encoding or "utf-8").encode()


def _record(record: AuditRecord) -> str:
    who = f"{record.user or ''}@{record.ip or record.host or ''}"
    return "  ".join(
        (
            f"{record.timestamp or '-':<20}",
            f"{record.kind:<11}",
            f"{'' if record.status is None else record.status:>5}",
            f"{printable(who, limit=_WHO_WIDTH):<{_WHO_WIDTH}}",
            f"#{'' if record.connection_id is None else record.connection_id:<6}",
            _what(record),
        )
    ).rstrip()


def _what(record: AuditRecord) -> str:
    extra = record.extra or {}
    if "table" in extra:  # what was done to which table; the filters also give the statement
        said = f"{record.name} {record.db or ''}.{extra['table']}"
        return f"{said}  {_one_line(record.sqltext)}".rstrip()
    if record.sqltext:
        return _one_line(record.sqltext)
    if record.kind in SESSION_KINDS:
        return f"db={record.db}" if record.db else ""
    return f"{record.name} {record.db or ''}"


def _one_line(sqltext: str | None) -> str:
    return " ".join((sqltext or "").split())


def _defect(defect: Defect) -> str:
    start, end = defect.span
    excerpt = defect.excerpt.decode("utf-8", "backslashreplace")
    return f"DEFECT  bytes {start}..{end}  {defect.reason.value}: {defect.detail}: {excerpt}"
