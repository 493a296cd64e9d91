"""The whole configuration of a daemon."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Meta, Struct, structs

from shipper.config.document import read_document
from shipper.config.loader import Choices, Loader
from shipper.decode import FORMATS
from shipper.detect import Settings as DetectSettings
from shipper.errors import ConfigError, MisconfiguredError, UsageError
from shipper.observe.http import HttpSettings
from shipper.settings import Seconds, Settings
from shipper.sink import SINKS, SinkSettings
from shipper.sink.jsonl import SOURCE
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.source import SOURCES
from shipper.source.base import SourceSettings
from shipper.source.findings import FindingsSettings

# A configuration is a page or two; anything larger is another file by mistake.
CONFIG_BYTES_MAX: Final = 1024 * 1024
# Ends the names under which alerts are read and delivered: of the source, and of the sinks.
ALERTS: Final = ".alerts"


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
    # When a target that refuses us (wrong password, foreign table) is asked again, with this file
    # and its secrets read anew; the other targets go on meanwhile. Default: the process ends with
    # status 3, for whoever supervises it. In the pod of a database it must not: a container that
    # is not ready takes the pod out of its Service.
    refused_retry_seconds: Annotated[float, Meta(ge=0.1, le=86400)] | None = None

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
            yield from self._of_jsonl(sink)
            yield from self._of_alerts(sink)
        known = {name_of(source) for source in self.sources}
        for sink in self.sinks:
            for wanted in sorted(set(sink.sources or ()) - known):
                yield f"sinks: {name_of(sink)} wants the source {wanted}, which is not there"

    def waits_out(self, error: BaseException) -> bool:
        """Say whether what ended a thread is no end of the process."""
        return isinstance(error, MisconfiguredError) and self.refused_retry_seconds is not None

    def sinks_of(self, source: SourceSettings) -> list[SinkSettings]:
        """Give the sinks that this source's records go to."""
        return [sink for sink in self._takers(source) if sink.alerts != "only"]

    def alert_sinks_of(self, source: SourceSettings) -> list[SinkSettings]:
        """Give the sinks that want what is detected in this source, under names of their own.

        So their lanes are seen by themselves: a target that takes alerts hides no records that
        wait for it. No sinks where nothing detects.
        """
        if not self._is_watched(source):
            return []
        wanting = (sink for sink in self._takers(source) if sink.alerts != "off")
        return [structs.replace(sink, name=name_of(sink) + ALERTS) for sink in wanting]

    def lanes(self) -> set[tuple[str, str]]:
        """Give (source, sink) of every lane that this makes, those of alerts included."""
        made = set()
        for source in self.sources:
            name = name_of(source)
            made |= {(name, name_of(sink)) for sink in self.sinks_of(source)}
            made |= {(name + ALERTS, name_of(sink)) for sink in self.alert_sinks_of(source)}
        return made

    def findings_of(self, source: SourceSettings) -> FindingsSettings:
        """Give the source that the findings of `source` are read from."""
        name = name_of(source)
        directory = str(Path(self.state, "findings", name))
        return FindingsSettings(name=name + ALERTS, directory=directory)

    def _takers(self, source: SourceSettings) -> list[SinkSettings]:
        name = name_of(source)
        return [sink for sink in self.sinks if sink.sources is None or name in sink.sources]

    def _is_watched(self, source: SourceSettings) -> bool:
        return any(_detects(sink) for sink in self._takers(source))

    def _of_jsonl(self, sink: SinkSettings) -> Iterator[str]:
        if not isinstance(sink, JsonlSettings) or SOURCE in sink.path:
            return
        taken = [source for source in self.sources if sink in self._takers(source)]
        watched = [source for source in taken if self._is_watched(source)]
        if len(taken) > 1:
            yield f"sinks: {name_of(sink)}: several sources need {SOURCE} in its path"
        elif sink.alerts == "on" and watched:
            yield f"sinks: {name_of(sink)}: records and alerts need {SOURCE} in its path"

    def _of_alerts(self, sink: SinkSettings) -> Iterator[str]:
        name = name_of(sink)
        if sink.alerts == "off":
            return
        if _detects(sink):
            yield f"sinks: {name}: alerts: it counts and detects, and takes none itself"
        elif not any(self._is_watched(each) for each in self.sources if sink in self._takers(each)):
            yield f"sinks: {name}: alerts need the sink metrics, which detects: add `type: metrics`"
        taken = [*map(name_of, self.sinks), *map(name_of, self.sources)]
        mine = [name, *(name_of(each) for each in self.sources if sink in self._takers(each))]
        for each in sorted({each for each in mine if each + ALERTS in taken}):
            yield f"{each}{ALERTS} is the name of the alerts of {each}: choose another for yours"


def _detects(sink: SinkSettings) -> bool:
    return sink.__struct_config__.tag == "metrics"


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
