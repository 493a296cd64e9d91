"""The files of a spool: `<name>.<sequence>.log`, oldest first, appended to by one writer.

A file is complete when there is one with a higher number; the highest is the open one, and may be
empty. Numbers are never used twice while any file is left. A file ends where a record ends, as far
as lines tell, and what a crash tore stays as the end of its file: the next process begins another.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from pathlib import Path
from typing import Final

# Lines that begin a record in one of the formats: a file should begin with one. A guess that is
# wrong costs a defect at the border, nothing else.
_RECORD: Final = re.compile(
    rb"""^(?:<[0-9?]|[ \t]*<AUDIT_RECORD|\{|"[A-Z][A-Za-z ]*","|[0-9]{8}[ ]|[0-9]{16},"""
    rb"""|[0-9]{4}-[0-9]{2}-|[A-Z][a-z]{2}[ ][ 0-9][0-9][ ][0-9]{2}:)""",
    re.MULTILINE,
)
# A file that finds no such line ends at any line once it is so many times too large.
_OVERLONG: Final = 2


class Segments:
    """Appends, counts and removes. `remove` may be called from other threads than the writer's."""

    def __init__(self, directory: Path, name: str, segment_bytes: int) -> None:
        """Begin a new file behind those that are there. Raises OSError."""
        self._directory = directory
        self._name = name
        self._segment_bytes = segment_bytes
        self._pattern = re.compile(rf"{re.escape(name)}\.(\d{{10,}})\.log")
        self._lock = threading.Lock()  # over _sizes
        self._sizes: dict[Path, int] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.paths()
        self._sequence = self._number(found[-1]) if found else 0
        for path in found:
            size = path.stat().st_size
            self._sizes[path] = size
            if size == 0:
                path.unlink()
        self._fd = -1
        self._size = 0  # of the open file
        self._border = 0  # where the last whole append ended in it
        self._begin()

    def _number(self, path: Path) -> int:
        match = self._pattern.fullmatch(path.name)
        return int(match[1]) if match else 0

    def paths(self) -> list[Path]:
        """Give all files, the oldest first."""
        try:
            return sorted(filter(self._number, self._directory.iterdir()), key=self._number)
        except FileNotFoundError:  # somebody deleted the folder; the next write makes it again
            return []

    @property
    def total(self) -> int:
        """Bytes in all files."""
        with self._lock:
            return sum(self._sizes.values())

    @property
    def current(self) -> Path:
        """The open file."""
        return self._directory / f"{self._name}.{self._sequence:010}.log"

    def _begin(self) -> None:
        self._sequence += 1
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self.current, flags, 0o600)
        self._size = self._border = 0
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # or a power cut may take the name away from synced bytes
        finally:
            os.close(folder)

    def finish(self) -> None:
        """Complete the open file, if anything is in it, and begin the next. Raises OSError."""
        if self._size == 0 and self._fd >= 0:
            return
        self._release()
        self._begin()

    def _release(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def head(self, lines: memoryview) -> int:
        """Say how many of these whole lines belong into the open file; 0: begin the next first."""
        if self._size + len(lines) <= self._segment_bytes:
            return len(lines)
        begin = max(self._segment_bytes - self._size, 0)
        # The first line may only begin the next file where this one has reached its size.
        found = _RECORD.search(lines, begin)
        if found is not None:
            return found.start()
        return 0 if self._size >= _OVERLONG * self._segment_bytes else len(lines)

    def write(self, data: memoryview) -> int:
        """Append some of `data` and say how much. Raises OSError."""
        self._leave_if_deleted()
        if self._fd < 0:
            self._begin()
        count = os.write(self._fd, data)
        self._size += count
        self._add(count)
        return count

    def _leave_if_deleted(self) -> None:
        """Give up a file that somebody deleted: nobody would find what is written into it."""
        if self._fd >= 0 and self._size == self._border and os.fstat(self._fd).st_nlink == 0:
            self._give_up()
            with self._lock:
                self._sizes.pop(self.current, None)

    def end_append(self, *, sync: bool) -> None:
        """Say that the file ends with a whole line now; `sync`: wait for the disk. Raises OSError.

        Where the disk refuses, what it holds is unknown: the file is given up, and the next append
        begins another.
        """
        if sync:
            try:
                os.fsync(self._fd)
            except OSError:
                self.take_back()
                self._give_up()
                raise
        self._border = self._size

    def take_back(self) -> None:
        """Cut off what was written since the last whole append, or else leave it torn for good."""
        if self._fd < 0 or self._size == self._border:
            return
        try:
            os.ftruncate(self._fd, self._border)
        except OSError:
            self._give_up()
        else:
            self._add(self._border - self._size)
            self._size = self._border

    def _give_up(self) -> None:
        fd, self._fd = self._fd, -1
        with contextlib.suppress(OSError):
            os.close(fd)

    def remove(self, path: Path) -> bool:
        """Delete a complete file; False for the open one and for what is no file of ours."""
        if not self._number(path) or path.parent != self._directory or path == self.current:
            return False
        with self._lock:
            self._sizes.pop(path, None)  # also where somebody else deleted it
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        return True

    def _add(self, count: int) -> None:
        with self._lock:
            self._sizes[self.current] = self._sizes.get(self.current, 0) + count

    def close(self) -> None:
        """Wait for the disk and close the open file. Raises OSError."""
        self._release()
