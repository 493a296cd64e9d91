"""`audit-shipper ship FILE… --to TARGET`: to the end of the files, once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from shipper.cli.options import decoding, reading
from shipper.cli.stores import open_target
from shipper.lane.ship import Shipped
from shipper.lane.ship import ship as ship_file
from shipper.terminal import printable


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--to",
    "target",
    required=True,
    help="sqlite:PATH, mysql://USER@HOST/DATABASE, jsonl:PATH or jsonl:- (output).",
)
@reading
@click.pass_context
def ship(
    context: click.Context,
    files: tuple[str, ...],
    target: str,
    format_name: str | None,
    timezone: tzinfo,
    record_bytes_max: int,
) -> None:
    """Ship audit logs to a store, to their end, once.

    Running it again adds nothing; killed at any moment and started again it completes without
    duplicates. Exit status: 0 all read, 1 some bytes could not be read, 2 wrong use or no store.
    """
    formats, options = decoding(format_name, timezone, record_bytes_max)
    console = Console(stderr=True)
    defects = 0
    with closing(open_target(target)) as sink:
        for name in files:
            with _progress(console, name) as tell:
                shipped = ship_file(Path(name), sink, formats, options, tell)
            defects += shipped.defects
            console.print(Text(_summary(shipped)), highlight=False, soft_wrap=True)
    if defects:
        context.exit(1)


def _summary(shipped: Shipped) -> str:
    name = printable(str(shipped.path))
    plural = "" if shipped.records == 1 else "s"
    parts = [f"{name}: {shipped.records:,} record{plural} shipped"]
    if shipped.seen > shipped.records:
        parts.append(f"{shipped.seen - shipped.records:,} were there")
    if not shipped.seen and shipped.done:
        parts = [f"{name}: nothing new"]
    if shipped.defects:
        parts.append(f"{shipped.defects:,} ranges could not be read (see audit-shipper decode)")
    if shipped.left:
        parts.append(f"{shipped.left:,} bytes at the end are not a whole record yet: ship again")
    return ", ".join(parts)


@contextmanager
def _progress(console: Console, name: str) -> Iterator[Callable[[Shipped], None]]:
    """Draw bytes, records a second and the time left; only on a terminal."""
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task(printable(name, limit=30), total=None, rate="")

        def tell(shipped: Shipped) -> None:
            elapsed = progress.tasks[0].elapsed or 0
            rate = f"{shipped.records / elapsed:,.0f} records/s" if elapsed else ""
            progress.update(task, total=shipped.size, completed=shipped.done, rate=rate)

        yield tell
