"""Options that several commands share."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from shipper.decode import FORMATS, Format, Options
from shipper.decode.base import RECORD_BYTES_MAX, latest

Command = TypeVar("Command", bound=Callable[..., Any])

_FORMAT_NAMES: Final = [format_.name for format_ in FORMATS]


class Zone(click.ParamType[tzinfo]):
    """A time zone by its name in the tz database: `Europe/Berlin`, `UTC`."""

    name = "zone"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tzinfo:
        """Look the zone up; a usage error where there is none of that name."""
        if isinstance(value, tzinfo):
            return value
        if value == "UTC":
            return UTC
        try:
            return ZoneInfo(str(value))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.fail(f"{value!r} is not a time zone; write one like Europe/Berlin", param, ctx)


def reading(command: Command) -> Command:
    """Add the options that say how logs are read."""
    for option in (
        click.option(
            "--format",
            "format_name",
            type=click.Choice(_FORMAT_NAMES),
            help="Read this format only. Default: found from the content, also in mid-file.",
        ),
        click.option(
            "--timezone",
            type=Zone(),
            default="UTC",
            show_default=True,
            help="Zone of the server's clock, for formats that write local time (MariaDB, "
            "Percona's filter plugin).",
        ),
        click.option(
            "--record-bytes-max",
            type=click.IntRange(min=1024),
            default=RECORD_BYTES_MAX,
            show_default=True,
            help="Largest record; a larger one is reported as a defect.",
        ),
    ):
        command = option(command)
    return command


def decoding(
    format_name: str | None, timezone: tzinfo, record_bytes_max: int
) -> tuple[tuple[type[Format], ...], Options]:
    """Turn the options of `reading` into arguments of a Decoder."""
    formats = tuple(format_ for format_ in FORMATS if format_name in (None, format_.name))
    options = Options(
        timezone=timezone, record_bytes_max=record_bytes_max, latest=latest(time.time())
    )
    return formats, options
