"""`audit-shipper check -c FILE`: what would keep the daemon from running."""

from __future__ import annotations

import click

from shipper.app.check import findings
from shipper.clock import SystemClock
from shipper.config import load_file
from shipper.terminal import printable

FOUND = 1


@click.command()
@click.option("-c", "--config", "path", required=True, help="The configuration, YAML.")
@click.pass_context
def check(context: click.Context, path: str) -> None:
    """Find what is wrong with a configuration, its paths, rights, passwords and targets.

    Changes nothing. Exit status: 0 nothing found, 1 findings, 2 the file itself is wrong.
    """
    found = list(findings(load_file(path), SystemClock()))
    for text in found:
        click.echo(printable(text, limit=1000))
    if found:
        context.exit(FOUND)
    click.echo("nothing wrong was found")
