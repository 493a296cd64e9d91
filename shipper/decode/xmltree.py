"""Elements inside one record, through defusedxml: for what no pattern can read.

    <CONNECTION_ATTRIBUTES><ATTRIBUTE><NAME>_pid</NAME><VALUE>42794</VALUE></ATTRIBUTE>…

Connection attributes, MAP blocks, comments, CDATA, single quotes (formats.md 2.4, 3.2). One record
is one document, so a fault costs one record. There is no DTD in a record: none is taken, nothing
can be expanded, nothing outside is looked at.
"""

from __future__ import annotations

import re
from typing import Any, Final
from xml.parsers.expat import ExpatError

from defusedxml import DTDForbidden
from defusedxml.ElementTree import XMLParser

from shipper.errors import MalformedError

# CONNECTION_ATTRIBUTES/ATTRIBUTE/NAME and MAP/ELEMENT/KEY in a wrapper are five deep.
DEPTH_MAX: Final = 8


class Node:
    """An element: its name, attributes, text and children."""

    __slots__ = ("attributes", "children", "name", "parts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        """Make an element without content."""
        self.name = name.lower()
        self.attributes = attributes
        self.parts: list[str] = []
        self.children: list[Node] = []

    @property
    def text(self) -> str:
        """The text directly inside."""
        return "".join(self.parts)

    def value(self) -> Any:
        """Text; or a dict, of pairs like `<NAME>…</NAME><VALUE>…</VALUE>` or by tag."""
        if not self.children:
            return self.text
        pairs = [child.children for child in self.children]
        if all(len(pair) == 2 and not (pair[0].children or pair[1].children) for pair in pairs):
            return {name.text: value.text for name, value in pairs}
        return {child.name: child.value() for child in self.children}


class _Builder:
    """Target of the parser: builds the tree, with a limit to what nesting can cost."""

    def __init__(self) -> None:
        self.root = Node("", {})
        self._open = [self.root]

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > DEPTH_MAX:
            raise MalformedError("nested too deeply")
        node = Node(name, attributes)
        self._open[-1].children.append(node)
        self._open.append(node)

    def end(self, _name: str) -> None:
        self._open.pop()

    def data(self, text: str) -> None:
        self._open[-1].parts.append(text)


def parse(document: bytes) -> Node:
    """Parse one closed document. Raises ExpatError, UnicodeDecodeError, MalformedError."""
    builder = _Builder()
    parser = XMLParser(target=builder, forbid_dtd=True)  # entities and externals are by default
    try:
        # One final call on the hardened parser: `feed` would let expat copy everything first.
        parser.parser.Parse(document, True)  # noqa: FBT003 the C function takes no keywords
    except DTDForbidden as error:
        raise MalformedError("holds a document type declaration") from error
    return builder.root.children[0]


def load_escaped(text: str) -> Node:
    """Parse one record; in its values, references are left as they stand.

    References and control characters that XML 1.0 forbids are hidden from the parser behind
    private-use characters that the text does not hold.
    """
    text = _without_cdata(text)
    used = set(_PRIVATE.findall(text))
    free = (chr(code) for code in _PRIVATE_RANGE if chr(code) not in used)
    hidden = dict(zip(map(ord, _HIDDEN), free, strict=False))
    if len(hidden) < len(_HIDDEN):
        raise MalformedError("no private-use character is left to parse it with")
    try:
        node = parse(text.translate(hidden).encode())
    except (ExpatError, UnicodeError) as error:
        raise MalformedError(f"not well-formed: {error}") from error
    _restore(node, {ord(mark): chr(code) for code, mark in hidden.items()})
    return node


_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
_PRIVATE_RANGE: Final = range(0xE000, 0xF900)
_HIDDEN: Final = "&\ufffe\uffff" + "".join(map(chr, (*range(9), 11, 12, *range(14, 32))))


def _restore(node: Node, marks: dict[int, str]) -> None:
    node.parts = [node.text.translate(marks)]
    node.attributes = {key: value.translate(marks) for key, value in node.attributes.items()}
    for child in node.children:
        _restore(child, marks)


def _without_cdata(text: str) -> str:
    """Write CDATA sections as escaped text, so that one rule unescapes all."""
    head, *sections = text.split("<![CDATA[")
    parts = [head]
    for section in sections:
        content, _, rest = section.partition("]]>")
        parts.append(content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
        parts.append(rest)
    return "".join(parts)
