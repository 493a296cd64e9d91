"""The failed-login report as one file that can be mailed: tables and plots, nothing from elsewhere.

It is the report of `render.py` for people without a terminal. Every text that a log can choose goes
through `markup.text`; the page has no script and forbids itself to load anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from shipper.codes import Code
from shipper.markup import STYLE, Html, columns, element, join, page, ranking, table, text
from shipper.report import sentences
from shipper.report.failed_logins import SPRAY_USERS
from shipper.report.hours import HOUR_SECONDS
from shipper.report.result import NOTHING_SAID, About, FailedLoginReport, Line, Section
from shipper.report.seconds import rfc3339

# Bars that can be told apart on a page.
PLOT_BARS: Final = 12
# Columns of the plot over time: more are thinner than a line. Then a column stands for more hours.
PLOT_COLUMNS: Final = 120
# A day: one hour alone would be one block as wide as the page.
PLOT_HOURS_MIN: Final = 24

_Name = Callable[[Any], str]


def to_html(
    report: FailedLoginReport,
    *,
    top: int = 20,
    about: About = NOTHING_SAID,
) -> bytes:
    """Write the page; `top` lines of each table."""
    parts = [_head(report, about)]
    if report.attempts:
        parts += [
            _numbers(report),
            _over_time(report),
            element(
                "div",
                _plot("By source", report.by_source, sentences.source),
                _plot("By user", report.by_user, sentences.user),
                class_="grid wide",
            ),
            _table("Sources", "Source", report.by_source, sentences.source, top),
            _table("Users", "User", report.by_user, sentences.user, top),
            _table("Reasons", "Error", report.by_error, _reason, top),
        ]
    parts.append(_foot(report))
    return page("Failed logins", STYLE, *parts)


def _head(report: FailedLoginReport, about: About) -> Html:
    said = sentences.summary(report) if report.attempts else "No failed logins."
    when = f"since {about.since}" if about.since else "all of it"
    looked = f"Looked at {about.store or 'the given rows'}, {when}."
    lines = [element("p", text(said, 1000)), element("p", text(looked, 1000), class_="soft")]
    if about.beyond and not report.attempts:
        lines += [element("p", text(said, 1000)) for said in sentences.beyond(about.beyond)]
    if report.probes.count:
        lines.append(element("p", text(sentences.probes(report.probes), 1000), class_="soft"))
    return element("header", element("h1", text("Failed logins")), *lines)


def _numbers(report: FailedLoginReport) -> Html:
    spraying = sum(line.spray for line in report.by_source.lines)
    numbers = (
        ("failed logins", report.attempts, "", False),
        ("users", report.users, "users", False),
        ("sources", report.sources, "sources", False),
        ("sources with a burst", report.by_source.bursts, "", True),
        ("users with a burst", report.by_user.bursts, "", True),
        ("sources that spray", spraying, "", True),
    )
    cards = [
        element(
            "div",
            element(
                "p",
                text(f"{count:,}{'+' if bound in report.at_least else ''}"),
                class_="big bad" if alarming and count else "big",
            ),
            element("p", text(word), class_="soft"),
            class_="card",
        )
        for word, count, bound, alarming in numbers
    ]
    return element("div", *cards, class_="grid numbers")


def _over_time(report: FailedLoginReport) -> Html:
    counts = report.by_hour.counts
    if not counts:
        return Html()
    last = max(counts)
    first = min(*counts, last - PLOT_HOURS_MIN + 1)
    width = -(-(last - first + 1) // PLOT_COLUMNS)  # hours a column
    values = [0] * (-(-(last - first + 1) // width))
    for hour, count in counts.items():
        values[(hour - first) // width] += count
    labels = [_hour(first + index * width) for index in range(len(values))]
    unit = "hour" if width == 1 else f"{width} hours"
    title = f"Failed logins by {unit}"
    return element("section", element("h2", text(title)), columns(values, labels, title=title))


def _hour(hour: int) -> str:
    moment = rfc3339(hour * HOUR_SECONDS) or ""
    return moment[:16].replace("T", " ")


def _plot(title: str, section: Section[Any], name: _Name) -> Html:
    bars = [(name(line.key), line.attempts) for line in section.lines[:PLOT_BARS]]
    more = len(section.lines) - len(bars)
    rest = element("p", text(f"… and {more:,} more"), class_="soft") if more > 0 else Html()
    return element("section", element("h2", text(title)), ranking(bars, title=title), rest)


def _reason(code: Code) -> str:
    return f"{sentences.error(code)} {sentences.meaning(code)}"


def _table(title: str, heading: str, section: Section[Any], name: _Name, top: int) -> Html:
    shown: Sequence[Line[Any]] = section.lines[:top]
    words = [word for word in ("users", "sources") if getattr(shown[0], word) is not None]
    headings = (heading, "Count", *(word.capitalize() for word in words), "First", "Last", "Peak")
    rows = [_row(line, name(line.key), words) for line in shown]
    numbers = ",".join(map(str, range(1, 2 + len(words))))
    notes = []
    if section.other is not None:
        other = section.other
        notes.append(f"Others, folded together: {other.groups:,} with {other.attempts:,} attempts.")
    if len(section.lines) > len(shown):
        notes.append(f"… and {len(section.lines) - len(shown):,} more.")
    said = [element("p", text(note), class_="soft") for note in notes]
    return element(
        "section", element("h2", text(title)), table((*headings, "Marks"), rows, numbers), *said
    )


def _row(line: Line[Any], name: str, words: Sequence[str]) -> list[Html]:
    cells = [text(name), _number(line, "attempts")]
    cells += [_number(line, word) for word in words]
    cells += [text(_moment(line.first)), text(_moment(line.last))]
    cells.append(text(f"{line.peak.attempts:,}" if line.peak else "-"))
    marks = []
    if line.peak is not None and line.peak.burst:
        marks.append(element("span", text(f"burst {_moment(line.peak.began)}"), class_="mark bad"))
    if line.spray:
        marks.append(element("span", text("spray"), class_="mark warn"))
    return [*cells, join(marks, " ")]


def _number(line: Line[Any], word: str) -> Html:
    return text(f"{getattr(line, word):,}{'+' if word in line.at_least else ''}")


def _moment(moment: str | None) -> str:
    return moment[:19].replace("T", " ") if moment else "-"


def _foot(report: FailedLoginReport) -> Html:
    legend = (
        f"Times are UTC. Peak: most attempts within {report.burst_window_seconds} seconds; "
        f"burst: {report.burst_attempts} or more; spray: one source tried {SPRAY_USERS} or more "
        "users."
    )
    notes = [legend, *sentences.limits(report)]
    return join(element("p", text(note, 1000), class_="soft") for note in notes)
