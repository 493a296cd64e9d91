"""Rows for the report tests: failed logins on one morning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from shipper.report.failed_logins import FailedLogin

START = datetime(2026, 3, 1, 10, 0, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def row(  # one argument for each field
    seconds: float | None = 0,
    user: str | None = "root",
    ip: str | None = "203.0.113.9",
    status: int | None = 1045,
    *,
    host: str | None = "",
    format_: str = "percona-json",
    name: str = "Connect",
) -> FailedLogin:
    stamp = None if seconds is None else at(seconds)
    return FailedLogin(stamp, user, host, ip, status, format_, name)


HOSTILE_NAMES = (
    "[red]x[/red]",
    "\x1b[2J",
    "<script>alert(1)</script>",
    "\u202egnp.exe\u202c",
    "x" * 10_000,
    "a\nb\r\x9b1m",
    "\ud800",
    ":boom:",
    "(other)",
    " root ",
)
