"""The failed-login report as a page for a terminal; `to_json` is the same for machines.

    23 failed logins by 6 users from 4 sources, 2026-03-01 10:00:00 to 10:05:00 UTC; bursts: 1 user

Every text that a log can choose goes through `terminal.printable` and into a `rich.text.Text`:
neither control characters nor rich's own markup in it are interpreted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from shipper.codes import Code
from shipper.errors import UsageError
from shipper.report import sentences
from shipper.report.document import to_json
from shipper.report.failed_logins import SPRAY_USERS
from shipper.report.result import NOTHING_SAID, About, FailedLoginReport, Line, Section
from shipper.report.tables import Clock, add_line, add_other, legend, number, table
from shipper.terminal import encodable, printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["render", "to_json"]

SECTIONS: Final = ("user", "source", "error")


def render(
    report: FailedLoginReport,
    console: Console,
    *,
    by: str | None = None,
    top: int = 20,
    about: About = NOTHING_SAID,
) -> None:
    """Print the report: all sections, or the one of `by`; `top` lines of each."""
    if by is not None and by not in SECTIONS:
        raise UsageError(f"no section {by!r}: there are {', '.join(SECTIONS)}")
    page = _Page(report, console, top)
    page.head(about)
    for section in SECTIONS if by is None else (by,):
        if report.attempts:
            page.section(section)
    page.foot()


class _Page:
    """One printing of one report."""

    def __init__(self, report: FailedLoginReport, console: Console, top: int) -> None:
        self._report, self._console, self._top = report, console, top
        self._clock = Clock(report.first, report.last, console.width)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(self._safe(text), style, overflow="fold"))

    def head(self, about: About) -> None:
        """Say in one line what happened, then what was looked at."""
        report = self._report
        where = printable(about.store) if about.store else "the given rows"
        when = f"since {printable(about.since)}" if about.since else "from its beginning"
        if not report.attempts:
            self._print(f"No failed logins in {where}, {when}.", "bold")
            for said in sentences.beyond(about.beyond) if about.beyond else ():
                self._print(said, "yellow")
        else:
            self._print(sentences.summary(report), "bold")
            records = [f"{number(n)} {printable(name, 40)}" for name, n in report.names.items()]
            self._print(f"Looked at {where}, {when}. Records: {', '.join(records)}.", "dim")
        if report.probes.count:
            self._print(sentences.probes(report.probes), "dim")

    def section(self, by: str) -> None:
        """Print one table, and for errors what their numbers mean."""
        report, top = self._report, self._top
        self._console.print()
        if by == "user":
            names = [sentences.user(line.key) for line in report.by_user.lines[:top]]
            self._table("User", names, report.by_user, sources=True)
        elif by == "source":
            names = [sentences.source(line.key) for line in report.by_source.lines[:top]]
            self._table("Source", names, report.by_source, users=True)
        else:
            codes = [line.key for line in report.by_error.lines[:top]]
            names = [f"{sentences.error(code)} {code.category.value}" for code in codes]
            self._table("Error", names, report.by_error, users=True, sources=True)
            self._meanings(codes)

    def _meanings(self, codes: Sequence[Code]) -> None:
        grid = legend()
        for code in codes:
            grid.add_row(sentences.error(code), Text(self._safe(sentences.meaning(code))))
        self._console.print()
        self._console.print(grid)

    def _table(
        self,
        title: str,
        names: Sequence[str],
        section: Section[Any],
        *,
        users: bool = False,
        sources: bool = False,
    ) -> None:
        grid = table(title, self._clock, users=users, sources=sources)
        lines: Sequence[Line[Any]] = section.lines
        for name, line in zip(names, lines, strict=False):
            add_line(grid, self._safe(name), line, self._clock)
        if section.other is not None:
            add_other(grid, section.other, self._clock)
        self._console.print(grid)
        left_out = len(section.lines) - len(names)
        if left_out > 0:
            self._print(f"… and {number(left_out)} more", "dim")

    def _safe(self, name: str) -> str:
        return encodable(name, self._console.encoding)

    def foot(self) -> None:
        """Explain the marks, and every limit that was met."""
        report = self._report
        if not report.attempts:
            return
        self._console.print()
        self._print(
            f"Times are UTC. Peak: most attempts within {report.burst_window_seconds} seconds; "
            f"burst: {report.burst_attempts} or more; spray: one source tried {SPRAY_USERS} or "
            "more users.",
            "dim",
        )
        for note in sentences.limits(report):
            self._print(note, "yellow")
