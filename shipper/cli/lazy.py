"""Command groups whose commands are loaded when they are used.

The daemon, which runs for months, does without the libraries that only draw tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

import click

from shipper.cli.output import forget
from shipper.cli.status import CLOSED


class LazyGroup(click.Group):
    """A group that finds its commands in a table: name -> (module, name in it)."""

    table: ClassVar[Mapping[str, tuple[str, str]]] = {}

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Give the names."""
        return sorted(self.table)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None where there is none of that name."""
        if cmd_name not in self.table:
            return None
        module, name = self.table[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end as others do where the reader of its output goes away (`| head`)."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            forget()
            raise click.exceptions.Exit(CLOSED) from None


def lazy_group(table: Mapping[str, tuple[str, str]]) -> type[click.Group]:
    """Make the class of a group with these commands."""
    members: dict[str, Any] = {"table": table}
    return type("Commands", (LazyGroup,), members)
