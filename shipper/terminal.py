r"""Make text from a log safe to print on a terminal, and possible to store.

    printable("bob\x1b[2J") -> r"bob\x1b[2J"

User names, hosts and SQL are chosen by attackers. Printed as they are they could move the cursor,
clear the screen, set the window's title, or show another name than the one that was used. So every
character that cannot be seen as itself is written as an escape. The result is for reading, not
for reading back: a backslash of the text stays one backslash.
"""

from __future__ import annotations

import unicodedata
from typing import Final

# MySQL cuts user names at 32 characters and MariaDB at 128; one line of a wide terminal for hosts,
# databases and messages.
LIMIT: Final = 160

# Characters without a picture that Python nevertheless calls printable: fillers, the braille blank
# and whatever else Unicode tells renderers to ignore (Default_Ignorable_Code_Point).
_INVISIBLE: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xE0100, 0xE01F0)))
)

# Marks drawn over the character before them. No language piles up more; a higher pile paints over
# the lines around it.
_MARKS_MAX: Final = 4


def printable(text: str, limit: int = LIMIT) -> str:
    r"""Write `text` with every unsafe character as an escape: \n, \x1b, \u202e.

    What does not fit into `limit` characters is cut: "abc…(+9997)" tells how many characters of
    `text` are not shown. The work depends on `limit`, not on the length of the text.
    """
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    shown = []
    room = limit
    marks = 0
    for character in text[: limit + 1]:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        piece = _escape(character) if marks > _MARKS_MAX or _unsafe(character) else character
        room -= len(piece)
        if room < 0:
            break
        shown.append(piece)
    left_out = len(text) - len(shown)
    return "".join(shown) + (f"…(+{left_out})" if left_out else "")


def encodable(text: str, encoding: str) -> str:
    """Replace what a terminal with this encoding cannot show, rather than fail while printing."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("…", "...").encode(encoding, "backslashreplace").decode(encoding)
    return text


def storable(text: str) -> str:
    """Write lone surrogates, which a file's name or a log may hold, as escapes: UTF-8 has none."""
    return text.encode("utf-8", "backslashreplace").decode()


def safe_json(document: bytes) -> bytes:
    """Escape what JSON allows raw but a terminal may obey or draw over: C1 controls, marks.

    The result is the same JSON. Only for terminals: for files and pipes, text stays as it is.
    """
    text = document.decode()
    if text.isascii() and "\x7f" not in text:
        return document
    return "".join(
        character if character == "\n" or not _unsafe(character) else _json_escape(character)
        for character in text
    ).encode()


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _unsafe(character: str) -> bool:
    # Not printable: controls, format characters (bidirectional marks, zero-width), separators other
    # than the blank, surrogates, private use and unassigned.
    return not character.isprintable() or character in _INVISIBLE


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
