"""`audit-shipper status` and `verify`: what the state directory says."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shipper.app.inspect import LaneReport, SourceReport, inspect_state
from shipper.cli.status import REFUSED
from shipper.config import load_file
from shipper.errors import UsageError
from shipper.terminal import encodable, printable

INCOMPLETE = 1
_COLUMNS = ("Source", "Sink", "Behind", "Newest", "Records", "Refused", "Lost", "Segments", "At")
# A table for a program or a file is not cut to the width of a terminal that nobody looks at.
_WIDE = 500


def state_directory(config: str | None, state: str | None) -> Path:
    """Give the directory that the options name. Raises UsageError."""
    if (config is None) == (state is None):
        raise UsageError("say which state: -c CONFIG or --state DIRECTORY")
    directory = Path(state or load_file(config or "").state)
    if not directory.is_dir():
        raise UsageError(f"there is no state directory {directory}: has the daemon ever run?")
    return directory


def _reports(config: str | None, state: str | None) -> list[SourceReport]:
    """Look at every source; with a configuration, know which lanes it has."""
    directory = state_directory(config, state)
    lanes = load_file(config).lanes() if config else None
    return inspect_state(directory, time.time(), lanes)


@click.command()
@click.option("-c", "--config", help="The daemon's configuration.")
@click.option("--state", help="Its state directory.")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of a table.")
def status(config: str | None, state: str | None, *, as_json: bool) -> None:
    """Show where each lane is, of a running or a stopped daemon."""
    reports = _reports(config, state)
    if as_json:
        click.echo(msgspec.json.encode(reports))
        return
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in ("Source", "Sink", "At") else "right")
    for report in reports:
        for lane in report.lanes:
            table.add_row(*map(Text, _row(lane)))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(table)
    for report in reports:
        if report.dead_letters_bytes:
            size = f"{report.dead_letters_bytes:,} bytes"
            console.print(Text(f"{report.source}: dead letters: {size}"))


def _row(lane: LaneReport) -> Iterator[str]:
    yield lane.source
    yield lane.sink
    late = "" if lane.behind_seconds is None else f", {lane.behind_seconds:,.0f} s"
    yield f"{lane.behind_bytes:,} B{late}"
    yield lane.newest or "-"
    yield f"{lane.records:,}"
    yield f"{lane.refused:,}"
    yield f"{lane.lost_bytes:,} B"
    yield f"{lane.segments_done}+{lane.segments_open}"
    yield f"{printable(lane.segment, 60)}@{lane.position:,}"


@click.command()
@click.option("-c", "--config", help="The daemon's configuration.")
@click.option("--state", help="Its state directory.")
@click.pass_context
def verify(context: click.Context, config: str | None, state: str | None) -> None:
    """Prove that nothing was lost, or say what was.

    Looks at the ledger (bytes lost, bytes not shipped), at the numbers that the server gave its
    records, and at the counts of each sink. Exit status: 0 complete, 1 not complete, 5 complete but
    for records that a sink refused and that wait in the dead letters.
    """
    reports = _reports(config, state)
    lines = [line for report in reports for line in _findings(report)]
    for line in lines:
        click.echo(encodable(line, "utf-8"))
    complete = all(lane.complete for report in reports for lane in report.lanes)
    records = sum(lane.records + lane.duplicates for report in reports for lane in report.lanes)
    segments = sum(len(report.segments) for report in reports)
    waiting = sum(lane.waiting for report in reports for lane in report.lanes if lane.configured)
    word = "complete" if complete else "NOT complete"
    if waiting:
        joined = ", but" if complete else ", and"
        word += f"{joined} {waiting:,} records refused: audit-shipper dead-letters list"
    mark = ";" if waiting else ":"
    click.echo(f"{word}{mark} {segments:,} segments, {records:,} records acknowledged")
    if not complete or waiting:
        context.exit(REFUSED if complete else INCOMPLETE)


def _findings(report: SourceReport) -> Iterator[str]:
    paths = {segment.id: printable(segment.path) for segment in report.segments}
    for lane in report.lanes:
        who = f"{lane.source} → {lane.sink}"
        if not lane.configured:
            yield f"{who}: is in the configuration no more; what it lacks is not counted"
        counts = f"{lane.records:,} new, {lane.duplicates:,} there already"
        left_out = f"{lane.filtered:,} filtered, {lane.refused:,} refused"
        yield f"{who}: {counts}, {left_out}, {lane.defects:,} unreadable ranges"
        if lane.refused:
            gone = max(lane.refused - lane.waiting, 0)
            also = f", {gone:,} are there no more" if gone else ""
            yield f"{who}: {lane.waiting:,} refused records wait in the dead letters{also}"
        for loss in lane.losses:
            size = loss.span.end - loss.span.start
            yield (
                f"{who}: lost {size:,} bytes of {paths.get(loss.segment, loss.segment)} at "
                f"{loss.span.start:,}: {loss.reason}"
            )
        if lane.behind_bytes:
            yield f"{who}: {lane.behind_bytes:,} bytes are not shipped yet"
        for gap in lane.gaps:
            yield (
                f"{who}: {gap.missing:,} record numbers missing between {gap.low:,} and "
                f"{gap.high:,} of {printable(gap.key)}"
            )
