"""`audit-shipper setup dashboards`: OpenSearch Dashboards' objects, and Grafana's dashboards."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import click

from shipper.app.dashboards import (
    PATTERN,
    RUNBOOKS,
    Access,
    Grafana,
    OpenSearchDashboards,
    State,
    Step,
    folder,
    grafana_dashboards,
    saved_objects,
)
from shipper.errors import UsageError
from shipper.terminal import printable


@click.command("dashboards")
@click.option("--osd-url", help="OpenSearch Dashboards: https://dashboards:5601, with its path.")
@click.option("--osd-user", help="Its user, for basic authentication.")
@click.option(
    "--osd-password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Default: the environment's AUDIT_SHIPPER_OSD_PASSWORD.",
)
@click.option("--osd-tenant", help="Of the security plugin: global, private, or a name.")
@click.option(
    "--index-pattern",
    default=PATTERN,
    show_default=True,
    help="Indexes of the sink; the part of its `index` before the date, and a star.",
)
@click.option("--grafana-url", help="Grafana: https://grafana:3000, with its path.")
@click.option(
    "--grafana-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Token of a service account that may write dashboards and folders. Default: the "
    "environment's AUDIT_SHIPPER_GRAFANA_TOKEN.",
)
@click.option("--folder", "title", default="MySQL audit", show_default=True, help="In Grafana.")
@click.option(
    "--runbooks",
    default=RUNBOOKS,
    help="URL under which docs/runbooks can be read; links of panels lead there.",
)
@click.option("--ca-file", type=click.Path(exists=True, dir_okay=False), help="PEM, for both.")
@click.option(
    "--files",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the dashboards. Default: those that came with this program.",
)
@click.option("--dry-run", is_flag=True, help="Look, and say what would be done.")
def dashboards(files: Path | None, *, dry_run: bool, **given: Any) -> None:
    """Import the dashboards into OpenSearch Dashboards, Grafana, or both.

    What is there as it should be is not written again. Exit status: 0 done, 2 wrong use or not
    reached, 3 refused.
    """
    if not given["osd_url"] and not given["grafana_url"]:
        raise UsageError("where to? Give --osd-url, --grafana-url, or both")
    found = files or folder()
    if given["osd_url"]:
        click.echo("OpenSearch Dashboards:")
        objects = saved_objects(found, _pattern(given["index_pattern"]))
        _show(OpenSearchDashboards(_osd(given)).bring(objects, write=not dry_run), dry_run=dry_run)
    if given["grafana_url"]:
        click.echo("Grafana:")
        boards = grafana_dashboards(found, given["runbooks"].rstrip("/"))
        steps = Grafana(_grafana(given)).bring(boards, given["title"], write=not dry_run)
        _show(steps, dry_run=dry_run)


def _pattern(pattern: str) -> str:
    """Check a pattern: it is put into JSON, and into the JSON in that."""
    if not pattern or not all(each.isalnum() or each in "-_.*,:" for each in pattern):
        raise UsageError(f"--index-pattern {pattern!r}: write one like {PATTERN}")
    return pattern


def _osd(given: dict[str, Any]) -> Access:
    headers = {"securitytenant": given["osd_tenant"]} if given["osd_tenant"] else {}
    if given["osd_user"]:
        password = _secret(given["osd_password_file"], "AUDIT_SHIPPER_OSD_PASSWORD")
        pair = f"{given['osd_user']}:{password}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return Access(url=_url(given["osd_url"]), headers=headers, ca_file=given["ca_file"])


def _grafana(given: dict[str, Any]) -> Access:
    token = _secret(given["grafana_token_file"], "AUDIT_SHIPPER_GRAFANA_TOKEN")
    headers = {"Authorization": f"Bearer {token}"}
    return Access(url=_url(given["grafana_url"]), headers=headers, ca_file=given["ca_file"])


def _url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"{url!r} is no address: write one like https://host:port")
    return url


def _secret(file: Path | None, variable: str) -> str:
    """Read a secret from a file, or from the environment; never from the command line."""
    if file is not None:
        secret = file.read_text(encoding="utf-8").strip()
    elif variable in os.environ:
        secret = os.environ[variable]
    else:
        raise UsageError(f"set {variable}, or name a file")
    if not secret.isprintable() or not secret.isascii():
        raise UsageError(f"the secret of {file or variable} has characters that no header can have")
    return secret


def _show(steps: list[Step], *, dry_run: bool) -> None:
    for step in steps:
        state = f"to be {step.state}" if dry_run and step.state is not State.SAME else step.state
        click.echo(f"  {state:<14} {printable(step.name)}")
