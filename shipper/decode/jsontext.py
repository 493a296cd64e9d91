r"""JSON as the servers really write it: strict where it can be, repaired where it must be.

Two deviations are known (formats.md 1.4, 2.5): raw control characters inside strings, and bytes
that are not UTF-8 because the statement was in another character set. Both are repaired without
losing the record: a bad byte 0xE9 becomes the text \xe9; the engine keeps the exact bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from shipper.errors import MalformedError

_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def load_object(text: bytes) -> dict[str, Any]:
    """Read one JSON object, keys in order, the last of a repeated key wins.

    Raises MalformedError with the place of the first fault.
    """
    try:
        return _decoder.decode(text)
    except RecursionError as error:
        raise MalformedError("nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        repaired = _repair(text)
        if repaired == text:
            raise MalformedError(f"not valid JSON: {error}") from error
    try:
        return _decoder.decode(repaired)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"not valid JSON: {error}") from error


def load_pairs(text: bytes) -> list[tuple[str, Any]]:
    """Read one JSON object as its members in order, a repeated key as often as it occurs.

    Raises MalformedError.
    """
    load_object(text)  # the stricter parser: no NaN, no half of a surrogate pair
    objects: list[list[tuple[str, Any]]] = []

    def remember(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        objects.append(pairs)
        return dict(pairs)

    try:
        json.loads(_repair(text), object_pairs_hook=remember)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not valid JSON: {error}") from error
    return objects[-1]  # the outermost object ends last


def _repair(text: bytes) -> bytes:
    """Escape raw control characters inside strings, and bytes that are not UTF-8."""
    if _CONTROL.search(text):
        text = _STRING.sub(lambda match: _escape_controls(match[0]), text)
    try:
        text.decode()
    except UnicodeDecodeError:
        # In JSON the backslash of \xe9 must itself be escaped.
        loose = text.decode("utf-8", "surrogateescape")
        text = _BAD_BYTE.sub(lambda match: f"\\\\x{ord(match[0]) - 0xDC00:02x}", loose).encode()
    return text


_STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_CONTROL: Final = re.compile(rb"[\x00-\x1f]")
_BAD_BYTE: Final = re.compile("[\udc80-\udcff]")


def _escape_controls(string: bytes) -> bytes:
    return _CONTROL.sub(lambda match: b"\\u%04X" % match[0][0], string)
