"""`audit-shipper setup opensearch -c FILE`: make what a cluster needs, before or beside the daemon.

For people whose shipper must not have the rights to do it: run it once with an account that has
them, and give the shipper `setup: off` (or `require`).
"""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import click
import orjson

from shipper.clock import SystemClock
from shipper.config import load_file, name_of
from shipper.document.index_name import IndexName
from shipper.errors import UsageError
from shipper.sink import opensearch
from shipper.sink.opensearch_monitors import PATH as MONITORS
from shipper.sink.opensearch_monitors import install_monitors, read_monitors
from shipper.sink.opensearch_setup import Setup
from shipper.sink.opensearch_steps import TROUBLES, State, Step
from shipper.sink.opensearch_wire import StatusError, judged
from shipper.terminal import printable

DONE, TROUBLED = 0, 1
# What a dry run says of what it did not do.
_WOULD: Final = {State.MADE: "would create", State.RENEWED: "would update"}


@click.command("opensearch")
@click.option(
    "-c",
    "--config",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The configuration of the daemon; its opensearch sinks are set up.",
)
@click.option("--dry-run", is_flag=True, help="Look, and print the calls that would be made.")
@click.option(
    "--monitors",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Make the Alerting monitors of this folder too: alert-rules/opensearch.",
)
@click.option("--channel", help="Notification channel (config_id) that the monitors use.")
@click.pass_context
def setup_opensearch(
    context: click.Context,
    path: Path,
    *,
    dry_run: bool,
    monitors: Path | None,
    channel: str | None,
) -> None:
    """Make the ISM policy, the component templates and the index template.

    What is there already and as it should be is not written again; what is there and somebody
    else's is reported and left alone. Exit status: 0 all is as it should be, 1 something is not, 2
    wrong use, or the cluster cannot be asked, 3 it refuses the login, or is no OpenSearch.
    """
    if channel is not None and monitors is None:
        raise UsageError("--channel is for the monitors: give --monitors too")
    status = DONE
    for settings in _sinks(path):
        click.echo(f"{name_of(settings)}:")
        for step in _run(settings, monitors, channel, write=not dry_run):
            _show(step, dry_run=dry_run)
            if step.state in TROUBLES:
                status = TROUBLED
    context.exit(status)


def _sinks(path: Path) -> list[opensearch.Settings]:
    sinks = load_file(str(path)).sinks
    found = [settings for settings in sinks if isinstance(settings, opensearch.Settings)]
    if not found:
        raise UsageError(f"{path} has no sink of type opensearch")
    return found


def _run(
    settings: opensearch.Settings, monitors: Path | None, channel: str | None, *, write: bool
) -> list[Step]:
    from shipper.sink.opensearch_connection import Cluster  # noqa: PLC0415 25 MB

    clock = SystemClock()
    with closing(Cluster(settings, clock)) as cluster:
        try:
            steps = Setup(cluster, settings, clock.now(), write=write).run()
            if monitors is not None:
                steps += install_monitors(
                    cluster,
                    read_monitors(monitors),
                    index=IndexName(settings.index),
                    channel=channel,
                    write=write,
                )
        except StatusError as error:
            raise judged(error, proven=False) from error
    return steps


def _show(step: Step, *, dry_run: bool) -> None:
    word = _WOULD.get(step.state, str(step.state)) if dry_run else str(step.state)
    click.echo(f"  {word:<12} {step.path}")
    if step.state in TROUBLES and step.detail:
        click.echo(f"               {printable(step.detail, limit=1000)}")
    if dry_run and step.state in (State.MADE, State.RENEWED):
        click.echo(f"  {_method(step)} {step.path.partition(' ')[0]}")
        sys.stdout.write(orjson.dumps(step.body, option=orjson.OPT_INDENT_2).decode() + "\n")


def _method(step: Step) -> str:
    """Name the call: the Alerting plugin makes the ids of new monitors itself."""
    return "POST" if step.state is State.MADE and step.path.startswith(MONITORS) else "PUT"
