"""The failed-login report as a document for machines.

    {"store": "sqlite:audit.db", "since": "2026-03-01T00:00:00Z", "newest": "2026-03-01T12:00:00Z",
     "older": null, "attempts": 23, "users": 6, "sources": 4, "lower_bounds": [],
     "first": "2026-03-01T10:00:00Z", "last": "2026-03-01T10:05:00Z",
     "without_time": 0, "jumps_back": 0, "records": {"Connect": 20, "Change user": 3},
     "by_hour": {"2026-03-01T10:00:00Z": 23},
     "burst": {"attempts": 5, "window_seconds": 60}, "spray_users": 5,
     "by_user": {"groups": [{"user": "root", "attempts": 20, "sources": 2, "first": …, "last": …,
                             "peak": {"attempts": 7, "began": …, "burst": true},
                             "lower_bounds": []}],
                 "other": null},
     "by_source": {…, with "source", "users" and "spray"},
     "by_error": {…, with "error", "symbol", "meaning", "category", "users" and "sources"},
     "probes": {"count": 2, "first": …, "last": …, "by_source": {…}}}

Keys are always there and in this order, but for the tables that nobody asked for. `newest` is the
store's newest record of any kind, "" where none of them has a readable time; `older` counts failed
logins before `since`, where there are none after it. A user "" is none. `lower_bounds` names the
numbers that are at least so large; `other` holds the groups beyond the limits of `groups.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shipper.codes import Code
from shipper.report.failed_logins import SPRAY_USERS
from shipper.report.groups import Key
from shipper.report.hours import HOUR_SECONDS
from shipper.report.result import NOTHING_SAID, About, FailedLoginReport, Line, Section
from shipper.report.seconds import rfc3339
from shipper.terminal import storable


def to_json(
    report: FailedLoginReport,
    *,
    by: str | None = None,
    about: About = NOTHING_SAID,
) -> dict[str, Any]:
    """Give the report, all tables or the one of `by`.

    Texts are exact, so print them to a terminal only escaped.
    """
    tables = {
        "user": _section(report.by_user, _user),
        "source": _section(report.by_source, _source),
        "error": _section(report.by_error, _error),
    }
    return {
        "store": storable(about.store),
        "since": about.since,
        "newest": about.beyond and about.beyond.newest,
        "older": about.beyond and about.beyond.older,
        "attempts": report.attempts,
        "users": report.users,
        "sources": report.sources,
        "lower_bounds": list(report.at_least),
        "first": report.first,
        "last": report.last,
        "without_time": report.without_time,
        "jumps_back": report.jumps_back,
        "records": {storable(name): count for name, count in report.names.items()},
        "by_hour": {
            str(rfc3339(hour * HOUR_SECONDS)): count
            for hour, count in sorted(report.by_hour.counts.items())
        },
        "burst": {
            "attempts": report.burst_attempts,
            "window_seconds": report.burst_window_seconds,
        },
        "spray_users": SPRAY_USERS,
        **{f"by_{name}": table for name, table in tables.items() if by in (None, name)},
        "probes": {
            "count": report.probes.count,
            "first": report.probes.first,
            "last": report.probes.last,
            "by_source": _section(report.probes.by_source, _probe_source),
        },
    }


def _section(section: Section[Key], write: Callable[[Line[Key]], dict[str, Any]]) -> dict[str, Any]:
    other = section.other
    return {
        "groups": [write(line) for line in section.lines],
        "other": other
        and {
            "groups": other.groups,
            "attempts": other.attempts,
            "bursts": other.bursts,
            "first": other.first,
            "last": other.last,
        },
    }


def _user(line: Line[str]) -> dict[str, Any]:
    return {
        "user": storable(line.key),
        "attempts": line.attempts,
        "sources": line.sources,
        **_times(line),
    }


def _source(line: Line[str]) -> dict[str, Any]:
    return {
        "source": storable(line.key),
        "attempts": line.attempts,
        "users": line.users,
        "spray": line.spray,
        **_times(line),
    }


def _error(line: Line[Code]) -> dict[str, Any]:
    code = line.key
    return {
        "error": code.status,
        "symbol": code.symbol,
        "meaning": code.meaning,
        "category": code.category.value,
        "attempts": line.attempts,
        "users": line.users,
        "sources": line.sources,
        **_times(line),
    }


def _probe_source(line: Line[str]) -> dict[str, Any]:
    return {
        "source": storable(line.key),
        "count": line.attempts,
        "first": line.first,
        "last": line.last,
        "lower_bounds": ["count"] if line.at_least else [],
    }


def _times(line: Line[Any]) -> dict[str, Any]:
    peak = line.peak
    return {
        "first": line.first,
        "last": line.last,
        "peak": peak and {"attempts": peak.attempts, "began": peak.began, "burst": peak.burst},
        "lower_bounds": list(line.at_least),
    }
