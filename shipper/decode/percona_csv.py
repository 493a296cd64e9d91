r"""Percona audit_log, format CSV: one row a record, all quoted but STATUS (formats.md 1.2, 1.4).

    "Query","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","select","11",0,"SELECT 1","app[app] …

General rows have 12 columns, 11 without DB before bug 1435099; rows of connections have 12 with
another meaning; Audit rows have 6. Line feeds stand raw inside a value, quotes are doubled.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import ClassVar, Final

from shipper.decode import base
from shipper.decode.base import BROKEN, MORE, Context, Data, Decoded, Memo, Seen
from shipper.decode.fields import KIND_OF_NAME, flat_record
from shipper.decode.identity import parse_identity
from shipper.errors import MalformedError
from shipper.model import AUDIT_START, AUDIT_STOP, SESSION_KINDS, AuditRecord

NAME: Final = "percona-csv"

_HEAD: Final = ("name", "record", "timestamp")
_SESSION_TAIL: Final = ("user", "priv_user", "os_login", "proxy_user", "host", "ip", "db")
_GENERAL_TAIL: Final = ("sqltext", "user", "host", "os_user", "ip", "db")
_SESSION: Final = (*_HEAD, "connection_id", "status", *_SESSION_TAIL)
_GENERAL: Final = (*_HEAD, "command_class", "connection_id", "status", *_GENERAL_TAIL)
_AUDIT: Final = (*_HEAD, "mysql_version", "startup_options", "os_version")
_GENERAL_MIN: Final = len(_GENERAL) - 1  # without DB
_SLOW_KINDS: Final = (AUDIT_START, AUDIT_STOP)  # "Shutdown" is also a command: `careful` knows

_COMMA, _LINE_FEED, _RETURN, _QUOTE = b',\n\r"'
_SESSION_START: Final = re.compile(rb'"(?:Connect|Quit|Change user)"')
_AUDIT_START: Final = re.compile(rb'"(?:No)?Audit"')
# STARTUP_OPTIONS is not escaped: the fixed columns on both of its sides hold the row together.
_AUDIT_ROW: Final = re.compile(
    rb'"([^"]*+)","([^"]*+)","([^"]*+)","([^"]*+)","(.*)","([^"]*+)"', re.DOTALL
)
_LINE_END: Final = re.compile(rb"\n|\r(?:\n|\Z)")
_STATUS: Final = re.compile(rb"-?[0-9]{0,20}+")
_CELL: Final = re.compile(rb'(?:"((?:[^"]++|"")*+)"|(-?[0-9]{0,20}+))(?:,|\Z)')
_VALUE: Final = rb'(?:"(?:[^"\n]|"")*"|-?[0-9]{1,20})'
_WHOLE_ROW: Final = rb"%b(?:,%b){5,11}\r?\n" % (_VALUE, _VALUE)
_INTERRUPTS: Final = re.compile(base.QUOTED_STARTS)
_INTERRUPT_BYTES_MAX: Final = 128

# Both kinds of row in one pattern, for one `findall` over a block. Who and where stay together:
# they repeat from row to row, so a memo takes them apart.
_INT: Final = "(0|-?[1-9][0-9]{0,17})"
_ROW: Final = (
    '("([A-Z][A-Za-z ]{1,30})",'
    '"([0-9]{1,20}_[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})","([^"]*+)",'
    f'"(?:{_INT}",{_INT}|([^"]*+)","{_INT}",{_INT},"((?:[^"]++|"")*+)")'
    ',("'
)
_ROWS: Final = re.compile(_ROW + r"[^\n]{1,1000}+)\n)")
_ROWS_CRLF: Final = re.compile(_ROW + r"[^\r\n]{1,1000}+)\r\n)")
# Nothing that may be the RECORD of a row that interrupts this one: no quote inside begins one then.
_TAIL: Final = re.compile(r'"((?![0-9]+_)(?:[^"]++|"")*+)"')


class PerconaCsv:
    """Reader of Percona's CSV rows."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = base.CSV_START
    # In mid-line, behind what a crash cut, only a row that is whole and ends with its line: another
    # may be a client's invention in a row of another format, and would go on in its neighbours.
    found_by: ClassVar[bytes] = rb"(?=%b)(?:(?<=\n)|(?=[^\n]{1,2048}\n)%b)" % (
        base.CSV_START,
        _WHOLE_ROW,
    )
    interrupted_by: ClassVar[bytes] = base.QUOTED_STARTS

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock, and memos of what repeats from row to row."""
        self._clock = context.clock.utc
        self._session: Memo[_Session] = Memo(_session)
        self._general: Memo[_General] = Memo(_general)
        self._seen = Seen(context)

    def cut(self, data: Data, start: int, stop: int) -> int:
        """Cut before the last row that surely begins.

        Quote, line end, quote, capital letter is always a border: inside a value the quote before
        the letter would be doubled.
        """
        border = stop
        while (border := data.rfind(b'\n"', start, border)) >= 0:
            quote = border - 1 - (data[border - 1] == _RETURN)
            letter = data[border + 2 : min(border + 3, stop)]
            if quote >= start and data[quote] == _QUOTE and b"A" <= letter <= b"Z":
                return border + 1
        return start

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of rows with one regular expression."""
        # Latin 1 is a plain copy and keeps one character a byte; rows beyond ASCII pay themselves.
        pattern = _ROWS_CRLF if block.endswith(b"\r\n") else _ROWS
        rows = pattern.findall(block.decode("latin-1"))
        ends = list(accumulate([len(row[0]) for row in rows], initial=offset))
        if ends[-1] != offset + len(block):
            return None  # something lies between the rows
        try:
            records = self._records(rows)
        except (KeyError, ValueError, MalformedError):
            return None
        return Decoded(records, ends[:-1], ends[1:])

    def _records(self, rows: list[tuple[str, ...]]) -> list[AuditRecord]:
        """Give the columns their meaning; raises where the careful path should look."""
        clock, session, general = self._clock, self._session, self._general
        records: list[AuditRecord] = []
        add = records.append
        for row in rows:
            cells = row if row[0].isascii() else [cell.encode("latin-1").decode() for cell in row]
            _, name, number, time, own, ended, word, other, status, sql, tail = cells
            kind = KIND_OF_NAME[name]
            # fmt: off
            if kind in SESSION_KINDS:
                add(AuditRecord(
                    name, number, clock[time], None, int(own), int(ended), None, *session[tail],
                    kind, NAME,
                ))
            elif kind in _SLOW_KINDS:
                raise ValueError(name)
            else:
                add(AuditRecord(
                    name, number, clock[time], word, int(other), int(status),
                    sql.replace('""', '"'), *general[tail], kind, NAME,
                ))
            # fmt: on
        return records

    def end(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 hot call
        """Find the end of a row by walking over its values."""
        if _AUDIT_START.match(data, start):
            return base.line_end(data, start, final)
        session = _SESSION_START.match(data, start) is not None
        status, least = (4, len(_SESSION)) if session else (5, _GENERAL_MIN)
        at = start
        for column in range(len(_GENERAL)):
            after = _status_end(data, at) if column == status else self._value_end(data, start, at)
            if after in (MORE, len(data)):
                return after if final and column + 1 >= least else MORE
            if after == BROKEN:
                break
            at = after + 1
            if column + 1 >= least and (ended := _LINE_END.match(data, after)):
                open_ = ended.end() == len(data) and data[ended.end() - 1] != _LINE_FEED
                return MORE if open_ and not final else ended.end()
            if data[after] != _COMMA:
                break
        # The engine cuts at an interrupt, which may begin before the broken place and end behind.
        edge = at + _INTERRUPT_BYTES_MAX
        if len(data) < edge and not final:
            return MORE
        return MORE if _INTERRUPTS.search(data, start + 1, edge) else BROKEN

    def _value_end(self, data: Data, start: int, value: int) -> int:
        """Give the index after the closing quote of the value at `value`, MORE or BROKEN."""
        if value < len(data) and data[value] != _QUOTE:
            return BROKEN
        at = max(start + self._seen.get(value - start), value + 1)
        while (quote := data.find(b'"', at)) >= 0 and data[quote + 1 : quote + 2] == b'"':
            at = quote + 2
        if quote < 0 or quote + 1 == len(data):  # values before this one do not come again
            self._seen.set(value - start, at - start)
        return quote + 1 if quote >= 0 else MORE

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one row of any kind and generation."""
        row = base.without_line_end(raw)
        if not _AUDIT_START.match(row):
            return flat_record(_columns(row), NAME, self._clock)
        match = _AUDIT_ROW.fullmatch(row)
        if match is None:
            raise MalformedError("not the six columns of an Audit row")
        values = map(_text, match.groups())
        return flat_record(dict(zip(_AUDIT, values, strict=True)), NAME, self._clock)


# As `AuditRecord` wants them: user, host, operating system's user, address, database, privileged
# user, proxy user.
_Session = tuple[str, str, str, str, str, str, str]
_General = tuple[str, str, str, str, str | None, str | None, None]


def _session(tail: str) -> _Session:
    user, priv_user, os_login, proxy_user, host, ip, db = _tail(tail)
    return user, host, os_login, ip, db, priv_user, proxy_user


def _general(tail: str) -> _General:
    user, host, os_user, ip, *db = _tail(tail)
    if len(db) > 1:
        raise ValueError(tail)
    identity = parse_identity(user)
    name, priv_user = (user, None) if identity is None else (identity.user, identity.priv_user)
    return name, host, os_user, ip, db[0] if db else None, priv_user, None


def _tail(tail: str) -> list[str]:
    values = _TAIL.findall(tail)
    if tail != ",".join(f'"{value}"' for value in values):
        raise ValueError(tail)
    return [value.replace('""', '"') for value in values]


def _status_end(data: Data, at: int) -> int:
    match = _STATUS.match(data, at)
    return match.end() if match else BROKEN


def _columns(row: bytes) -> dict[str, str]:
    """Name the columns of a row that is not of the Audit kind."""
    cells: list[str] = []
    at = 0
    while at < len(row):
        match = _CELL.match(row, at)
        if match is None:
            raise MalformedError(f"no value in column {len(cells) + 1}")
        cells.append(_text(match[1]) if match[2] is None else match[2].decode())
        at = match.end()
    names = _SESSION if _SESSION_START.match(row) else _GENERAL
    if len(cells) not in (len(names), len(names) - (names is _GENERAL)):
        raise MalformedError(f"{len(cells)} columns")
    return dict(zip(names, cells, strict=False))


def _text(value: bytes) -> str:
    return value.replace(b'""', b'"').decode("utf-8", "backslashreplace")
