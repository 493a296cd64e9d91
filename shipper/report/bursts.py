"""The strongest burst of one group: the most attempts within any window of N seconds.

Time is counted in whole seconds, as nearly all servers write it (formats.md 1.5, 4.1): a window of
60 seconds is 60 of them in a row, so attempts at second 0 and second 59 share one, 0 and 60 do not.
Only a count for each second is kept, so no rate of attempts makes a window grow beyond four times
its length in entries.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class BurstWindow:
    """A window that slides over event time; rows may come late by less than its length.

    A row that is later than that starts the window anew: it belongs to another stretch of log (the
    four files of Aurora, formats.md 4.5), and a burst across the seam is then seen in two parts.
    """

    __slots__ = ("_counts", "_inside", "_length", "_seconds", "_start", "began", "strongest")

    def __init__(self, length_seconds: int) -> None:
        """Begin empty."""
        self._length = length_seconds
        self._seconds: list[int] = []  # ascending; only seconds that have attempts
        self._counts: list[int] = []
        self._start = 0  # index of the first second inside the window that ends with the newest
        self._inside = 0  # attempts inside that window
        self.strongest = 0
        self.began = 0  # second of the first attempt of the strongest burst

    def __len__(self) -> int:  # what it holds: seconds that had attempts
        return len(self._seconds)

    def add(self, second: int) -> None:
        """Count one attempt."""
        seconds = self._seconds
        newest = seconds[-1] if seconds else second - 1
        if second == newest:
            self._counts[-1] += 1
        elif newest - self._length < second < newest:
            self._insert(second)
            return
        else:
            if second < newest:
                self._restart()
            elif len(seconds) > 3 * self._length:
                self._prune()
            seconds.append(second)
            self._counts.append(1)
        self._slide(second, 1)

    def _restart(self) -> None:
        self._seconds.clear()
        self._counts.clear()
        self._start = self._inside = 0

    def _insert(self, second: int) -> None:
        """Count a late attempt: slide once more over every window that can hold it."""
        at = bisect_left(self._seconds, second)
        if self._seconds[at] == second:
            self._counts[at] += 1
        else:
            self._seconds.insert(at, second)
            self._counts.insert(at, 1)
        self._start = bisect_right(self._seconds, second - self._length)
        self._inside = 0
        for index in range(self._start, len(self._seconds)):
            self._slide(self._seconds[index], self._counts[index])

    def _slide(self, newest: int, count: int) -> None:
        """Move the window to end with `newest`, which has `count` more attempts."""
        seconds, start, inside = self._seconds, self._start, self._inside + count
        oldest = newest - self._length
        while seconds[start] <= oldest:
            inside -= self._counts[start]
            start += 1
        self._start, self._inside = start, inside
        if inside > self.strongest:
            self.strongest, self.began = inside, seconds[start]

    def _prune(self) -> None:
        """Forget seconds that no late row can share a window with: two lengths back."""
        old = bisect_right(self._seconds, self._seconds[-1] - 2 * self._length)
        del self._seconds[:old], self._counts[:old]
        self._start -= old
