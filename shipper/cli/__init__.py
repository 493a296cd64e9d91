"""The command line. One file a command; `main` is the entry point.

Exit status: 0 done, nothing to complain of · 1 done, but some bytes could not be read (defects) ·
2 not done: wrong use, or something could not be opened, read or written · 3 not done: a target or
the state needs somebody's hand · 4 stopped before everything was shipped.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Final

import click

from shipper import __version__, heap
from shipper.app import ANSWERED
from shipper.cli.lazy import lazy_group
from shipper.errors import MisconfiguredError, ShipperError
from shipper.terminal import printable

MISUSE = 2
MISCONFIGURED = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells say it

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
    heap.keep()
    try:
        sys.exit(cli(standalone_mode=False))  # a command's own status, or None for 0
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing to say, and nothing left to flush into.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except click.ClickException as error:
        error.show()
        sys.exit(MISUSE)
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "audit-shipper: interrupted; what was shipped stays, run it again to go on", err=True
        )
        sys.exit(INTERRUPTED)
    except ShipperError as error:
        for line in str(error).splitlines():
            click.echo(f"audit-shipper: {printable(line, limit=2000)}", err=True)
        sys.exit(status_of(error))


def status_of(error: ShipperError) -> int:
    """Give the exit status that says what kind of error it is."""
    return MISCONFIGURED if isinstance(error, MisconfiguredError) else MISUSE


__all__ = ["cli", "main", "status_of"]
