"""Where a JSON object ends in a stream of bytes, and what proves that it was cut.

An object ends at the brace that closes its first one, strings skipped. It is cut where a record
start with an unescaped quote stands inside it: in a string the quote would be escaped. As a nested
object the same bytes may be genuine, because clients choose the keys of connection attributes and
of messages (`"map": { "timestamp": "2024-09-03 01:53:33", "id": 1 …`): so what follows a key is no
proof, unless the server alone chooses what stands below that key.
"""

from __future__ import annotations

import re
from typing import Final

from shipper.decode import base
from shipper.decode.base import LOOKAHEAD, MORE

_OPEN, _CLOSE, _QUOTE = b'{}"'
_TO_BRACE: Final = re.compile(rb'[^"{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}]*+)*+', re.DOTALL)
_IN_STRING: Final = re.compile(rb"(?:[^\"\\]++|\\.)*+", re.DOTALL)


def unnested(*starts: bytes, below: tuple[bytes, ...] = ()) -> bytes:
    r"""Regular expression of `starts`, each beginning with `\{`, that are not a key's value.

    `below` names keys whose objects have no keys of the client's choice.
    """
    # The brace comes first, so that the search may look for it before it tries anything else.
    known = b"".join(rb'|(?<=%b":\{)|(?<=%b": \{)' % (key, key) for key in below)
    rest = b"|".join(start.removeprefix(rb"\{") for start in starts)
    return rb'\{(?:(?<!":\{)(?<!": \{)%b)(?:%b)' % (known, rest)


# What proves a cut wherever it stands: no object, so never a nested one.
PLAIN_STARTS: Final = b"|".join((base.XML_HEADER, base.OLD_START, base.CSV_START))


class ObjectEnd:
    """Finds the end of an object; asked again for the same one with more bytes, it goes on.

    What it keeps is a memo of a pure function of the bytes: where it stopped within a prefix.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._forget()

    def find(self, data: bytes, start: int) -> int:
        """Give the index behind the object that begins at `start`, or MORE."""
        at, depth, inside = self._stopped if self._known(data, start) else (0, 0, False)
        at += start
        while True:
            at = _end(_IN_STRING if inside else _TO_BRACE, data, at)
            # Behind a string's content there may also be the first half of an escape.
            if at == len(data) or (inside and data[at] != _QUOTE):
                self._remember(data, start, (at - start, depth, inside))
                return MORE
            byte = data[at]
            at += 1
            if byte == _QUOTE:
                inside = not inside
            else:
                depth += 1 if byte == _OPEN else -1
                if not depth:
                    self._forget()
                    return at

    def _known(self, data: bytes, start: int) -> bool:
        return bool(self._prefix) and data.startswith(self._prefix, start)

    def _remember(self, data: bytes, start: int, stopped: tuple[int, int, bool]) -> None:
        # Below a few KiB, looking again is cheaper than keeping the bytes.
        self._prefix = data[start:] if len(data) - start > LOOKAHEAD else b""
        self._stopped = stopped

    def _forget(self) -> None:
        self._prefix = b""
        self._stopped = (0, 0, False)


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return match.end() if match else at
