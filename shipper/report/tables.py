"""Tables of the failed-login page: columns, times short enough for 80 columns, marks."""

from __future__ import annotations

from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from shipper.report.result import Line, Other

# From here on full dates fit beside the names.
WIDE: Final = 110
# Below, times go; below the next, the distinct counts as well: names, attempts and bursts are left.
NARROW: Final = 72
NARROWEST: Final = 52


class Clock:
    """Writes times as short as the range of the report and the width of the console allow."""

    def __init__(self, first: str | None, last: str | None, width: int) -> None:
        """Choose one form for the whole page."""
        first, last = first or "", last or ""
        self._days = first[:10] != last[:10]
        self._years = first[:4] != last[:4]
        self._wide = width >= WIDE
        self.shown = width >= NARROW
        self.counts = width >= NARROWEST

    def __call__(self, time: str | None) -> str:
        """Write one RFC 3339 time; "-" if there is none."""
        if time is None:
            return "-"
        if not self._days:
            return time[11:19]
        if self._wide:
            return f"{time[:10]} {time[11:19]}"
        return time[:10] if self._years else f"{time[5:10]} {time[11:16]}"


def number(count: int, *, at_least: bool = False) -> str:
    """Write a count: 1,234 or, as a lower bound, 1,234+."""
    return f"{count:,}{'+' if at_least else ''}"


def plural(count: int, word: str, *, at_least: bool = False) -> str:
    """Write a count with its word."""
    return f"{number(count, at_least=at_least)} {word}{'' if count == 1 else 's'}"


def table(title: str, clock: Clock, *, users: bool, sources: bool) -> Table:
    """Make an empty table; `title` heads the column of names. What has no room is left out."""
    grid = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    grid.add_column(title, overflow="fold", min_width=10)
    grid.add_column("Count", justify="right", no_wrap=True, style="bold")
    if users and clock.counts:
        grid.add_column("Users", justify="right", no_wrap=True)
    if sources and clock.counts:
        grid.add_column("Sources", justify="right", no_wrap=True)
    if clock.shown:
        grid.add_column("First", no_wrap=True)
        grid.add_column("Last", no_wrap=True)
    grid.add_column("Peak", justify="right", no_wrap=True)
    grid.add_column("", overflow="fold", min_width=8)
    return grid


def legend() -> Table:
    """Make an empty legend: a short word, and what it means with a hanging indent."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def add_line(grid: Table, name: str, line: Line[Any], clock: Clock) -> None:
    """Add one group; `name` is already safe to print."""
    cells = [Text(name), Text(number(line.attempts, at_least="attempts" in line.at_least))]
    for word, count in (("users", line.users), ("sources", line.sources)):
        if count is not None and clock.counts:
            cells.append(Text(number(count, at_least=word in line.at_least)))
    if clock.shown:
        cells += [Text(clock(line.first)), Text(clock(line.last))]
    cells.append(Text(number(line.peak.attempts) if line.peak else "-"))
    cells.append(_marks(line, clock))
    grid.add_row(*cells)


def add_other(grid: Table, other: Other, clock: Clock) -> None:
    """Add the groups that were folded away as one dim line."""
    cells = ["(other)", number(other.attempts)]
    times = [clock(other.first), clock(other.last)] if clock.shown else []
    cells += ["-"] * (len(grid.columns) - len(times) - 4)
    cells += [*times, "-", ""]
    grid.add_row(*(Text(cell, "dim italic") for cell in cells))


def _marks(line: Line[Any], clock: Clock) -> Text:
    marks = []
    if line.peak is not None and line.peak.burst:
        marks.append(Text(f"burst {clock(line.peak.began)}", "bold red"))
    if line.spray:
        marks.append(Text("spray", "bold magenta"))
    return Text(", ").join(marks)
