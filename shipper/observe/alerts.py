"""Findings as a file of JSON lines: one `event.kind: alert` document each, for any collector.

A line is written before the batch that it came from is committed, so a crash loses no finding; it
may write one again, with the same `event.id`. A disk that is full must not stop the counting: what
cannot be written waits, and the log and the metrics have told it anyway.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from typing import Final

import msgspec

from shipper.clock import Clock, rfc3339
from shipper.document.alert import alert, record_of
from shipper.errors import MisconfiguredError
from shipper.notices import Detected, Notice

WAITING_MAX: Final = 1000  # findings, a kilobyte each; then the oldest go


class AlertFile:
    """Appends to one file, whoever rotates it by renaming."""

    def __init__(self, path: str, clock: Clock, *, instance: str = "") -> None:
        """Make sure that the file can be written. Raises MisconfiguredError."""
        self._path = path
        self._instance = instance  # which server it is about: files of many are collected
        self._clock = clock
        self._lock = threading.Lock()  # each source has a detector, in a thread of its own
        self._waiting: deque[bytes] = deque(maxlen=WAITING_MAX)
        try:
            os.close(self._open())
        except OSError as error:
            raise MisconfiguredError(f"cannot write {path}: {error.strerror}") from error

    def _open(self) -> int:
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, flags, 0o600)

    def hear(self, notice: Notice) -> None:
        """Write a finding, durably; what cannot be written now waits for the next one."""
        if not isinstance(notice, Detected):
            return
        finding, now = record_of(notice.detection), rfc3339(self._clock.now())
        document = alert(finding, instance=self._instance, ingested=now)
        with self._lock:
            self._waiting.append(msgspec.json.encode(document) + b"\n")
            with contextlib.suppress(OSError):
                self._write()

    def _write(self) -> None:
        # Opened anew each time: findings are rare, and the file may have been rotated.
        fd = self._open()
        try:
            while self._waiting:
                os.write(fd, self._waiting[0])
                self._waiting.popleft()
            os.fsync(fd)
        finally:
            os.close(fd)
