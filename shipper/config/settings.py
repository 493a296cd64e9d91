"""The whole configuration of a daemon."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct

from shipper.config.document import read_document
from shipper.config.loader import Choices, Loader
from shipper.decode import FORMATS
from shipper.detect import Settings as DetectSettings
from shipper.errors import ConfigError, UsageError
from shipper.observe.http import HttpSettings
from shipper.settings import Seconds, Settings
from shipper.sink import SINKS, SinkSettings
from shipper.sink.jsonl import SOURCE
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.source import SOURCES
from shipper.source.base import SourceSettings

# A configuration is a page or two; anything larger is another file by mistake.
CONFIG_BYTES_MAX: Final = 1024 * 1024


class LogSettings(Settings, frozen=True, kw_only=True):
    """The daemon's own log, on standard error."""

    format: Literal["console", "json"] = "console"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Settings, frozen=True, kw_only=True):
    """One daemon."""

    # Directory of cursors, ledger, held segments, spool and dead letters; survives restarts.
    state: str
    sources: tuple[SourceSettings, ...]
    sinks: tuple[SinkSettings, ...]
    # Which server this is; part of every record's identity, so it must not change. Two servers that
    # ship to one index need different ones. Default: the host's name.
    instance: str = socket.gethostname()
    # Processes that the sources are spread over; more than there are sources is no use.
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    log: LogSettings = LogSettings()
    # /metrics and health; the sink `metrics` counts what the audit log says. Default: no endpoint.
    http: HttpSettings | None = None
    detect: DetectSettings = DetectSettings()  # works on what the sink `metrics` gets
    # A file that gets each finding as a line of JSON. Default: only the log and the metrics do.
    alerts: str | None = None
    # After SIGTERM: how long the log must be quiet to count as drained, and how long to try.
    # Kubernetes kills 30 s after it asked.
    drain_idle_seconds: Seconds = 2.0
    drain_seconds: Seconds = 20.0

    def problems(self) -> Iterator[str]:
        """Say which settings disagree."""
        if not self.sources:
            yield "sources is empty: name at least one log"
        if not self.sinks:
            yield "sinks is empty: name at least one target"
        for kind, named in (("sources", self.sources), ("sinks", self.sinks)):
            names = [name_of(each) for each in named]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield f"{kind}: {name} stands there twice: give each a name of its own"
        for source in self.sources:
            yield from _of_source(source)
        for sink in self.sinks:
            shared = len(self.sources) > 1 and len(sink.sources or self.sources) > 1
            if shared and isinstance(sink, JsonlSettings) and SOURCE not in sink.path:
                yield f"sinks: {name_of(sink)}: several sources need {SOURCE} in its path"
        known = {name_of(source) for source in self.sources}
        for sink in self.sinks:
            for wanted in sorted(set(sink.sources or ()) - known):
                yield f"sinks: {name_of(sink)} wants the source {wanted}, which is not there"

    def sinks_of(self, source: SourceSettings) -> list[SinkSettings]:
        """Give the sinks that this source's records go to."""
        name = name_of(source)
        return [sink for sink in self.sinks if sink.sources is None or name in sink.sources]


def _of_source(source: SourceSettings) -> Iterator[str]:
    formats = [each.name for each in FORMATS]
    if source.format is not None and source.format not in formats:
        yield f"sources: {name_of(source)}: format must be one of {', '.join(formats)}"
    try:
        ZoneInfo(source.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        zone = repr(source.timezone)
        yield f"sources: {name_of(source)}: {zone} is no time zone; write one like Europe/Berlin"


def name_of(settings: SourceSettings | SinkSettings) -> str:
    """Give the name of a source or sink: its own, or its type."""
    return settings.name or str(settings.__struct_config__.tag)


class _Kinds(Mapping[str, type[Struct]]):
    """The settings classes of a table, each loaded when it is asked for."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._table = table

    def __getitem__(self, type_: str) -> type[Struct]:
        settings: type[Struct] = self._table[type_].settings
        return settings

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)


def load(text: str, env: Mapping[str, str], read_file: Callable[[str], str]) -> Config:
    """Read a configuration. Raises ConfigError with every mistake."""
    value, problems = read_document(text, env)
    choices: Choices = {SourceSettings: _Kinds(SOURCES), SinkSettings: _Kinds(SINKS)}
    loader = Loader(choices, read_file)
    config = loader.load(Config, value)
    problems += loader.problems
    if config is None or problems:
        raise ConfigError(problems)
    return config


def load_file(path: str) -> Config:
    """Read a configuration file. Raises ConfigError, or UsageError where it cannot be read."""
    try:
        with Path(path).open(encoding="utf-8") as file:
            text = file.read(CONFIG_BYTES_MAX + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"cannot read {path}: {reason}") from error
    if len(text) > CONFIG_BYTES_MAX:
        raise UsageError(f"{path} is no configuration: larger than {CONFIG_BYTES_MAX:,} bytes")
    try:
        return load(text, os.environ, lambda each: Path(each).read_text(encoding="utf-8"))
    except ConfigError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from error
