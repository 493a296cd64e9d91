r"""Any of the other formats inside syslog lines.

    <14>Feb 12 07:18:30 host percona-audit: {"audit_record":{"name":"Connect",…}}
    Feb 12 07:18:30 host mysql-server_auditing:  db1,root,localhost,1,0,CONNECT,,,0

Facts: formats.md 1.10, 2.6, 4.3, 8 (10, 25), 8b. A record keeps the name of its own format; the
header is `extra.syslog`. Lines of other programs begin no record. A MariaDB row comes without its
time and takes the header's.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, ClassVar, Final

from shipper.decode import base
from shipper.decode.array_json import ArrayJson
from shipper.decode.azure import Azure
from shipper.decode.base import MORE, Context, Data, Decoded, Format
from shipper.decode.mariadb import MariaDb
from shipper.decode.mariadb_row import split_row
from shipper.decode.mcafee import McAfee
from shipper.decode.outbrain import Outbrain
from shipper.decode.percona_csv import PerconaCsv
from shipper.decode.percona_json import PerconaJson
from shipper.decode.syslog_header import HEADER, Headers
from shipper.decode.syslog_message import (
    Message,
    gather,
    is_untimed,
    start_pattern,
    timed,
    undo_values,
)
from shipper.decode.xml_new import XmlNew
from shipper.decode.xml_old import XmlOld
from shipper.errors import MalformedError
from shipper.model import AuditRecord

INNER: Final[tuple[type[Format], ...]] = (
    PerconaJson,
    XmlOld,
    XmlNew,
    PerconaCsv,
    ArrayJson,
    McAfee,
    Outbrain,
    Azure,
    MariaDb,
)
_NAMED_START: Final = start_pattern([f.start for f in INNER if f is not MariaDb])
_START: Final = re.sub(rb"\?P<[a-z_]+>", b"?:", _NAMED_START)
_STARTS: Final = re.compile(_NAMED_START)
_OPEN, _FINAL = False, True
# What may stand behind a record in its last line: separators, and the line feed as an escape.
_REST: Final = re.compile(rb"(?:[\s,\0\]]|#01[0-5])*+")


class Syslog:
    """Reader of syslog lines around the records of the other formats."""

    name: ClassVar[str] = "syslog"
    start: ClassVar[bytes] = _START
    header: ClassVar[bytes] = HEADER.encode()
    found_by: ClassVar[bytes] = rb"(?:(?<=\n)|(?=<[0-9]))(?:%b)" % _START
    # What proves a cut depends on the format inside: `end` looks for it.
    interrupted_by: ClassVar[bytes] = base.NEVER

    def __init__(self, context: Context) -> None:
        """Make readers of all formats inside, for the same decoder."""
        self._headers = Headers(context.options)
        self._formats = [
            (format_(context), re.compile(format_.start), re.compile(format_.interrupted_by))
            for format_ in INNER
        ]

    cut = staticmethod(base.last_line_end)

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read lines that hold a whole record each, with the `fast` of the format inside."""
        lines = block.split(b"\n")
        headers = [_STARTS.match(line) for line in lines[:-1]]
        first = headers[0]
        if lines[-1] or first is None or not _is_utf8(block):
            return None
        texts = [timed(line[h.end() :]) for h, line in zip(headers, lines, strict=False) if h]
        choice = self._choose(texts[0])
        escaped = b"#01" in block and texts[0][:1] in (b"{", b"<")
        if len(texts) != len(headers) or choice is None or escaped:
            return None
        decoded = choice[0].fast(b"\n".join(texts) + b"\n", 0)
        if decoded is None:
            return None
        starts = list(accumulate([len(text) + 1 for text in texts], initial=0))
        if list(decoded.starts) != starts[:-1]:
            return None
        rows = choice[0].name == MariaDb.name
        for record, header, line, text in zip(decoded.records, headers, lines, texts, strict=False):
            if header:
                if rows and "," in (record.user or "") and _glued(line, header, text):
                    return None
                self._complete(record, choice[0], header, line)
        ends = list(accumulate([len(line) + 1 for line in lines[:-1]], initial=offset))
        return Decoded(decoded.records, ends[:-1], ends[1:])

    def end(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 hot call
        """Find the last line of the record; lines are added until the format inside is content."""
        first = _STARTS.match(data, start)
        if first is None:
            return base.BROKEN
        most = 1
        while True:
            message = gather(data, first, _STARTS, most, final=final)
            end = self._end(data, first, message)
            if end != MORE or len(message.ends) < most:
                return end
            most *= 2

    def _end(self, data: Data, first: re.Match[bytes], message: Message) -> int:
        choice = self._choose(message.text)
        end = MORE
        if choice is not None:
            format_, _, interrupts = choice
            end = format_.end(message.text, 0, _OPEN)
            if end == MORE and message.closed:
                end = max(format_.end(message.text, 0, _FINAL), MORE)
            if end > 0 and not interrupts.search(message.text, 1, end):
                glued = format_.name == MariaDb.name and _glued(data, first, message.text[:end])
                return -glued if glued else message.end_of(end)
        if end == MORE and not (message.closed and message.ends):
            return MORE
        # Cut: the next record stands behind it on the line, or begins with what follows.
        stop = message.ends[0 if end != MORE else -1]
        second = _STARTS.search(data, first.end(), stop)
        if second is None and end == MORE and stop == len(data):
            return MORE  # the segment ends inside
        return -(second.start() if second else stop)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read the record that the lines hold."""
        first = _STARTS.match(raw)
        if first is None:
            raise MalformedError("not a syslog header with a record")
        text = gather(raw, first, _STARTS, len(raw), final=True).text
        choice = self._choose(text)
        end = choice[0].end(text, 0, _FINAL) if choice else base.BROKEN
        if choice is None or end <= 0 or not _REST.fullmatch(text, end):
            raise MalformedError("the lines hold no whole record")
        record = choice[0].careful(text[:end])
        self._complete(record, choice[0], first, raw)
        return record

    def _choose(self, text: bytes) -> tuple[Format, re.Pattern[bytes], re.Pattern[bytes]] | None:
        return next((choice for choice in self._formats if choice[1].match(text)), None)

    def _complete(
        self, record: AuditRecord, format_: Format, header: re.Match[bytes], line: bytes
    ) -> None:
        """Put what the header says and the daemon did into a record of `format_`."""
        said: dict[str, Any] = self._headers.read(header)
        if is_untimed(line[header.end() :]):
            record.timestamp = said.get("timestamp")
        record.extra = {**(record.extra or {}), "syslog": said}
        if b"#" in line:
            undo_values(record, raw=format_.name in (PerconaCsv.name, MariaDb.name))


def _glued(data: Data, first: re.Match[bytes], text: bytes) -> int:
    """Find the line that the names of a row take in, because the row was cut; 0 if there is none.

    A row says no more of itself here than its server. So names that hold a header and a row of
    this server are two rows, as names that hold a clock are in a file (mariadb_row.py).
    """
    row = split_row(base.without_line_end(text).decode("latin-1"))
    if row is None or "," not in row.user:
        return 0
    server = row.server.encode("latin-1") + b","
    # A row without its time was given one.
    names = (
        0 if is_untimed(bytes(data[first.end() : first.end() + len(text)])) else len(row.time) + 1
    )
    stop = first.end() + names + len(server) + len(row.user)
    for line in _STARTS.finditer(data, first.end(), stop + len(text)):
        if line.end() < stop and data.startswith(server, line.end()):
            return line.start()
    return 0


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
