"""`audit-shipper run -c FILE`: the daemon."""

from __future__ import annotations

from contextlib import closing, suppress

import click

from shipper.app.daemon import Daemon, signals
from shipper.app.observation import Observation
from shipper.clock import SystemClock
from shipper.config import load_file
from shipper.terminal import printable

UNFINISHED = 4  # stopped in time, but not everything was shipped


@click.command()
@click.option("-c", "--config", "path", required=True, help="The configuration, YAML.")
@click.pass_context
def run(context: click.Context, path: str) -> None:
    """Follow the configured logs and ship them until told to stop.

    SIGTERM drains and ends; SIGHUP reads the configuration anew. Exit status: 0 everything shipped,
    2 wrong configuration, 3 a target needs somebody's hand, 4 stopped before all was shipped.
    """
    config = load_file(path)
    clock = SystemClock()
    observation = Observation(config, clock, _write)
    daemon = Daemon(config, lambda: load_file(path), clock, observation)
    with signals(daemon), closing(observation):
        remaining = daemon.run()
    for each in remaining:
        left = f"{each.size - each.position:,} bytes of {printable(each.path)}"
        click.echo(f"audit-shipper: {each.source}: {left} not shipped to {each.sink}", err=True)
    if remaining:
        context.exit(UNFINISHED)


def _write(line: str) -> None:
    """Write a line of the log; a reader that went away must not stop the shipping."""
    with suppress(OSError):
        click.echo(line, err=True)
