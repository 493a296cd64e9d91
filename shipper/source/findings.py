"""The findings log: what a detector found, kept on disk until every sink that wants it has it.

    state/findings/<source>/<number>.log      one JSON object a line (shipper.detection.to_line)

Guarantee: `save` returns when all that was `put` is on the disk, and the detector's position moves
only after that. So a finding is lost by no crash, and it stands here once: those that a crash makes
the detector find again are known by their ids and passed over.

Theory of operation. The log is a function of the audit log: the same findings in the same order
give the same bytes in the same files, whatever was killed when. A file ends with the line that
makes it `FILE_BYTES` long; a torn line is cut off at the next start and written again; nothing else
is ever taken back. So a finding has a place of its own, as a record of the audit log has, and the
lanes that follow this log promise the same for both. What may be found again are the findings of
one delivery, the last: they lie in the last files, which therefore are kept, and read at the start.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shipper.detection import Detection, from_line, to_line
from shipper.errors import UnavailableError
from shipper.source.base import SourceSettings

# Some ten thousand findings. More than one delivery can bring: a megabyte of log with nothing in it
# but records that each are a finding makes three of findings.
FILE_BYTES: Final = 4 * 1024 * 1024
# The last files that have something, kept for what may be found again: one delivery's findings lie
# in two of them at most.
KEPT_FILES: Final = 2
# 200,000 findings, or four million refused logins, while a target is away.
BYTES_MAX: Final = 64 * 1024 * 1024

_NAME: Final = re.compile(r"(\d{10})\.log")


class FindingsSettings(SourceSettings, frozen=True, kw_only=True, tag="findings"):
    """The findings of one source as a source; nobody configures it, so it is not in SOURCES."""

    directory: str
    format: str | None = "finding"


class Findings:
    """Appends, and removes what was shipped. Thread-safe."""

    def __init__(
        self, directory: Path, *, file_bytes: int = FILE_BYTES, bytes_max: int = BYTES_MAX
    ) -> None:
        """Go on in the last file. Raises UnavailableError."""
        self._directory = directory
        self._file_bytes = file_bytes
        self._bytes_max = bytes_max
        self._lock = threading.Lock()  # over all that follows
        self._waiting: deque[bytes] = deque()  # lines, the first perhaps partly written
        self._torn = False  # the file ends inside of the first line that waits
        self._shipped: set[Path] = set()  # and not removed yet
        self._fd = -1
        with self._reporting():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            files = self.segments()
            self._open(files[-1] if files else directory / f"{1:010}.log")
            # Behind the cut of a torn line: it is not known, though only its end may be missing.
            self._known = {id_ for path in self._filled(files)[-KEPT_FILES:] for id_ in _ids(path)}

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            text = f"cannot write the findings in {self._directory}: {error.strerror}"
            raise UnavailableError(text, reason="rejected") from error

    def _open(self, path: Path) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self.current = path  # the file that is written to
        content = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        self._size = content.rfind(b"\n") + 1
        os.ftruncate(self._fd, self._size)
        self._synced = 0  # what an earlier process wrote may not be on the disk
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)  # or a power cut may take the name away from synced bytes
        finally:
            os.close(folder)

    # --- writing ---------------------------------------------------------------------------

    def put(self, detection: Detection) -> None:
        """Take a finding for the next `save`; one that the log has already is passed over."""
        with self._lock:
            if detection.id not in self._known:
                self._waiting.append(to_line(detection))

    def save(self) -> bool:
        """Bring all that was put to the disk; False where nothing was.

        Raises UnavailableError; then nothing is forgotten.

        Waiting is how a target that is away for long reaches the detector: it stands still, and
        the audit log keeps what it has not seen.
        """
        with self._lock:
            if not self._waiting and self._synced == self._size:
                return False
            with self._reporting():
                if os.fstat(self._fd).st_nlink == 0:  # deleted: nobody would find what is written
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
                room = self._bytes_max - sum(path.stat().st_size for path in self.segments())
                while self._waiting:
                    room -= len(self._waiting[0])
                    self._check(room)
                    self._write_line()
                self._sync()
            return True

    def _check(self, room: int) -> None:
        if room < 0:
            raise UnavailableError(
                f"the findings in {self._directory} are full ({self._bytes_max:,} bytes): a sink "
                "with `alerts` has taken none for long. Detection goes on when it takes them",
                reason="rejected",
            )

    def _write_line(self) -> None:
        if self._size >= self._file_bytes and not self._torn:
            self._sync()
            number = int(self.current.stem) + 1
            self._open(self._directory / f"{number:010}.log")
        while line := self._waiting[0]:
            count = os.pwrite(self._fd, line, self._size)
            self._size += count
            self._waiting[0] = line[count:]
            self._torn = True
        self._waiting.popleft()
        self._torn = False

    def _sync(self) -> None:
        """Wait for the disk. What it has refused once is written again: the kernel forgets it."""
        begin, self._synced = self._synced, -1
        if begin < 0:
            os.pwrite(self._fd, os.pread(self._fd, self._size, 0), 0)
        os.fsync(self._fd)
        self._synced = self._size

    # --- for whoever follows it --------------------------------------------------------------

    def segments(self) -> list[Path]:
        """Give the files, the oldest first; all but the last are complete."""
        try:
            found = [path for path in self._directory.iterdir() if _NAME.fullmatch(path.name)]
        except FileNotFoundError:  # somebody deleted the folder
            return []
        return sorted(found)

    @staticmethod
    def _filled(files: list[Path]) -> list[Path]:
        return [path for path in files if path.stat().st_size]

    def remove(self, segment: Path) -> bool:
        """Delete a complete file that all lanes have, as soon as it is none of the last.

        False while it stays. Raises OSError.
        """
        with self._lock:
            if segment == self.current:
                return False
            files = self.segments()
            self._shipped = (self._shipped | {segment}) & set(files)
            kept = {self.current, *self._filled(files)[-KEPT_FILES:]}
            for path in self._shipped - kept:
                path.unlink()
            return segment not in kept

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._fd >= 0:
                fd, self._fd = self._fd, -1
                os.close(fd)


def _ids(path: Path) -> Iterator[str]:
    for line in path.read_bytes().splitlines():
        try:
            yield from_line(line).id
        except ValueError:  # of a later version of this program
            continue
