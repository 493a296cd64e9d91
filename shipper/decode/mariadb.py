r"""MariaDB `server_audit`, also in MariaDB Enterprise, RDS, Aurora and as a plugin of MySQL.

    20190710 00:06:28,db1,app,10.0.0.7:54312,3,25,QUERY,shop,'SELECT \'x\'',0
    1536652826127350,db1,app,10.0.0.7,8426327,0,FAILED_CONNECT,,,1045

Facts: formats.md 4 and 8b. Local time without a zone, or microseconds at Aurora, or any text where
`server_audit_timestamp_format` says so; lines may end with CR LF. How the columns are told apart:
mariadb_row.py.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Any, ClassVar, Final

from shipper.decode import base, mariadb_row, syslog_header
from shipper.decode.base import Context, Decoded, Memo
from shipper.decode.mariadb_end import RowEnd
from shipper.decode.mariadb_row import (
    CLOCK,
    INTEGER,
    KNOWN_START,
    SERVER,
    Row,
    holds_clock,
    parted,
    split_row,
)
from shipper.decode.mariadb_tail import Tail, read_tail, repeated_tail
from shipper.decode.mariadb_text import (
    CUT_MAX,
    CUT_MIN,
    Client,
    client,
    unescape,
    unescape_column,
)
from shipper.errors import MalformedError
from shipper.model import AuditRecord, Shared

NAME: Final = "mariadb"
RDS: Final = "rds-mysql"
AURORA: Final = "aurora-mysql"

_AURORA_CLOCK: Final = re.compile("[0-9]{16}")
_CLOCK: Final = re.compile(CLOCK)
_SECONDS: Final = re.compile("[0-9]{10}")
_SERVER: Final = re.compile(SERVER)
_INTEGER: Final = re.compile(INTEGER)

# A row with a free clock is known only by its anchor; at least time, server host, user and host
# stand before it. The first byte begins neither framing nor another format; a syslog header has a
# format of its own.
_FREE: Final = (
    rf"(?!{syslog_header.PLAIN})(?![\s\0<{{\"\[\],])[^,\n]{{1,200}}+,[^,\n]{{0,255}}+,"
    rf"[^\n]{{0,1500}}?,[^,\n]{{0,255}}+,{INTEGER},{INTEGER},"
    rf"(?:{'|'.join(mariadb_row.OPERATIONS)}),"
)
_START: Final = f"(?:{KNOWN_START}|{_FREE})".encode()


# User, host, address, connection id, and what is said in `extra`.
_Session = tuple[str, str, str | None, int, Shared]


class MariaDb:
    """Reader of the rows of MariaDB's audit plugin and its forks."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = _START
    found_by: ClassVar[bytes] = rf"(?:{KNOWN_START}|(?<=\n){_FREE})".encode()
    # Any text can stand inside a statement, only not an unescaped quote: `end` judges.
    interrupted_by: ClassVar[bytes] = base.NEVER

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock, and memos of what repeats from row to row."""
        self._clock = context.clock
        self._times: Memo[str] = Memo(self._time)
        self._seconds: Memo[str] = Memo(self._second)
        self._sessions: Memo[_Session] = Memo(self._session)
        self._clients: Memo[Client] = Memo(client)
        self._tails: Memo[Tail] = Memo(repeated_tail)
        self.end = RowEnd(context, self.start).find
        # For rows inside a block, which the engine is not looking for.
        self._apart = Context(context.options)
        self._end_apart = RowEnd(self._apart, self.start).find
        self._start = re.compile(self.start)

    cut = staticmethod(base.last_line_end)

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of one-line rows by splitting them at their commas."""
        # Latin 1 is a plain copy and keeps one character a byte; text beyond ASCII pays itself.
        feed = "\r\n" if block.endswith(b"\r\n") else "\n"
        lines = block.decode("latin-1").split(feed)
        if lines.pop() or (len(feed) > 1 and block.count(b"\n") != len(lines)):
            return None
        step = len(feed)
        ends = list(accumulate([len(line) + step for line in lines], initial=offset))
        try:
            records = self._records(lines, feed)
        except (ValueError, MalformedError):
            return None
        return Decoded(records, ends[:-1], ends[1:])

    def _records(self, lines: list[str], feed: str) -> list[AuditRecord]:
        """Read rows; ValueError or MalformedError where the engine should look.

        Time, session and what stands around a statement repeat from row to row.
        """
        times, seconds, sessions, tails = self._times, self._seconds, self._sessions, self._tails
        rows, texts = parted(lines)
        statements = iter(unescape_column(texts))
        records = []
        for line, row in zip(lines, rows, strict=True):
            if row is None:
                records.append(self._odd(line + feed))
                continue
            head, query, tail, length, sqltext = row
            extra: dict[str, Any]
            if sqltext is None and length >= 0:
                sqltext = next(statements)
            try:
                time, session = head.split(",", 1)
                aurora = time.isdecimal()
                timestamp = f"{seconds[time[:-6]]}.{time[-6:]}Z" if aurora else times[time]
                user, host, ip, connection, own = sessions[session]
                name, kind, code, db, _, rds, said = tails[tail]
            except (ValueError, MalformedError):
                records.append(self._odd(line + feed))
                continue
            extra = {**own, **said} if said else own
            if CUT_MIN <= length <= CUT_MAX:
                extra = {**extra, "maybe_truncated": ["sqltext"]}
            # fmt: off
            records.append(AuditRecord(
                name, None, timestamp, None, connection, code, sqltext, user, host, None, ip,
                db, None, None, kind, AURORA if aurora else RDS if rds else NAME, extra, int(query),
            ))
            # fmt: on
        return records

    def _odd(self, line: str) -> AuditRecord:
        """Read a line by itself that names with commas or the like make odd.

        Any client can have such rows written, by logging in with such a name: they must not slow
        their neighbours. ValueError or MalformedError unless the engine would take just this line.
        """
        raw = line.encode("latin-1")
        self._apart.item += 1
        if not self._start.match(raw) or self._end_apart(raw, 0, False) != len(raw):  # noqa: FBT003 the shape of Format.end
            raise ValueError(line)
        raw.decode()  # else the engine keeps the bytes beside the record
        return self.careful(raw)

    def _session(self, text: str) -> _Session:
        """Read `db1,app,10.0.0.7,3`."""
        server, user, client_, connection = text.split(",")
        fits = _SERVER.fullmatch(server) and _INTEGER.fullmatch(connection)
        if not fits or holds_clock(text):
            raise ValueError(text)
        host, ip, extra = self._clients[client_]
        said = Shared({"serverhost": server, **extra})
        return user, host, ip, _connection_id(connection), said

    def _time(self, text: str) -> str:
        if not _CLOCK.fullmatch(text):
            raise ValueError(text)
        return self._clock[text]

    def _second(self, text: str) -> str:
        if not _SECONDS.fullmatch(text):
            raise ValueError(text)
        return self._clock[text][:-1]

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one row of any generation and any clock."""
        row = split_row(base.without_line_end(raw).decode("latin-1"))
        if row is None:
            raise MalformedError("not the columns of a row")
        query = row.operation == "QUERY"
        sqltext = _text(unescape(row.thing)) if query else None
        cut = query and CUT_MIN <= len(row.thing) <= CUT_MAX
        row = Row(*[_text(cell) for cell in row])
        host, ip, port = client(row.host)
        said = read_tail(row.operation, row.db, row.thing, row.status, row.more)
        extra = {"serverhost": row.server, **port, **said.extra}
        if cut:
            extra["maybe_truncated"] = ["sqltext"]
        try:
            timestamp = self._clock[row.time]
        except MalformedError:
            timestamp, extra["timestamp_text"] = None, row.time
        return AuditRecord(
            name=said.name,
            timestamp=timestamp,
            connection_id=_connection_id(row.connection),
            status=said.status,
            sqltext=sqltext,
            user=row.user,
            priv_user=said.priv_user,
            host=host,
            ip=ip,
            db=said.db,
            kind=said.kind,
            format=AURORA if _AURORA_CLOCK.fullmatch(row.time) else RDS if said.rds else NAME,
            extra=extra,
            query_id=int(row.query),
        )


def _connection_id(text: str) -> int:
    # Printed with %d: from 2^31 on the server's own number, which PROCESSLIST shows, is negative.
    number = int(text)
    return number + 2**32 if number < 0 else number


def _text(cell: str) -> str:
    return cell.encode("latin-1").decode("utf-8", "backslashreplace")
