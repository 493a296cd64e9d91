"""Bytes with a position. SOURCES is the one table of what records can come from."""

from __future__ import annotations

from typing import Final, NamedTuple

from shipper.source.base import SourceSettings
from shipper.source.pipes import FifoSettings, StdinSettings
from shipper.source.receive import SyslogInputSettings
from shipper.source.settings import FileSettings


class Kind(NamedTuple):
    """One kind of source: what it can be told."""

    settings: type[SourceSettings]


# `type:` in the configuration -> the source.
SOURCES: Final[dict[str, Kind]] = {
    "file": Kind(FileSettings),
    "fifo": Kind(FifoSettings),
    "stdin": Kind(StdinSettings),
    "syslog": Kind(SyslogInputSettings),
}

__all__ = ["SOURCES", "Kind", "SourceSettings"]
