"""Bytes with a position. SOURCES is the one table of what records can come from."""

from __future__ import annotations

from importlib import import_module
from typing import Final, NamedTuple

from shipper.source.base import SourceSettings


class Kind(NamedTuple):
    """One kind of source: the module and the name of its settings; loaded when it is used."""

    module: str
    name: str

    @property
    def settings(self) -> type[SourceSettings]:
        """Give what it can be told."""
        settings: type[SourceSettings] = getattr(import_module(self.module), self.name)
        return settings


# `type:` in the configuration -> the source.
SOURCES: Final[dict[str, Kind]] = {
    "file": Kind("shipper.source.settings", "FileSettings"),
    "fifo": Kind("shipper.source.pipes", "FifoSettings"),
    "stdin": Kind("shipper.source.pipes", "StdinSettings"),
    "syslog": Kind("shipper.source.receive", "SyslogInputSettings"),
}

__all__ = ["SOURCES", "Kind", "SourceSettings"]
