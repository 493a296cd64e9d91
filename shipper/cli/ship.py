"""`audit-shipper ship FILE… --to TARGET`: to the end of the files, once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Final

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
from shipper.cli.status import DEFECTS, MISUSE, UNFINISHED, Status, complain
from shipper.cli.stores import open_target
from shipper.decode import Decoder
from shipper.errors import UsageError
from shipper.lane.ship import OneShot, Shipped
from shipper.model import Reason
from shipper.source.file import open_log
from shipper.terminal import printable

_NO_FILE: Final = (
    "cannot ship {}: only a file can be asked for again after a crash. Save what comes to a file, "
    "or let the daemon read it (a source of type stdin or fifo)"
)
_FOLDER: Final = "cannot ship {}: it is a folder. Name the files in it"
_NO_LOG: Final = ". Nothing in it begins a known record: is it an audit log?"


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--to",
    "target",
    required=True,
    help="sqlite:PATH, mysql://USER@HOST/DATABASE, jsonl:PATH or jsonl:- (output).",
)
@click.option(
    "--instance",
    metavar="NAME",
    default="",
    help="Which server the logs are of, as `instance` of a configuration: part of every record's "
    "identity. For logs of several servers in one target.",
)
@click.option(
    "--final",
    is_flag=True,
    help="Nobody writes to the files any more: take also what stands at their end without a line "
    "feed or cut. Do not use it on a log that grows.",
)
@reading
@click.pass_context
def ship(  # noqa: PLR0913 one argument for each option
    context: click.Context,
    *,
    files: tuple[str, ...],
    target: str,
    instance: str,
    final: bool,
    format_name: str | None,
    timezone: tzinfo,
    record_bytes_max: int,
) -> None:
    """Ship audit logs, plain or gzip, to a store, to their end, once.

    Running it again adds nothing; killed at any moment and started again it completes without
    duplicates. Exit status: 0 all shipped; 1 some bytes could not be read, which the store lists;
    4 something at the end of a file is not a whole record (yet) and waits; 2 wrong use, or a file
    that could not be read (all others are shipped) or a target that does not answer; 3 a target
    that somebody has to mend.
    """
    formats, options = decoding(format_name, timezone, record_bytes_max)
    console = Console(stderr=True)
    status = Status()
    readable = [name for name in files if _readable(name, status)]
    if not readable:
        context.exit(status.value)
    with closing(open_target(target)) as sink:
        shipping = OneShot(sink, formats, options, instance=instance, final=final)
        for name in readable:
            with status.going_on(), _progress(console, name) as tell:
                shipped = shipping.ship(Path(name), tell)
                status.take(_status(shipped, final=final))
                said = _summary(shipped, final=final)
                if not shipped.seen and (shipped.defects or shipped.left > 0):
                    said += _looks_like_no_log(shipped, Decoder(formats, options=options))
                console.print(Text(said), highlight=False, soft_wrap=True)
    context.exit(status.value)


def _readable(name: str, status: Status) -> bool:
    """Say whether a file can be opened: where none can, no store is made for nothing."""
    try:
        if name == "-" or (Path(name).exists() and not Path(name).is_file()):
            complain(UsageError((_FOLDER if Path(name).is_dir() else _NO_FILE).format(name)))
        else:
            open_log(Path(name)).close()
            return True
    except UsageError as error:
        complain(error)
    status.take(MISUSE)
    return False


def _status(shipped: Shipped, *, final: bool) -> int:
    if shipped.damage:
        return MISUSE
    if shipped.left > 0 or (shipped.cut_short and not final):
        return UNFINISHED
    return DEFECTS if shipped.defects or shipped.cut_short else 0


def _summary(shipped: Shipped, *, final: bool) -> str:
    name = printable(str(shipped.path))
    plural = "" if shipped.records == 1 else "s"
    parts = [f"{name}: {shipped.records:,} record{plural} shipped"]
    if shipped.seen > shipped.records:
        parts.append(f"{shipped.seen - shipped.records:,} were there")
    if not shipped.seen and not shipped.defects and shipped.done:
        parts = [f"{name}: nothing new"]
    if shipped.defects:
        ranges = "1 range" if shipped.defects == 1 else f"{shipped.defects:,} ranges"
        parts.append(f"{ranges} could not be read (see audit-shipper decode)")
    if shipped.damage:
        parts.append(f"then {printable(shipped.damage, limit=2000)}")
    elif shipped.left > 0:
        parts.append(
            f"{shipped.left:,} bytes at the end are not a whole record: ship again when the server "
            "has written more, or with --final if nobody writes to it any more"
        )
    if shipped.cut_short:
        parts.append("the archive ends in its middle" + ("" if final else ": it may still grow"))
    return ", ".join(parts)


def _looks_like_no_log(shipped: Shipped, decoder: Decoder) -> str:
    """Ask whether it is a log, where no record of it was read and its first bytes begin none."""
    with closing(open_log(shipped.path)) as log:
        blocks = [decoder.feed(next(log.pieces(), b"")), decoder.finish()]
    reasons = {defect.reason for block in blocks for defect in block.defects}
    return _NO_LOG if reasons == {Reason.FOREIGN} else ""


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
