"""Findings as a file of JSON lines: one `event.kind: alert` document each, for any collector.

A line is written before the batch that it came from is committed, so a crash loses no finding; it
may write one again, with the same `event.id`. A disk that is full must not stop the counting: what
cannot be written waits, which is told as trouble; the log and the metrics have told it anyway.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from typing import Final

import msgspec

from shipper.clock import Clock, rfc3339
from shipper.document.alert import alert, record_of
from shipper.errors import MisconfiguredError
from shipper.notices import Detected, Mended, Notice, Tell, Trouble

WAITING_MAX: Final = 1000  # findings, a kilobyte each; then the oldest go
RETRY_SECONDS: Final = 10  # a disk that is full stays so for a while


class AlertFile:
    """Appends to one file, whoever rotates it by renaming."""

    def __init__(
        self,
        path: str,
        clock: Clock,
        *,
        instance: str = "",
        tell: Tell = lambda _notice: None,
    ) -> None:
        """Make sure that the file can be written. Raises MisconfiguredError."""
        self._path = path
        self._instance = instance  # which server it is about: files of many are collected
        self._clock = clock
        self._lock = threading.Lock()  # each source has a detector, in a thread of its own
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        self._tell = tell
        self._failing = False
        self._retry = 0.0  # not before, monotonic
        try:
            os.close(self._open())
        except OSError as error:
            raise MisconfiguredError(f"cannot write {path}: {error.strerror}") from error

    def _open(self) -> int:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def hear(self, notice: Notice) -> None:
        """Write a finding, durably; what cannot be written is tried again, with any notice."""
        if isinstance(notice, Detected):
            finding, now = record_of(notice.detection), rfc3339(self._clock.now())
            document = alert(finding, instance=self._instance, ingested=now)
            with self._lock:
                self._waiting.append(msgspec.json.encode(document) + b"\n")
        elif not self._waiting or self._clock.monotonic() < self._retry:
            return
        self._empty()

    def close(self) -> None:
        """Try a last time to write what waits."""
        if self._waiting:
            self._empty()

    def _empty(self) -> None:
        said: Notice | None = None
        with self._lock:
            try:
                self._write()
            except OSError as error:
                self._retry = self._clock.monotonic() + RETRY_SECONDS
                text = f"alerts: cannot write {self._path}: {error.strerror}; they wait"
                said, self._failing = None if self._failing else Trouble("", "", text), True
            else:
                if self._failing:
                    said, self._failing = Mended("", "", f"alerts: {self._path} is written"), False
        if said is not None:  # comes back here: not under the lock
            self._tell(said)

    def _write(self) -> None:
        # Opened anew each time: findings are rare, and the file may have been rotated.
        fd = self._open()
        try:
            while self._waiting:
                _append(fd, self._waiting[0])
                self._waiting.popleft()
            os.fsync(fd)
        finally:
            os.close(fd)


def _append(fd: int, line: bytes) -> None:
    """Append a whole line, or nothing: a disk that gets full takes a part of it."""
    count = os.write(fd, line)
    if count < len(line):
        # Where it was put, and not where the file ended before: other workers append to it, too.
        os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR) - count)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
