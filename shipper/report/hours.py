"""Attempts by the hour: bounded, whatever times a log claims."""

from __future__ import annotations

from typing import Final

HOUR_SECONDS: Final = 3600
# A year and a bit. A store that holds more, or a log with made-up times, loses its oldest hours.
HOURS_MAX: Final = 24 * 400


class Hours:
    """Counts by hour since 1970."""

    def __init__(self) -> None:
        """Begin with none."""
        self.counts: dict[int, int] = {}
        self.folded = 0  # attempts of hours that found no room

    def add(self, second: int | None) -> None:
        """Count one attempt; one without a time belongs to no hour."""
        if second is None:
            return
        hour = second // HOUR_SECONDS
        self.counts[hour] = self.counts.get(hour, 0) + 1
        if len(self.counts) > HOURS_MAX:
            self.folded += self.counts.pop(min(self.counts))
