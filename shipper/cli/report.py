"""`audit-shipper report failed-logins`: who was refused, from where, and why."""

from __future__ import annotations

import os
import re
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
import orjson
from rich.console import Console

from shipper.cli.output import output
from shipper.cli.stores import PASSWORD, Store, open_store
from shipper.errors import UsageError
from shipper.report.failed_logins import FailedLogin, analyse
from shipper.report.html import to_html
from shipper.report.render import render, to_json
from shipper.report.result import About, Beyond, FailedLoginReport
from shipper.terminal import safe_json

SINCE: Final = "24h"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@click.group()
def report() -> None:
    """Answer questions from a store."""


@report.command("failed-logins")
@click.option(
    "--store",
    default="sqlite:audit.db",
    show_default=True,
    envvar="AUDIT_SHIPPER_STORE",
    show_envvar=True,
    help="Where `ship` has put the records: sqlite:PATH or mysql://USER@HOST/DATABASE, whose "
    f"password is ${PASSWORD}, or in a file that ${PASSWORD}_FILE names.",
)
@click.option("--since", show_default=SINCE, help="30m, 24h, 7d, or 2026-11-23T10:00Z.")
@click.option("--all", "everything", is_flag=True, help="The whole store, whatever its age.")
@click.option("--by", type=click.Choice(["user", "source", "error"]), help="Only this table.")
@click.option("--top", type=click.IntRange(min=1), default=20, show_default=True, help="Rows.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of tables.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report as one page to this file, with plots, to be mailed or printed.",
)
@click.option(
    "--burst-attempts",
    type=click.IntRange(min=2),
    default=5,
    show_default=True,
    help="Failures within the window that make a burst.",
)
@click.option(
    "--burst-window",
    type=click.IntRange(min=1, max=600),
    default=60,
    show_default=True,
    help="Seconds.",
)
def failed_logins(  # noqa: PLR0913 one argument for each option
    *,
    store: str,
    since: str | None,
    everything: bool,
    by: str | None,
    top: int,
    as_json: bool,
    page: Path | None,
    burst_attempts: int,
    burst_window: int,
) -> None:
    """Show failed logins by user, source and reason; bursts marked, health probes apart.

    Nothing in the store is changed. Exit status: 0 done, whether there are failed logins or not; 2
    wrong use, or a store that is not there or does not answer; 3 it is no store, or somebody has to
    mend it.
    """
    if since is not None and everything:
        raise click.UsageError("--since and --all contradict each other")
    if page is not None and (as_json or by):
        raise click.UsageError("--html is the whole report as a page: without --json and --by")
    start = None if everything else _start(since or SINCE, datetime.now(UTC))
    options = {"burst_attempts": burst_attempts, "burst_window_seconds": burst_window}
    with closing(open_store(store)) as opened:
        result = _analysed(opened, start, options)
        beyond = Beyond(opened.newest())
        if not result.attempts and start is not None:
            older = _analysed(opened, None, options)
            beyond = Beyond(beyond.newest, older.attempts, older.last)
    about = About(store=store, since=start, beyond=beyond)
    if page is not None:
        _write(page, to_html(result, top=top, about=about))
        return
    with output():
        if as_json:
            written = (
                orjson.dumps(to_json(result, by=by, about=about), option=orjson.OPT_INDENT_2)
                + b"\n"
            )
            sys.stdout.buffer.write(safe_json(written) if sys.stdout.isatty() else written)
            return
        console = _Console(highlight=False)
        render(result, console, by=by, top=top, about=about)


def _analysed(store: Store, since: str | None, options: dict[str, int]) -> FailedLoginReport:
    return analyse((FailedLogin(*row) for row in store.failed_logins(since)), **options)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 inside of rich's handler: ours has one status for all commands


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read: it holds user names and addresses."""
    try:
        with open(path, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _start(since: str, now: datetime) -> str:
    """Turn a length of time or a moment into RFC 3339 UTC."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", since)
    try:
        if match is not None:
            moment = now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        else:
            moment = datetime.fromisoformat(since)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--since {since!r} is neither a length of time (30m, 24h, 7d) nor a moment "
            "(2026-11-23, 2026-11-23T10:00:00Z)"
        ) from error
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
