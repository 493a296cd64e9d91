"""What every source can be told."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from shipper.clock import Clock, SystemClock
from shipper.notices import Tell, ignore
from shipper.settings import Name, Settings

# 16 MiB: sixteen times the largest default max_allowed_packet in use, see decode.base.
RECORD_BYTES_MAX: Final = 16 * 1024 * 1024


class SourceSettings(Settings, frozen=True, kw_only=True, tag_field="type"):
    """A place that records come from; each kind of source adds its own settings."""

    # Default: the type. Names the state of this source: renaming starts it anew.
    name: Name | None = None
    # Zone of the server's clock, for formats that write local time: Europe/Berlin.
    timezone: str = "UTC"
    # Read this format only; default: found from the content, also in mid-file.
    format: str | None = None
    record_bytes_max: Annotated[int, Meta(ge=1024)] = RECORD_BYTES_MAX


class Surroundings(Struct, frozen=True):
    """What the parts of a source are given besides their settings."""

    source: str  # the source's name, for notices
    clock: Clock = SystemClock()
    tell: Tell = ignore
    # How long a file that lost its name must be quiet to count as whole.
    settle_seconds: float = 5.0
