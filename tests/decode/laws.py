"""The laws of decoding as functions: each raises AssertionError where the decoder breaks it.

The property tests, the replay of regressions and the fuzz targets all check the same laws here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from shipper.decode import FORMATS, Decoder, Format, Options
from shipper.decode.engine import NOT_FORESEEN
from shipper.document.flat import flat

Items = list[dict[str, Any]]
Formats = Sequence[type[Format]]

# What may lie between items, from the description of the layouts (formats.md 1.1, 2.1, 3.2, 3.3,
# 4.6) and not from the engine: headers, footers, separators, blanks, padding, a byte order mark,
# the envelope of an Azure blob.
_BETWEEN = re.compile(
    rb"""(?: [ \t\n\r\x0b\x0c\x00]
         |   \xef\xbb\xbf
         |   <\?xml\ version="1\.0"\ encoding="(?:UTF|utf)-8"\?>
         |   <AUDIT> | </AUDIT>
         |   \[ | \] | ,
         |   \{\s*"records"\s*:\s*\[ | \]\}
         |   null(?=\s)
         )*""",
    re.VERBOSE,
)


def decode(
    data: bytes,
    options: Options | None = None,
    *,
    formats: Formats = FORMATS,
    start: int = 0,
    pieces: Iterable[bytes] | None = None,
) -> Items:
    """Every item of `data[start:]` as its flat document."""
    decoder = Decoder(formats, start=start, options=options)
    blocks = [decoder.feed(piece) for piece in ([data[start:]] if pieces is None else pieces)]
    blocks.append(decoder.finish())
    assert decoder.resume == blocks[-1].end
    return [flat(item, span) for block in blocks for span, item in block.items()]


@cache
def careful_only(formats: tuple[type[Format], ...]) -> tuple[type[Format], ...]:
    """The same formats without their fast paths."""

    def nothing(_self: object, _data: bytes, start: int, _stop: int) -> int:
        return start

    return tuple(type(format_.__name__, (format_,), {"cut": nothing}) for format_ in formats)


def check_account(data: bytes, items: Items, *, start: int = 0) -> None:
    """Spans are ordered, disjoint and inside; what is in none of them is framing."""
    at = start
    for item in items:
        first, end = item["span"]
        assert at <= first < end <= len(data), (at, item)
        assert _BETWEEN.fullmatch(data, at, first), ("unaccounted", data[at:first])
        at = end
    assert _BETWEEN.fullmatch(data, at), ("unaccounted", data[at:])


def check_total(data: bytes, items: Items, options: Options | None = None) -> None:
    """No more items than the bytes can hold, none larger than the limit, none unforeseen."""
    assert not [item for item in items if item.get("reason", "").startswith(NOT_FORESEEN)]
    most = (options or Options()).record_bytes_max
    assert len(items) <= len(data)
    for item in items:
        first, end = item["span"]
        assert "defect" not in item or len(item["reason"]) < 500
        assert "defect" in item or end - first <= most, item


def check_chunks(
    data: bytes,
    items: Items,
    cuts: Iterable[int],
    options: Options | None,
    formats: Formats = FORMATS,
) -> None:
    """Cut at `cuts`, the bytes give the same items."""
    places = sorted({0, len(data), *cuts})
    pieces = [data[first:end] for first, end in pairwise(places)]
    _same(decode(data, options, pieces=pieces, formats=formats), items)


def check_bytewise(data: bytes, items: Items, options: Options | None) -> None:
    """Byte by byte, the bytes give the same items; from each `resume` on, the rest of them."""
    decoder = Decoder(FORMATS, options=options)
    found: Items = []
    resumes = {0}
    for index in range(len(data)):
        block = decoder.feed(data[index : index + 1])
        assert block.end == decoder.resume <= index + 1
        found += [flat(item, span) for span, item in block.items()]
        resumes.add(decoder.resume)
    found += [flat(item, span) for span, item in decoder.finish().items()]
    _same(found, items)
    for offset in sorted(resumes)[:: max(1, len(resumes) // 8)]:
        check_resume(data, items, offset, options)


def check_resume(
    data: bytes,
    items: Items,
    offset: int,
    options: Options | None,
    formats: Formats = FORMATS,
) -> None:
    """A new decoder that starts at `offset` gives the items from there on."""
    rest = [item for item in items if item["span"][0] >= offset]
    _same(decode(data, options, start=offset, formats=formats), rest)


def check_resume_after(
    data: bytes, items: Items, cut: int, options: Options | None, formats: Formats = FORMATS
) -> None:
    """After any feed, `resume` is a place to go on from."""
    decoder = Decoder(formats, options=options)
    block = decoder.feed(data[:cut])
    assert block.start == 0
    assert block.end == decoder.resume
    _same([flat(i, s) for s, i in block.items()], items[: len(block.records) + len(block.defects)])
    check_resume(data, items, decoder.resume, options, formats)


def check_careful(
    data: bytes, items: Items, options: Options | None, formats: Formats = FORMATS
) -> None:
    """Without any fast path the items are the same, field for field."""
    _same(decode(data, options, formats=careful_only(tuple(formats))), items)


def check_all(
    data: bytes, cut: int, options: Options | None = None, formats: Formats = FORMATS
) -> Items:
    """Check every law, with one cut at `cut`; give the items."""
    items = decode(data, options, formats=formats)
    check_account(data, items)
    check_total(data, items, options)
    check_chunks(data, items, [cut], options, formats)
    check_resume_after(data, items, cut, options, formats)
    check_careful(data, items, options, formats)
    if items:
        check_resume(data, items, items[cut % len(items)]["span"][1], options, formats)
    return items


def _same(found: Items, expected: Items) -> None:
    for mine, theirs in zip(found, expected, strict=False):
        assert mine == theirs
    assert found[len(expected) :] == []
    assert expected[len(found) :] == []
