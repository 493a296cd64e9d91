"""Names of indexes: a pattern with a day or a month in it, and what a name tells.

    IndexName("mysql-audit-%Y.%m.%d").of("2024-09-03") -> "mysql-audit-2024.09.03"

The name comes from the record's own time, so that a record that is sent again, however late, meets
itself in the same index.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cached_property
from typing import Final

# What OpenSearch allows in a name, and no first character that it or a data stream reserves.
_PLAIN: Final = r"[a-z0-9][a-z0-9_.-]{0,199}"
PATTERN: Final = rf"{_PLAIN}|{_PLAIN}[_.-]%Y[_.-]?%m(?:[_.-]?%d)?"
# Where a record goes whose time cannot be read, or is no time at which MySQL existed. A fixed place
# and not the day of arrival: sent again on the next day it would be there twice. And a log full of
# made-up dates must not make an index for each of them.
UNDATED: Final = "undated"
_EARLIEST: Final = "1995-01-01"
_LATEST: Final = "2099-12-31"
_YEARS: Final = ("199", "20")  # how those years begin


class IndexName:
    """A pattern of index names: daily, monthly, or one plain name."""

    def __init__(self, pattern: str) -> None:
        """Take a pattern that matches PATTERN."""
        self.pattern = pattern
        self._before, self.dated, _ = pattern.partition("%Y")

    def of(self, day: str) -> str:
        """Name the index of a day, `2024-09-03`; anything that is no likely day is `undated`."""
        if not self.dated:
            return self.pattern
        if not _EARLIEST <= day <= _LATEST:
            return self._before + UNDATED
        year, month, number = day[:4], day[5:7], day[8:10]
        name = self.pattern.replace("%Y", year).replace("%m", month)
        return name.replace("%d", number)

    @property
    def base(self) -> str:
        """The name without its date: what templates and policies are called by."""
        return self._before.rstrip("_.-")

    @property
    def wildcard(self) -> str:
        """A pattern to search and to ask with: all indexes of this one, and perhaps others."""
        return f"{self._before}*" if self.dated else self.pattern

    @property
    def by_year(self) -> list[str]:
        """Patterns of this one's indexes alone, `…-undated` left out: for what makes or deletes.

        `audit-*` would take those of `audit-prod-%Y.%m.%d` too.
        """
        return [f"{self._before}{year}*" for year in _YEARS] if self.dated else [self.pattern]

    @property
    def all_patterns(self) -> list[str]:
        """Patterns of all this one's indexes."""
        return [*self.by_year, self._before + UNDATED] if self.dated else [self.pattern]

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        text = re.escape(self.pattern).replace("%Y", r"(?P<year>\d{4})")
        text = text.replace("%m", r"(?P<month>\d{2})").replace("%d", r"(?P<day>\d{2})")
        return re.compile(text)

    def ends(self, name: str) -> date | None:
        """Give the first day after what an index of this name holds; None for any other name."""
        match = self._expression.fullmatch(name) if self.dated else None
        if match is None:
            return None
        year, month, day = (
            int(match.groupdict().get(key) or 1) for key in ("year", "month", "day")
        )
        try:
            if "day" in match.groupdict():
                return date(year, month, day) + timedelta(days=1)
            return date(year + month // 12, month % 12 + 1, 1)
        except (ValueError, OverflowError):
            return None
