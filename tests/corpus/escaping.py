"""What each generation of each server does to the text of a value (formats.md 1.4, 2.5, 3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

_NAMED: Final = {'"': "&quot;", "<": "&lt;", ">": "&gt;", "&": "&amp;"}
_BLANKS: Final = {"\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
_CONTROLS: Final = [chr(code) for code in range(1, 32)]
_SHORT: Final = {"\b": r"\b", "\t": r"\t", "\n": r"\n", "\f": r"\f", "\r": r"\r"}
_JSON: Final = {'"': r"\"", "\\": r"\\"}
_UPPER: Final = {c: f"\\u{ord(c):04X}" for c in _CONTROLS if c not in _SHORT}


class Escaping(NamedTuple):
    """A table of replacements, and what of a text reaches the log at all."""

    table: Mapping[int, str]
    removed: str = ""
    cut_after: str = ""  # the value ends behind the first of these
    nul_ends: bool = True  # Percona's first plugin; the others write `?`

    def carried(self, text: str) -> str:
        """Give the part of `text` that a right reader gets back."""
        text = text.partition("\0")[0] if self.nul_ends else text.replace("\0", "?")
        if self.cut_after and (first := re.search(f"[{self.cut_after}]", text)):
            text = text[: first.end()]
        for char in self.removed:
            text = text.replace(char, "")
        return text

    def write(self, text: str) -> str:
        """Escape what is carried of `text`."""
        return self.carried(text).translate(self.table)


_XML_80: Final = {**_NAMED, **{c: f"&#{ord(c)};" for c in _CONTROLS}}
# Only characters that XML cannot hold become references (3.2), so blanks stay as they are.
_XML_ENTERPRISE: Final = {char: text for char, text in _XML_80.items() if char not in _BLANKS}
_JSON_80: Final = {**_JSON, **_SHORT, "/": r"\/", **_UPPER}

_map = str.maketrans
XML_A: Final = Escaping(_map({**_NAMED, "\n": "&#10;", "\r": "&#13;"}))
XML_B: Final = Escaping(_map({**_NAMED, **_BLANKS}), cut_after="\t\n\r")
XML_C: Final = Escaping(_map({**_NAMED, **_BLANKS}), removed="\b\f")
XML_80: Final = Escaping(_map(_XML_80))
XML_FILTER: Final = Escaping(_map(_XML_80), nul_ends=False)
XML_ENTERPRISE: Final = Escaping(_map(_XML_ENTERPRISE), nul_ends=False)
JSON_A: Final = Escaping(_map({**_JSON, "\n": r"\n", "\r": r"\r"}))
JSON_57: Final = Escaping(_map({**_JSON, **_SHORT, "/": r"\/"}))
JSON_80: Final = Escaping(_map(_JSON_80))
JSON_FILTER_80: Final = Escaping(_map(_JSON_80), nul_ends=False)
JSON_COMPONENT: Final = Escaping(_map({**_JSON, **_SHORT, **_UPPER}), nul_ends=False)
CSV: Final = Escaping(_map({'"': '""'}))


def long_user(user: str, priv_user: str, host: str, ip: str) -> str:
    """Write USER of general records (formats.md 1.6)."""
    return f"{priv_user}[{user}] @ {host} [{ip}]"


def who(
    escaping: Escaping, user: str, priv_user: str, host: str, ip: str
) -> tuple[str, dict[str, str]]:
    """Give USER of a general record, and what a reader makes of it after `escaping`."""
    text = long_user(user, priv_user, host, ip)
    carry = escaping.carried
    if carry(text) == long_user(carry(user), carry(priv_user), carry(host), carry(ip)):
        return text, {"user": carry(user), "priv_user": carry(priv_user)}
    return text, {"user": carry(text)}  # cut: what is left is no long form any more
