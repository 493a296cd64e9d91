r"""The record inside syslog lines: which lines are its own, and what the daemon did to it.

    <14>Feb 12 07:18:30 host percona-audit: <AUDIT_RECORD#012  NAME="Query"#012  …#012/>

Facts: formats.md 1.4, 1.10, 2.6, 4.2, 4.3. rsyslog writes a control character as `#` and three
octal digits; other daemons keep line feeds, or begin a line with its own header after each.

Nothing tells such an escape from the same text in a statement, so it is undone where the server
itself would have written the character raw: in the layout of XML and JSON, and in the values of
CSV and MariaDB. In the values of XML and JSON the servers escape them, all but DEL; `#012` there
is the user's text. (So is `#011` for the oldest servers, which write a tab raw: formats.md 1.4.)
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from typing import Final, NamedTuple

from shipper.decode import mariadb_row, syslog_header
from shipper.decode.base import LOOKAHEAD, Data
from shipper.model import AuditRecord

# A word of the operator's choice (server_audit_syslog_info), or the tag of Percona's filter.
_INFO: Final = r'(?P<info> {0,2}(?:[^\s,{<"]{1,64} ){0,4}?)'
# A MariaDB row as it goes to syslog: without its time (4.3).
_UNTIMED: Final = (
    rf"{mariadb_row.SERVER},[^\n]{{0,1500}}?,[^,\n]{{0,255}}+,"
    rf"{mariadb_row.INTEGER},{mariadb_row.INTEGER},(?:{'|'.join(mariadb_row.OPERATIONS)}),"
)


def _lenient(start: bytes) -> str:
    """Let the blanks in the start of a record be escaped, and the first end a syslog line."""
    blank = r"(?:\s|#01[0-5])"
    pattern = start.decode().replace(r"[ \t\r\n]", r"\s").replace("{0,99}", "{0,19}")
    head, found, rest = pattern.partition(r"\s")
    if not found:
        return pattern
    rest = rest.replace(r"\s", blank)
    return rf"{head}(?:\n{syslog_header.HEADER})?{blank}{rest}"


def start_pattern(starts: Iterable[bytes]) -> bytes:
    """Give the pattern of a line that begins a record, by the starts of the records."""
    inner = "|".join([*map(_lenient, starts), mariadb_row.KNOWN_START, _UNTIMED])
    return rf"{syslog_header.NAMED}{_INFO}(?={inner})".encode()


class Message(NamedTuple):
    """What the lines of one record say without their headers."""

    text: bytes
    ends: list[int]  # of the lines, in the data
    offsets: list[int]  # of the same ends, in the text
    closed: bool  # no line that follows can belong to it

    def end_of(self, offset: int) -> int:
        """Give the end in the data of the line that ends at or holds `offset` in the text."""
        return self.ends[bisect_left(self.offsets, offset)]


def gather(
    data: Data, first: re.Match[bytes], starts: re.Pattern[bytes], most: int, *, final: bool
) -> Message:
    """Give the whole lines, at most `most`, of the record whose header is `first`."""
    at, closed = first.end(), False
    texts: list[bytes] = []
    ends: list[int] = []
    while len(ends) < most:
        line_feed = data.find(b"\n", at)
        if line_feed < 0 and (not final or at == len(data)):
            closed = final
            break
        end = line_feed + 1 or len(data)
        line = bytes(data[at : line_feed if line_feed >= 0 else end])
        if ends:
            header = _NAMED.match(data, at)
            if header and (starts.match(data, at) or _ident(header) != _ident(first)):
                closed = True
                break
            if header and not final and len(data) - at < LOOKAHEAD:
                break  # the record that this line may begin is not to be seen yet
            line = line[header.end() - at :] if header else line
        else:
            line = undo_layout(timed(line))
        texts.append(line + b"\n")
        ends.append(end)
        at = end
    return Message(b"".join(texts), ends, list(accumulate(map(len, texts))), closed)


def _ident(header: re.Match[bytes]) -> bytes | None:
    return header["ident"] or header["ident_"]


_NAMED: Final = re.compile(syslog_header.NAMED.encode())
_IS_UNTIMED: Final = re.compile(_UNTIMED.encode())
_IS_KNOWN: Final = re.compile(mariadb_row.KNOWN_START.encode())
# It makes a row of MariaDB whole; the header's time replaces it.
_CLOCK: Final = b"19700101 00:00:00,"

# Values stay, layout is undone.
_JSON: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|((?:#01[0-5])++)', re.DOTALL)
_OLD: Final = re.compile(rb'"[^"]*+"|((?:#01[0-5])++)')
_NEW: Final = re.compile(rb"<(?P<name>[A-Z_]++)>[^<]*+</(?P=name)>|(?P<layout>(?:#01[0-5])++)")
_LAYOUTS: Final = ((b"<AUDIT_RECORD>", _NEW), (b"<AUDIT_RECORD", _OLD), (b"{", _JSON))
_ESCAPE: Final = re.compile(rb"#(01[0-5])")


def is_untimed(text: bytes) -> bool:
    """Say whether this is a MariaDB row without its time."""
    return _IS_UNTIMED.match(text) is not None and _IS_KNOWN.match(text) is None


def timed(text: bytes) -> bytes:
    """Give a MariaDB row without time some time; anything else as it is."""
    return _CLOCK + text if is_untimed(text) else text


def undo_layout(line: bytes) -> bytes:
    """Undo the daemon's escapes outside the values of a record on one line."""
    if b"#01" not in line:
        return line
    pattern = next((pattern for head, pattern in _LAYOUTS if line.startswith(head)), None)
    return line if pattern is None else pattern.sub(_undone, line)


def _undone(match: re.Match[bytes]) -> bytes:
    if match[match.re.groups] is None:
        return match[0]
    return _ESCAPE.sub(lambda escape: bytes([int(escape[1], 8)]), match[0])


_CONTROL: Final = re.compile("#(0[0-3][0-7]|177)")
_TEXTS: Final = ("sqltext", "user", "priv_user", "os_login", "proxy_user", "host", "ip", "db")


def undo_values(record: AuditRecord, *, raw: bool) -> None:
    """Undo the daemon's escapes in the values; `raw`: of a format that escapes no controls."""
    for name in _TEXTS:
        text = getattr(record, name)
        if text and "#" in text:
            text = _CONTROL.sub(_control, text) if raw else text.replace("#177", "\x7f")
            setattr(record, name, text)


def _control(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))
