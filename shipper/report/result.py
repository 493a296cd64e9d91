"""What the analysis of failed logins finds; `document.py` and `render.py` show it.

Times are RFC 3339 in UTC, whole seconds. `at_least` names the numbers that are lower bounds,
because a limit of `groups.py` was met.
"""

from __future__ import annotations

from typing import Final, Generic

from msgspec import Struct

from shipper.codes import Code
from shipper.report.groups import Key
from shipper.report.hours import Hours


class Peak(Struct, frozen=True):
    """The strongest burst of a group."""

    attempts: int
    began: str
    burst: bool  # reached the threshold


class Line(Struct, Generic[Key], frozen=True, kw_only=True):
    """One user, source or error of the report. Times are RFC 3339 in UTC, whole seconds."""

    key: Key
    attempts: int
    users: int | None = None  # distinct; None: not asked of this dimension
    sources: int | None = None
    first: str | None = None
    last: str | None = None
    peak: Peak | None = None  # None: no attempt has a time
    spray: bool = False
    at_least: tuple[str, ...] = ()  # which of the numbers above are lower bounds


class Other(Struct, frozen=True):
    """The groups that were folded away; `groups` counts one again that came back."""

    groups: int
    attempts: int
    bursts: int
    first: str | None
    last: str | None


class Section(Struct, Generic[Key], frozen=True):
    """One dimension: most attempts first, then by name."""

    lines: list[Line[Key]]
    other: Other | None

    @property
    def bursts(self) -> int:
        """How many groups had a burst."""
        kept = sum(line.peak is not None and line.peak.burst for line in self.lines)
        return kept + (self.other.bursts if self.other else 0)


class Probes(Struct, frozen=True):
    """Health probes, apart from everything else."""

    count: int
    first: str | None
    last: str | None
    by_source: Section[str]


class Beyond(Struct, frozen=True):
    """What a store holds beside the rows of a report.

    A report of the last day is empty as well where nothing was shipped for two.
    """

    newest: str | None  # time of its newest record of any kind; "": unknown; None: it has none
    older: int | None = None  # failed logins before `since`; None: not counted, because some came
    older_last: str | None = None  # the last of those


class About(Struct, frozen=True, kw_only=True):
    """What a report was made from."""

    store: str = ""
    since: str | None = None  # RFC 3339 UTC; None: all of it
    beyond: Beyond | None = None  # None: nobody asked


NOTHING_SAID: Final = About()


class FailedLoginReport(Struct, frozen=True, kw_only=True):
    """What `analyse` found."""

    attempts: int
    users: int
    sources: int
    at_least: tuple[str, ...]
    first: str | None
    last: str | None
    names: dict[str, int]  # attempts by the server's word
    without_time: int  # attempts that no burst and no time range can hold
    by_hour: Hours
    jumps_back: int  # places where time goes back by a window or more: seams of bursts
    burst_attempts: int
    burst_window_seconds: int
    by_user: Section[str]
    by_source: Section[str]
    by_error: Section[Code]
    probes: Probes
