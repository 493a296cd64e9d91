"""Settings of a followed log file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from shipper.settings import Positive, Seconds
from shipper.source.base import SourceSettings
from shipper.source.passwords import PasswordSettings


class FileSettings(SourceSettings, frozen=True, kw_only=True, tag="file"):
    """A log that a server writes, with its older generations beside it."""

    path: str  # of the live log; older generations are found beside it
    # What to ship at the very first start: everything that lies there, only what comes from now
    # on, or what is not older than `since`.
    start: Literal["beginning", "end", "since"] = "beginning"
    since: str | None = None  # RFC 3339
    # How often the file is looked at. 0.2 s costs 0.1 % of a core and half of it as latency.
    poll_seconds: Annotated[float, Meta(ge=0.01, le=60)] = 0.2
    # How long a rotated file may be quiet before its end counts as the end. A server that was told
    # to flush writes its footer within this time.
    settle_seconds: Seconds = 5.0
    # Disk space that segments may take which the server has deleted and that are not shipped yet.
    # Four times the default rotation size of Percona's filter plugin.
    hold_bytes_max: Positive = 4 * 1024**3

    # Of encrypted archives (.enc).
    passwords: PasswordSettings | None = None

    def problems(self) -> Iterator[str]:
        """Say which fields disagree."""
        if (self.start == "since") != (self.since is not None):
            yield "start: since and since: TIME go together"
