"""Where records go. One file a sink; SINKS is the one table of them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from shipper.errors import UsageError
from shipper.sink import counters, jsonl, opensearch, sqlite
from shipper.sink.base import (
    Batch,
    Receipt,
    Refusal,
    RememberingSink,
    Sink,
    SinkSettings,
    Surroundings,
)


class Kind(NamedTuple):
    """One kind of sink: what it can be told, and how it is made."""

    settings: type[SinkSettings]
    make: Any  # (settings, Surroundings) -> Sink


# `type:` in the configuration -> the sink.
SINKS: Final[dict[str, Kind]] = {
    "metrics": Kind(counters.Settings, counters.AuditCounters),
    "sqlite": Kind(sqlite.Settings, sqlite.SqliteStore),
    "jsonl": Kind(jsonl.Settings, jsonl.JsonLines),
    "opensearch": Kind(opensearch.Settings, opensearch.OpenSearchSink),
}
# Those that `ship --to KIND:PATH` and `report --store KIND:PATH` can open without a configuration.
_BY_PATH: Final = ("sqlite", "jsonl")


def make_sink(settings: SinkSettings, surroundings: Surroundings | None = None) -> Sink:
    """Make the sink that `settings` belong to; connects to nothing yet."""
    kind = next(kind for kind in SINKS.values() if kind.settings is type(settings))
    sink: Sink = kind.make(settings, surroundings or Surroundings())
    return sink


def open_sink(target: str) -> RememberingSink:
    """Open `KIND:PATH`, ready for delivery.

    Raises UsageError for an unknown kind, UnavailableError or MisconfiguredError where it cannot
    be opened.
    """
    kind, colon, path = target.partition(":")
    if kind not in _BY_PATH or not colon or not path:
        known = " or ".join(f"{kind}:PATH" for kind in _BY_PATH)
        raise UsageError(f"cannot ship to {target!r}: write {known}")
    settings: Any = SINKS[kind].settings
    sink: RememberingSink = SINKS[kind].make(settings(path=path), Surroundings())
    sink.prepare()
    return sink


__all__ = [
    "SINKS",
    "Batch",
    "Kind",
    "Receipt",
    "Refusal",
    "RememberingSink",
    "Sink",
    "SinkSettings",
    "Surroundings",
    "make_sink",
    "open_sink",
]
