"""Where a JSON object ends in a stream of bytes, and what proves that it was cut.

An object ends at the brace that closes its first one, strings skipped. It is cut where a record
start with an unescaped quote stands inside it: in a string the quote would be escaped. The same
bytes are genuine below a key whose members clients choose, such as the map of a message
(`"map": { "timestamp": "2024-09-03 01:53:33", "id": 1 …`): there they prove nothing.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from shipper.decode import base
from shipper.decode.base import LOOKAHEAD, MORE, Context, Data

# Over some strings, up to the next brace outside of them, and the brace; nothing of a string that
# has no end yet. Some: the pattern keeps a place to go back to for each. It has to, because a
# possessive group that fails in its middle does not go back, in Python before 3.11.5 (gh-106052).
_TO_BRACE: Final = re.compile(rb'[^"{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"{}]*+){0,64}([{}])?+', re.DOTALL)
_IN_STRING: Final = re.compile(rb'(?:[^"\\]++|\\.)*+("?+)', re.DOTALL)
_WINDOW_BYTES: Final = 1024  # a usual record with room to spare

# Keys of objects whose members a client chooses, in any of the formats.
_CHOSEN: Final = (
    *(b"connection_attributes", b"connect_attrs", b"query_attributes"),
    *(b"map", b"message_attributes"),
)


def unnested(*starts: bytes, below: tuple[bytes, ...] = ()) -> bytes:
    r"""Regular expression of `starts`, each beginning with `\{`, that no client can have written.

    `below` names more keys whose objects may begin like that.
    """
    # The brace comes first, so that the search may look for it before it tries anything else.
    outside = b"".join(rb'(?<!"%b":\{)(?<!"%b": \{)' % (key, key) for key in (*_CHOSEN, *below))
    rest = b"|".join(start.removeprefix(rb"\{") for start in starts)
    return rb"\{%b(?:%b)" % (outside, rest)


# What proves a cut wherever it stands: no object, so never a nested one.
_PLAIN_STARTS: Final = b"|".join((base.XML_HEADER, base.OLD_START, base.CSV_START))


def interrupts(*starts: bytes, below: tuple[bytes, ...] = ()) -> bytes:
    """`Format.interrupted_by` of an object: `starts` as in `unnested`, and what is no object."""
    return unnested(*starts, below=below) + b"|" + _PLAIN_STARTS


class _Place(NamedTuple):
    """How far an object was searched for its end."""

    at: int  # from the object's start on
    depth: int
    inside: bool  # a string


_START: Final = _Place(0, 0, inside=False)


class ObjectEnd:
    """Finds the end of an object; asked again for the same one with more bytes, it goes on.

    So an object that arrives in many pieces is read once and not once a piece.
    """

    def __init__(self, context: Context, interrupted_by: bytes) -> None:
        """Know nothing yet but what proves that an object was cut."""
        self._context = context
        self._interrupt = re.compile(interrupted_by)
        self._item = -1  # that `_place` belongs to
        self._place = _START

    def find(self, data: Data, start: int) -> int:
        """Give the index behind the object that begins at `start`, or MORE."""
        known = self._item == self._context.item and start + self._place.at <= len(data)
        place = self._place if known else _START
        self._item = -1
        checked = start + 1
        # In growing windows: a cut object is one without an end, and looking for that in all that
        # is held, for each of many, would not be linear.
        while True:
            stop = min(start + 2 * place.at + _WINDOW_BYTES, len(data))
            place = _scan(data, start, stop, place)
            if not place.depth:
                return start + place.at
            if stop == len(data):
                self._item, self._place = self._context.item, place
                return MORE
            if self._interrupt.search(data, checked, stop):
                return MORE  # the decoder will find the place
            checked = max(stop - LOOKAHEAD, checked)


def _scan(data: Data, start: int, stop: int, place: _Place) -> _Place:
    """Go on to the end of the object, where the depth is 0, or to `stop`."""
    at, depth, inside = start + place.at, place.depth, place.inside
    while True:
        match = (_IN_STRING if inside else _TO_BRACE).match(data, at, stop)
        if match is None:
            break
        at = match.end()
        token = match[1]
        if token == b"{":
            depth += 1
        elif token == b"}":
            depth -= 1
            if not depth:
                break
        elif token == b'"':
            inside = False
        elif inside or at == stop:
            break  # in a string, or in the first half of an escape
        elif match.start() == at:
            at += 1  # the quote of a string that has no end yet
            inside = True
    return _Place(at - start, depth, inside)
