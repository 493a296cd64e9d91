"""`audit-shipper setup …`: make at a target what shipping needs. One file a kind of target."""

from __future__ import annotations

from typing import Final

import click

from shipper.cli.lazy import lazy_group

_COMMANDS: Final = {
    "dashboards": ("shipper.cli.setup_dashboards", "dashboards"),
    "opensearch": ("shipper.cli.setup_opensearch", "setup_opensearch"),
    "sql": ("shipper.cli.setup_sql", "sql"),
}


@click.group(cls=lazy_group(_COMMANDS))
def setup() -> None:
    """Make at a target what shipping needs: templates, tables, policies, dashboards."""
