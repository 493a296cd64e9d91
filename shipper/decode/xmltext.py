r"""What stands between the quotes or tags of XML records, as the servers write it.

    SQLTEXT="SELECT &quot;x&quot;&#10; FROM t WHERE a &lt; 5"

References are the five names and `&#N;`. Percona 8.0 and the filter also write `&#8;`, which no
XML 1.0 parser takes (formats.md 1.4, 2.5); here it is the character it says. A reference to nothing
(`&#0;`, a surrogate, an unknown name) stays the text it is, so nothing is lost and nothing expands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.parsers.expat import ExpatError

from shipper.decode.xmltree import parse
from shipper.errors import MalformedError

_REFERENCE: Final = re.compile(
    "&(?:#0*+([0-9]{1,7}+)|#x0*+([0-9A-Fa-f]{1,6}+)|(lt|gt|amp|quot|apos));"
)
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}
# Legal in XML, in no ordinary text, and one byte in ASCII, so it does not widen what it joins.
_SEPARATOR: Final = "\x7f"


def unescape(text: str) -> str:
    """Replace every reference that names a character, once."""
    if "&" not in text:
        return text
    plain = text.replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">")
    if "&" not in plain:
        return plain
    done = plain.replace("&amp;", "&")
    if len(plain) - len(done) == 4 * done.count("&"):  # "&" stood only in "&amp;"
        return done
    return _REFERENCE.sub(_character, text)


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(hexadecimal, 16)
    return match[0] if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF else chr(code)


def unescape_column(values: Sequence[str], *, line_feeds: bool = True) -> list[str]:
    """Decode and unescape the same field of many records; `values` show their bytes as Latin-1.

    One parser run over all of them costs half of what replacing costs. They hold no `<`, so there
    is nothing but text to parse. Raises UnicodeDecodeError, and MalformedError for markup, and for
    line feeds where there should be none.
    """
    joined = _SEPARATOR.join(values)
    if "<" in joined or ">" in joined:
        raise MalformedError("a value holds markup")
    if not line_feeds and "\n" in joined:
        raise MalformedError("a value holds a line feed")
    if "&" not in joined and joined.isascii():
        return list(values)
    if "\r" not in joined:  # a parser would turn it into a line feed
        try:
            texts = parse(f"<_>{joined}</_>".encode("latin-1")).text.split(_SEPARATOR)
        except (ExpatError, UnicodeDecodeError):
            texts = []  # a reference or a byte that is not XML
        if len(texts) == len(values):
            return texts
    return [unescape(value.encode("latin-1").decode()) for value in values]
