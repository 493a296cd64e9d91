"""The sentences of the failed-login page: plain text, every text from a log already printable."""

from __future__ import annotations

from typing import Any, Final

from shipper.addresses import SOCKET
from shipper.codes import Code
from shipper.report.groups import DISTINCT_MAX, GROUPS_MAX
from shipper.report.result import Beyond, FailedLoginReport, Other, Probes, Section
from shipper.report.tables import number, plural
from shipper.terminal import printable

# Twice MySQL's longest user name, more than the longest IPv6 address.
_NAME_LIMIT: Final = 64
_PROBE_SOURCES: Final = 5


def summary(report: FailedLoginReport) -> str:
    """Say what happened in one line: how many, by whom, when, and how fast."""
    users = plural(report.users, "user", at_least="users" in report.at_least)
    sources = plural(report.sources, "source", at_least="sources" in report.at_least)
    parts = [f"{plural(report.attempts, 'failed login')} by {users} from {sources}"]
    if report.first and report.last:
        parts[0] += f", {_range(report.first, report.last)}"
    bursts = [
        plural(section.bursts, word)
        for word, section in (("user", report.by_user), ("source", report.by_source))
        if section.bursts
    ]
    parts.append(f"bursts: {', '.join(bursts)}" if bursts else "no bursts")
    spraying = sum(line.spray for line in report.by_source.lines)
    if spraying:
        parts.append(f"spray: {plural(spraying, 'source')}")
    return "; ".join(parts)


def _range(first: str, last: str) -> str:
    """Write a range of time, the date only once where it is one."""
    begin = f"{first[:10]} {first[11:19]}"
    if first == last:
        return f"{begin} UTC"
    end = last[11:19] if first[:10] == last[:10] else f"{last[:10]} {last[11:19]}"
    return f"{begin} to {end} UTC"


def probes(found: Probes) -> str:
    """Say what was set apart."""
    lines = found.by_source.lines
    sources = [
        f"{number(line.attempts)} from {source(line.key)}" for line in lines[:_PROBE_SOURCES]
    ]
    left_out = len(lines) - len(sources)
    if left_out > 0:
        sources.append(f"… and {number(left_out)} more sources")
    if found.by_source.other is not None:
        sources.append(f"{number(found.by_source.other.attempts)} from (other)")
    when = f", {_range(found.first, found.last)}" if found.first and found.last else ""
    count = plural(found.count, "health probe")
    return f"Not counted: {count}{when}: {', '.join(sources)}."


def beyond(found: Beyond) -> list[str]:
    """Say what a store without failed logins does hold."""
    if found.newest is None:
        return [
            "The store holds no records: nothing was shipped to it, or nothing that could be read."
        ]
    if not found.newest:
        return ["None of its records has a readable time."]
    said = [f"Its newest record is of {_moment(found.newest)}."]
    if found.older:
        last = f", the last of {_moment(found.older_last)}" if found.older_last else ""
        said.append(f"It holds {plural(found.older, 'older failed login')}{last}: see --all.")
    return said


def _moment(time: str) -> str:
    return f"{printable(time[:10])} {printable(time[11:19])} UTC"


def limits(report: FailedLoginReport) -> list[str]:
    """Explain every limit that was met, and only those."""
    notes = []
    for word, other in (
        ("users", report.by_user.other),
        ("sources", report.by_source.other),
        ("errors", report.by_error.other),
    ):
        if other is not None:
            notes.append(_folded(word, other))
    if _has_lower_bounds(report):
        notes.append(
            f"A number with + is a lower bound: more than {number(GROUPS_MAX)} groups or "
            f"{number(DISTINCT_MAX)} distinct pairs."
        )
    if report.without_time:
        attempts = plural(report.without_time, "attempt")
        notes.append(
            f"{attempts} without a readable time: counted whatever the time looked at, in no burst "
            "and no time range."
        )
    if report.jumps_back:
        places = plural(report.jumps_back, "place")
        notes.append(f"Time jumps back at {places}: a burst across one is seen in parts.")
    return notes


def _folded(word: str, other: Other) -> str:
    bursts = f", {plural(other.bursts, 'burst')} among them" if other.bursts else ""
    return (
        f"More than {number(GROUPS_MAX)} {word}: the weakest {number(other.groups)} are "
        f"in (other){bursts}."
    )


def _has_lower_bounds(report: FailedLoginReport) -> bool:
    sections: tuple[Section[Any], ...] = (report.by_user, report.by_source, report.by_error)
    return bool(report.at_least) or any(
        line.at_least for section in sections for line in section.lines
    )


def user(key: str) -> str:
    """Write a user."""
    return _name(key) if key else "(no user)"


def source(key: str) -> str:
    """Write a source."""
    return key if key == SOCKET else _name(key)


def _name(text: str) -> str:
    """Write a name; in quotes where it could be taken for one of our words or for another name."""
    name = printable(text, _NAME_LIMIT)
    return f'"{name}"' if text.startswith(("(", '"')) or text != text.strip() else name


def error(code: Code) -> str:
    """Write the number of an error."""
    return "none" if code.status is None else str(code.status)


def meaning(code: Code) -> str:
    """Write what an error means, with its name."""
    return f"{code.meaning} ({code.symbol})" if code.symbol else code.meaning
