"""Where records go. One file a sink; SINKS is the one table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shipper.errors import UsageError
from shipper.sink.base import Batch, Sink
from shipper.sink.jsonl import JsonLines
from shipper.sink.sqlite import SqliteStore

SINKS: Final[dict[str, Callable[[str], Sink]]] = {
    "sqlite": SqliteStore,
    "jsonl": JsonLines,
}


def open_sink(target: str) -> Sink:
    """Open `KIND:PATH`. Raises UsageError for an unknown kind, StoreError where it cannot open."""
    kind, colon, path = target.partition(":")
    if kind not in SINKS or not colon or not path:
        known = " or ".join(f"{kind}:PATH" for kind in SINKS)
        raise UsageError(f"cannot ship to {target!r}: write {known}")
    return SINKS[kind](path)


__all__ = ["SINKS", "Batch", "Sink", "SqliteStore", "open_sink"]
