"""The command line. One file a command; `main` is the entry point; statuses: `status.py`."""

from __future__ import annotations

import signal
import sys
from typing import Final

import click

from shipper import __version__, heap
from shipper.app import ANSWERED
from shipper.cli.lazy import lazy_group
from shipper.cli.output import stand_in
from shipper.cli.status import INTERRUPTED, MISUSE, complain, status_of
from shipper.errors import ShipperError

_COMMANDS: Final = {
    "check": ("shipper.cli.check", "check"),
    "dead-letters": ("shipper.cli.dead_letters", "dead_letters"),
    "decode": ("shipper.cli.decode", "decode"),
    "report": ("shipper.cli.report", "report"),
    "run": ("shipper.cli.run", "run"),
    "setup": ("shipper.cli.setup", "setup"),
    "ship": ("shipper.cli.ship", "ship"),
    "status": ("shipper.cli.state", "status"),
    "verify": ("shipper.cli.state", "verify"),
}


@click.group(cls=lazy_group(_COMMANDS), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="audit-shipper")
def cli() -> None:
    """Decode, ship and report the audit logs of MySQL-family servers."""


def main() -> None:
    """Run the command line and exit with its status."""
    if sys.argv[1:2] == ["run"]:
        # Until the daemon can answer them. By default they would end it in the middle of starting,
        # and as process 1 of a container it would never see them.
        signal.pthread_sigmask(signal.SIG_BLOCK, ANSWERED)
    stand_in()
    heap.keep()
    try:
        sys.exit(cli(standalone_mode=False))  # a command's own status, or None for 0
    except click.ClickException as error:
        error.show()
        sys.exit(MISUSE)
    except (KeyboardInterrupt, click.Abort):
        again = "; what was shipped stays, run it again to go on"
        said = again if sys.argv[1:2] == ["ship"] else ""
        click.echo(f"audit-shipper: interrupted{said}", err=True)
        sys.exit(INTERRUPTED)
    except ShipperError as error:
        complain(error)
        sys.exit(status_of(error))


__all__ = ["cli", "main"]
