"""`audit-shipper setup …`: make at a target what shipping needs. One file a kind of target."""

from __future__ import annotations

import click

from shipper.cli.setup_sql import sql


@click.group()
def setup() -> None:
    """Make at a target what shipping needs: tables, templates, policies."""


setup.add_command(sql)
