r"""OLD XML of Percona's plugins and of MySQL Enterprise: one attribute a line.

    <AUDIT_RECORD\n  NAME="Query"\n  RECORD="3_2021-06-30T11:56:53"\n  …\n  DB=""\n/>\n

Percona's audit_log ends a record with a line `/>`, the others with the last attribute; Enterprise
5.6 may write one line; an old manual quotes the names (formats.md 1.2, 2.4, 3.2, 8b). Values hold
no raw `<`, `>` or `"`, but for STARTUP_OPTIONS of audit_log, which is not escaped (1.2).
"""

from __future__ import annotations

import re
from typing import ClassVar, Final

from shipper.decode import base, rows
from shipper.decode.base import MORE, Context, Data, Decoded
from shipper.decode.xmlblock import BlockReader
from shipper.decode.xmllayout import Syntax
from shipper.decode.xmlrecord import record_of, startup_fields, with_line_feed
from shipper.decode.xmltree import load_escaped
from shipper.errors import MalformedError
from shipper.model import AuditRecord

# As base.OLD_START, but sure to decide within LOOKAHEAD.
_START: Final = r'<AUDIT_RECORD\s{1,64}+"?[A-Z_]{1,64}+"?="[0-9A-Za-z]'
_ATTRIBUTE: Final = re.compile(r'(\s++"?([A-Z][A-Z0-9_]*+)"?\s*+=\s*+"([^"<>]*+)")', re.ASCII)
_BEGIN: Final = "<AUDIT_RECORD"

# The order of these fields is fixed: it holds the record together around the unescaped options.
_SHORT: Final = '="([^"<>]{0,255}+)"'
_STARTUP_HEAD: Final = (
    rf'<AUDIT_RECORD\s{{1,64}}+"?NAME"?="((?:No)?Audit)"\s{{1,64}}+"?RECORD"?{_SHORT}'
    rf'\s{{1,64}}+"?TIMESTAMP"?{_SHORT}\s{{1,64}}+"?MYSQL_VERSION"?{_SHORT}'
    r'\s{1,64}+"?STARTUP_OPTIONS"?="'
)
_STARTUP_TAIL: Final = rf'OS_VERSION"?{_SHORT}\s{{0,64}}+/>'
_STARTUP: Final = re.compile(
    rf'{_STARTUP_HEAD}(.*)"\s++"?{_STARTUP_TAIL}\s*+', re.DOTALL | re.ASCII
)
_STARTUP_BEGIN: Final = re.compile(_STARTUP_HEAD.encode())
_STARTUP_END: Final = re.compile(_STARTUP_TAIL.encode())
# Servers that write no line feed raw (1.4, 2.5): those of Percona. Enterprise's may.
_ESCAPING: Final = re.compile(
    rb'<AUDIT_RECORD\s{1,64}+"?(?:NAME|TIMESTAMP"?="[0-9][0-9T:.-]*+"\s{1,64}+"?RECORD_ID)"?="'
)


def attributes(text: str) -> dict[str, str] | None:
    """Read a run of attributes, each with a blank before it; None if there is anything else."""
    found = _ATTRIBUTE.findall(text)
    if len("".join([whole for whole, _, _ in found])) != len(text):
        return None
    return {name.lower(): value for _, name, value in found}


_SYNTAX: Final = Syntax(
    name="old",
    fields=attributes,
    begin=_BEGIN,
    field='{name}="{value}"',
    field_or_empty='{name}="{value}"',
    empty="",
    text='[^"]*+',
    run="",
    rest="[^>]*+(?<=/)",
    rest_percona="",
    end=r">\n",
    other=rf"{_START}[^<>]*+>\n?",
)


class XmlOld:
    """Reader of records in attributes."""

    name: ClassVar[str] = "xml-old"
    start: ClassVar[bytes] = _START.encode()
    interrupted_by: ClassVar[bytes] = base.XML_STARTS + b"|" + base.QUOTED_STARTS

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock and what the block reader remembers."""
        self._clock = context.clock
        self._block = BlockReader(self, _SYNTAX, context.clock)
        self._rows = rows.RowsInside(context, self.interrupted_by)

    def cut(self, data: Data, start: int, stop: int) -> int:
        """Cut after the last `/>` at the end of a line: no value holds a raw `>`."""
        border = data.rfind(b"/>\n", start, stop)
        return start if border < 0 else border + len(b"/>\n")

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of records with one regular expression."""
        return self._block.read(block, offset)

    def end(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 hot call
        """Find the first `/>`; of a record with unescaped options, the one after OS_VERSION."""
        if _STARTUP_BEGIN.match(data, start):
            match = _STARTUP_END.search(data, start)
            end = match.end() if match else MORE
        else:
            found = data.find(b"/>", start)
            end = found + 2 if found >= 0 else MORE
        if _ESCAPING.match(data, start):
            end = self._rows.end(data, start, end, final)
        return end if end <= MORE else with_line_feed(data, end, final)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read the attributes of one record in any order and layout."""
        text = raw.decode("utf-8", "backslashreplace")
        startup = _STARTUP.fullmatch(text)
        if startup is not None:
            return record_of(startup_fields(startup), "old", self._clock)
        inner = text.strip().removeprefix(_BEGIN).removesuffix("/>").rstrip()
        return record_of(attributes(inner) or _parsed(text), "old", self._clock)


def _parsed(text: str) -> dict[str, str]:
    node = load_escaped(text)
    if node.name != "audit_record":
        raise MalformedError("not an AUDIT_RECORD")
    return {name.lower(): value for name, value in node.attributes.items()}
