"""`audit-shipper setup sql -c FILE`: make the tables, perhaps with another account's rights."""

from __future__ import annotations

from contextlib import closing
from typing import Any, Final

import click
import msgspec
from sqlalchemy.engine import make_url

from shipper.cli.stores import secret
from shipper.config import load_file, name_of
from shipper.errors import UsageError
from shipper.sink.sql import Settings, SqlStore
from shipper.sink.sql_schema import statements
from shipper.terminal import printable

PASSWORD: Final = "AUDIT_SHIPPER_SETUP_PASSWORD"  # noqa: S105 a name


@click.command()
@click.option("-c", "--config", "path", required=True, help="The configuration, YAML.")
@click.option("--sink", "name", help="Only the sink of this name. Default: all of type sql.")
@click.option(
    "--user",
    help="Make the tables as this account, so that the shipper's own need not be allowed to. Its "
    f"password: ${PASSWORD}, or a file that ${PASSWORD}_FILE names.",
)
@click.option("--print", "only_print", is_flag=True, help="Print the SQL and do nothing.")
def sql(path: str, name: str | None, user: str | None, *, only_print: bool) -> None:
    """Make the tables of the SQL sinks that are missing; running it again changes nothing.

    Exit status: 0 the tables are there, 2 wrong use or no answer, 3 a table or right is in the way.
    """
    if only_print:
        for statement in statements():
            click.echo(f"{statement};\n")
        return
    chosen = [
        sink
        for sink in load_file(path).sinks
        if isinstance(sink, Settings) and name in {None, name_of(sink)}
    ]
    if not chosen:
        wanted = "sink of type sql" if name is None else f"sink {name!r} of type sql"
        raise UsageError(f"{path} has no {wanted}")
    for settings in chosen:
        with closing(SqlStore(_as_user(settings, user))) as store:
            made = store.create()
        done = f"made {', '.join(made)}" if made else "nothing to do"
        click.echo(f"{printable(name_of(settings))}: {done}")


def _as_user(settings: Settings, user: str | None) -> Settings:
    changes: dict[str, Any] = {"setup": "auto", "retention_seconds": None}
    if user is not None:
        url = make_url(settings.url).set(username=user)
        changes |= {"url": url.render_as_string(), "password": secret(PASSWORD)}
    return msgspec.structs.replace(settings, **changes)
