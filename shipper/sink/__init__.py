"""Where records go. One file a sink; SINKS is the one table of them.

A sink's module is loaded when a configuration names it: the client libraries of sinks that are not
used would cost a sidecar more memory than everything else together.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final, NamedTuple

from shipper.errors import UsageError
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
    """One kind of sink: the module that has its `Settings`, and the class that they make."""

    module: str
    name: str

    @property
    def settings(self) -> type[SinkSettings]:
        """Give what it can be told."""
        settings: type[SinkSettings] = import_module(self.module).Settings
        return settings

    def make(self, settings: SinkSettings, surroundings: Surroundings) -> Sink:
        """Make a sink; it connects to nothing yet."""
        made: Any = getattr(import_module(self.module), self.name)
        sink: Sink = made(settings, surroundings)
        return sink


# `type:` in the configuration -> the sink.
SINKS: Final[dict[str, Kind]] = {
    "fluentd": Kind("shipper.sink.fluentd", "Fluentd"),
    "jsonl": Kind("shipper.sink.jsonl", "JsonLines"),
    "metrics": Kind("shipper.sink.counters", "AuditCounters"),
    "opensearch": Kind("shipper.sink.opensearch", "OpenSearchSink"),
    "sql": Kind("shipper.sink.sql", "SqlStore"),
    "sqlite": Kind("shipper.sink.sqlite", "SqliteStore"),
    "syslog": Kind("shipper.sink.syslog", "Syslog"),
}
# Those that `ship --to KIND:PATH` and `report --store KIND:PATH` can open without a configuration.
_BY_PATH: Final = ("sqlite", "jsonl")


def make_sink(settings: SinkSettings, surroundings: Surroundings | None = None) -> Sink:
    """Make the sink that `settings` belong to; connects to nothing yet."""
    kind = SINKS[str(settings.__struct_config__.tag)]
    return kind.make(settings, surroundings or Surroundings())


def open_sink(target: str, *others: str) -> RememberingSink:
    """Open `KIND:PATH`, ready for delivery; `others` are forms that the caller knows besides.

    Raises UsageError for an unknown kind, UnavailableError or MisconfiguredError where it cannot
    be opened.
    """
    kind, colon, path = target.partition(":")
    if kind not in _BY_PATH or not colon or not path:
        *known, last = (*(f"{kind}:PATH" for kind in _BY_PATH), *others)
        raise UsageError(f"cannot ship to {target!r}: write {', '.join(known)} or {last}")
    settings: Any = SINKS[kind].settings
    sink: Any = SINKS[kind].make(settings(path=path), Surroundings())
    sink.prepare()
    opened: RememberingSink = sink
    return opened


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
