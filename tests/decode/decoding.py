"""Helpers of the decoder tests: decode bytes, whole or in pieces, to comparable items."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shipper.decode import FORMATS, Decoder, Options
from shipper.document.flat import flat


def decode(data: bytes, *, options: Options | None = None, start: int = 0) -> list[dict[str, Any]]:
    """Every item of `data` as its flat document, from one call of feed and finish."""
    return decode_pieces([data], options=options, start=start)


def decode_pieces(
    pieces: Iterable[bytes], *, options: Options | None = None, start: int = 0
) -> list[dict[str, Any]]:
    """The same, fed piece by piece."""
    decoder = Decoder(FORMATS, start=start, options=options)
    blocks = [decoder.feed(piece) for piece in pieces]
    blocks.append(decoder.finish())
    return [flat(item, span) for block in blocks for span, item in block.items()]


def without_spans(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in item.items() if key != "span"} for item in items]
