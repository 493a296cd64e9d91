r"""The columns of one MariaDB `server_audit` row, whatever its names hold.

    20190710 00:06:28,db1,app,10.0.0.7,3,25,QUERY,shop,'SELECT \'x\'',0

Facts: formats.md 4.1, 4.4, 8b. Nothing but the query is escaped, and the user of a FAILED_CONNECT
is any attacker's choice. So a row is held by its anchor `,<int>,<int>,<OPERATION>,`: on its left
stand time and server host at the beginning and the client's host at the end, all between is the
user; the rest is read from the right. Where several anchors fit, the rule is:

* A row is a QUERY if the text that opens with the first `,'` after the first QUERY anchor is closed
  at the very end of the row; its anchor is the last one before that quote. Inside a text every
  quote is escaped, and behind a user always stand host, ids, operation and its columns.
* Otherwise the last anchor whose tail fits wins: a client chooses its user, which stands before
  the true anchor, but not the database of a failed login, which is empty.
* CONNECT says status 0 and FAILED_CONNECT another: a split that contradicts this comes last.
* Names that hold `<clock>,<this server's host>,` are a cut row with another row behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

CLOCK: Final = r"(?:[0-9]{8} {1,2}[0-9]{1,2}:[0-9]{2}:[0-9]{2}|[0-9]{16})"
SERVER: Final = r"[a-zA-Z0-9_.:%-]{0,255}"
INTEGER: Final = r"-?[0-9]{1,18}"
# How a row begins whose clock is not of the operator's own format.
KNOWN_START: Final = f"{CLOCK},{SERVER},"
SESSION: Final = ("CONNECT", "FAILED_CONNECT", "DISCONNECT", "CHANGEUSER")
TABLES: Final = ("READ", "WRITE", "CREATE", "DROP", "ALTER")
OPERATIONS: Final = (*SESSION, *TABLES, "RENAME", "QUERY", "PROXY_CONNECT", "AUDIT_CONFIG")
# Rows without a statement are built in 1024 bytes (formats.md 4.2), and so are the columns before
# a statement.
HEAD_BYTES_MAX: Final = 4096

_ANCHOR: Final = re.compile(
    # The comma behind it may be the first of the next.
    f",({INTEGER}),({INTEGER}),({'|'.join(OPERATIONS)})(?=,)"
)
_CLOCK: Final = re.compile(CLOCK)
_KNOWN: Final = re.compile(KNOWN_START)
# A row of Aurora that was cut inside its second column, and another one behind it: that column goes
# on like a clock, and the one that follows begins as it does. Else a server may be called so.
_GLUED: Final = re.compile(
    rf"[0-9]{{16}},({SERVER}?)[0-9]{{16}},(?=\1){SERVER},[^\n]*?,[^,\n]*,{INTEGER},{INTEGER},"
    rf"(?:{'|'.join(OPERATIONS)}),"
)
_SERVER_NAME: Final = re.compile(r"[a-zA-Z0-9_.-]*[a-zA-Z][a-zA-Z0-9_.-]*")

# TLS version of MariaDB Enterprise, connection type of RDS, and what forks may add (formats.md
# 4.6). Fewer than the columns behind a user, or a user could pass for the end of a QUERY.
MORE_COLUMNS: Final = r"((?:,[a-zA-Z0-9_./-]{0,64}){0,4})"
_STATUS: Final = r"(-?[0-9]{1,10})"
_SESSION_TAIL: Final = re.compile(f",(.*),([a-zA-Z][a-zA-Z0-9_.]*|),{_STATUS}{MORE_COLUMNS}")
_TABLE_TAIL: Final = re.compile(r",(.*),([^,]*),()()")
_TAILS: Final = {
    **dict.fromkeys(SESSION, _SESSION_TAIL),
    **dict.fromkeys(TABLES, _TABLE_TAIL),
    # `old|newdb.newtable,`, or `old,newdb,newtable` in the manual of MariaDB Enterprise.
    "RENAME": re.compile(r",(.*?),([^,]*\|[^,]*|[^,|]*,[^,|]*,[^,|]*),?()()"),
    "PROXY_CONNECT": re.compile(f",(.*?),(`.*`@`.*|[^,]*),{_STATUS}{MORE_COLUMNS}"),
    "AUDIT_CONFIG": re.compile(f",(),(.*),{_STATUS}{MORE_COLUMNS}"),
}
QUERY_END: Final = f",(-?[0-9]{{1,10}}|){MORE_COLUMNS}"
_QUERY_TEXT: Final = re.compile(rf"'((?:[^'\\]++|\\.)*+)'{QUERY_END}", re.DOTALL)


class Row(NamedTuple):
    """The columns as written; `thing` is the statement of a QUERY and the object of the others."""

    time: str
    server: str
    user: str
    host: str
    connection: str
    query: str
    operation: str
    db: str
    thing: str
    status: str
    more: str


# Columns up to the query id, that id, what stands around a statement, the statement's length (-1:
# there is none) and itself, or None where it is still to be unescaped.
Parted: TypeAlias = tuple[str, str, str, int, str | None]
# Characters of a row without its statement that is parted: less than HEAD_BYTES_MAX bytes.
_SHORT: Final = 1000
_DIGITS: Final = 15  # of a query id: sixteen are a clock


def parted(lines: Iterable[str]) -> tuple[list[Parted | None], list[str]]:
    """Take rows apart at their commas, line by line; None for what has others, and for no row.

    Also gives the statements that are still to be unescaped by themselves. Lines show their bytes
    as Latin-1; so do these statements, alone.
    """
    rows: list[Parted | None] = []
    texts: list[str] = []
    for line in lines:
        length, text, rest, place = -1, None, len(line), line.find(",QUERY,")
        try:
            if place < 0:
                tail = line.split(",", 6)[-1]
                place = rest - len(tail) - 1
            else:
                opened, closed = line.index(",'", place + 7) + 2, line.rindex("'")
                if closed < opened:  # the quote that opens is the only one
                    rows.append(None)
                    continue
                text, tail = line[opened:closed], line[place + 1 : opened] + line[closed:]
                length = closed - opened
                rest -= length
            head, _, query = line[:place].rpartition(",")
            plain = line.isascii()
            if not plain:
                head, tail = _utf8(head), _utf8(tail)
        except ValueError:
            rows.append(None)
            continue
        if query.isdecimal() and len(query) <= _DIGITS and rest <= _SHORT:
            if text is not None and ("\\" in text or not plain or "'" in text):
                texts.append(text)
                text = None
            rows.append((head, query, tail, length, text))
        else:
            rows.append(None)
    return rows, texts


def _utf8(text: str) -> str:
    return text.encode("latin-1").decode()


def split_row(text: str) -> Row | None:
    """Take a row without its line feed apart; None if it is none."""
    anchors = list(_ANCHOR.finditer(text))
    row = _query_row(text, [anchor for anchor in anchors if anchor[3] == "QUERY"])
    if row is not None or len(text) > HEAD_BYTES_MAX or "\n" in text or holds_row(text):
        return row
    rows = [row for anchor in reversed(anchors) if (row := _other_row(text, anchor)) is not None]
    return min(rows, key=_contradicts, default=None)


def holds_row(text: str) -> bool:
    """Say whether another row starts inside `text`, a row without its statement."""
    if _GLUED.match(text):
        return True
    known = _KNOWN.match(text)
    # Behind a free clock any known start is odd enough; else it must be of the same server.
    server = known[0][known[0].index(",") :] if known else ","
    return any(start[0].endswith(server) for start in _KNOWN.finditer(text, 1))


def holds_clock(text: str) -> bool:
    """Say whether `text` holds a known clock: quicker than `holds_row`, and more often so."""
    return _CLOCK.search(text) is not None


def split_tail(operation: str, text: str) -> tuple[str, str, str, str] | None:
    """Give database, object, status and more columns of what follows `operation`, with its comma.

    None where it does not fit, and for QUERY.
    """
    pattern = _TAILS.get(operation)
    match = pattern.fullmatch(text) if pattern else None
    return (match[1], match[2], match[3], match[4]) if match else None


def _query_row(text: str, anchors: list[re.Match[str]]) -> Row | None:
    quote = text.find(",'", anchors[0].end() + 1) if anchors else -1
    anchor = next((a for a in reversed(anchors) if a.end() < quote), None)
    tail = _QUERY_TEXT.fullmatch(text, quote + 1)
    if anchor is None or tail is None or holds_row(text[:quote]):
        return None
    return _row(text, anchor, (text[anchor.end() + 1 : quote], tail[1], tail[2], tail[3]))


def _other_row(text: str, anchor: re.Match[str]) -> Row | None:
    tail = split_tail(anchor[3], text[anchor.end() :])
    return _row(text, anchor, tail) if tail else None


def _row(text: str, anchor: re.Match[str], tail: tuple[str, str, str, str]) -> Row | None:
    head = _head(text[: anchor.start()])
    return Row(*head, anchor[1], anchor[2], anchor[3], *tail) if head else None


def _head(text: str) -> tuple[str, str, str, str] | None:
    """Give time, server host, user and host out of what stands before the anchor."""
    fields = text.split(",")
    if len(fields) < 4:
        return None
    known = _KNOWN.match(text) is not None
    # A free format of time may hold commas: it ends before the first name of a host (8b).
    places = range(1, len(fields) - 2)
    at = 1 if known else next((i for i in places if _SERVER_NAME.fullmatch(fields[i])), 1)
    time, server = ",".join(fields[:at]), fields[at]
    return time, server, ",".join(fields[at + 1 : -1]), fields[-1]


def _contradicts(row: Row) -> bool:
    if row.operation not in ("CONNECT", "FAILED_CONNECT"):
        return False
    return (int(row.status) == 0) != (row.operation == "CONNECT")
