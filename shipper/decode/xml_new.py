r"""NEW XML of Percona's plugins and of MySQL Enterprise: one element a line.

    <AUDIT_RECORD>\n  <NAME>Query</NAME>\n  <RECORD>4_2021-06-30T16:07:41</RECORD>\n  …

Empty elements may close themselves; CONNECTION_ATTRIBUTES and MAP hold elements, with a NAME of
their own (formats.md 1.2, 2.4, 3.2, 8b). Values hold no raw `<`, so the first closing tag ends the
record; STARTUP_OPTIONS of audit_log alone is not escaped (1.2).
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Final

from shipper.decode import base, rows
from shipper.decode.base import MORE, Context, Data, Decoded
from shipper.decode.xmlblock import BlockReader
from shipper.decode.xmllayout import Syntax
from shipper.decode.xmlrecord import record_of, startup_fields, with_line_feed
from shipper.decode.xmltree import load_escaped
from shipper.errors import MalformedError
from shipper.model import AuditRecord

_BEGIN: Final = "<AUDIT_RECORD>"
_END: Final = b"</AUDIT_RECORD>"
_ELEMENT: Final = re.compile(r"(\s*+<([A-Z][A-Z0-9_]*+)(?:\s*+/>|>([^<]*+)</\2>))", re.ASCII)

# The order of these fields is fixed: it holds the record together around the unescaped options.
_STARTUP: Final = re.compile(
    r"<AUDIT_RECORD>\s*+<NAME>((?:No)?Audit)</NAME>\s*+<RECORD>([^<]*+)</RECORD>\s*+"
    r"<TIMESTAMP>([^<]*+)</TIMESTAMP>\s*+<MYSQL_VERSION>([^<]*+)</MYSQL_VERSION>\s*+"
    r"<STARTUP_OPTIONS>(.*)</STARTUP_OPTIONS>\s*+<OS_VERSION>([^<]*+)</OS_VERSION>\s*+"
    r"</AUDIT_RECORD>\s*+",
    re.DOTALL | re.ASCII,
)
_START: Final = r"<AUDIT_RECORD>[ \t\r\n]{0,64}+<[A-Z]"
# Servers that write no line feed raw (1.4, 2.5): those of Percona. Enterprise's may. So may nobody
# where the record does not yet say whose it is: no client chooses anything there.
_ESCAPING: Final = re.compile(
    rb"<AUDIT_RECORD>[ \t\r\n]{0,64}+<(?:NAME>|[A-Z_]{1,32}+\r?\n|"
    rb"TIMESTAMP>[0-9T:.-]{0,32}+(?:(?:<[A-Z/]{0,32}+)?\r?\n|"
    rb"</TIMESTAMP>[ \t\r\n]{0,64}+(?:[0-9]|<(?:[0-9]|RECORD_ID>|[A-Z_]{0,32}+\r?\n))))"
)


def elements(text: str) -> dict[str, str] | None:
    """Read a run of elements that hold text only; None if there is anything else."""
    found = _ELEMENT.findall(text)
    if len("".join([whole for whole, _, _ in found])) != len(text):
        return None
    return {name.lower(): value for _, name, value in found}


_SYNTAX: Final = Syntax(
    name="new",
    fields=elements,
    begin=_BEGIN,
    field="<{name}>{value}</{name}>",
    field_or_empty="<{name}(?:>{value}</{name}>|/>)",
    empty="<{name}/>",
    text="[^<]*+",
    run=r"(?:\n(?! *+<(?:SQLTEXT>|/)).*+)*+",
    rest="",
    rest_percona=r"(?:\n  .*+)++",
    end=r"\n *+</AUDIT_RECORD>\n",
    other=rf"{_START}(?:[^<]++|<(?!/?AUDIT|\?xml))*</AUDIT_RECORD>\n?",
)


class XmlNew:
    """Reader of records in elements."""

    name: ClassVar[str] = "xml-new"
    start: ClassVar[bytes] = _START.encode()
    # In mid-line it may be text that somebody sent: JSON leaves `<` as it is.
    found_by: ClassVar[bytes] = (
        rb"(?<=\n)" + start + rb"|<AUDIT_RECORD>[ \t\r]{0,64}+\n\s{0,64}<[A-Z]"
    )
    interrupted_by: ClassVar[bytes] = base.XML_STARTS + b"|" + base.QUOTED_STARTS

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock and what the block reader remembers."""
        self._clock = context.clock
        self._block = BlockReader(self, _SYNTAX, context.clock)
        self._rows = rows.RowsInside(context, self.interrupted_by)

    def cut(self, data: Data, start: int, stop: int) -> int:
        """Cut after the last closing tag at the end of a line."""
        border = data.rfind(b"</AUDIT_RECORD>\n", start, stop)
        return start if border < 0 else border + len(_END) + 1

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of records with one regular expression."""
        if b'"' in block:
            return None  # a quote is always escaped: it may be the start of another record
        return self._block.read(block, offset)

    def end(self, data: Data, start: int, final: bool) -> int:  # noqa: FBT001 hot call
        """Find the first closing tag."""
        found = data.find(_END, start)
        end = found + len(_END) if found >= 0 else MORE
        if _ESCAPING.match(data, start):
            end = self._rows.end(data, start, end, final)
        return end if end <= MORE else with_line_feed(data, end, final)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read the elements of one record in any order and layout."""
        text = raw.decode("utf-8", "backslashreplace")
        startup = _STARTUP.fullmatch(text)
        if startup is not None:
            return record_of(startup_fields(startup), "new", self._clock)
        inner = text.strip().removeprefix(_BEGIN).removesuffix(_END.decode()).rstrip()
        return record_of(elements(inner) or _parsed(text), "new", self._clock)


def _parsed(text: str) -> dict[str, Any]:
    node = load_escaped(text)
    if node.name != "audit_record":
        raise MalformedError("not an AUDIT_RECORD")
    return {child.name: child.value() for child in node.children}
