"""A place on disk for input that cannot be read twice; lanes read it like any log.

The strategies are the audit plugin's own, with the same promises:

    ASYNCHRONOUS      buffer in memory; when it is full, wait (the default)
    PERFORMANCE       buffer in memory; when it is full, drop and count, never wait
    SEMISYNCHRONOUS   write before going on
    SYNCHRONOUS       write and wait for the disk before going on

A crash of this process loses at most the buffer; a power cut, at most what the kernel had not
written, with SYNCHRONOUS nothing. Waiting is how a full spool reaches the sender: its pipe or
connection is not read.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta

from shipper.clock import Clock, SystemClock
from shipper.errors import UnavailableError
from shipper.notices import Dropped, Mended, Tell, Trouble, ignore
from shipper.settings import Settings
from shipper.source.segments import Segments

Strategy = Literal["asynchronous", "performance", "semisynchronous", "synchronous"]

# Why lines were dropped; closed, because metrics use it as a label.
BUFFER_FULL: Final = "buffer_full"
STOPPED: Final = "stopped"  # the process ended while the spool could not be written

# A full disk is tried again this often: the operator who made room should not have to wait.
RETRY_SECONDS: Final = 1.0
# What comes in little pieces is gathered for so long before it is written, unless the buffer fills:
# a write for each message would cost more than the message.
_GATHER_SECONDS: Final = 0.05
# Drops come by the thousand; they are told at most this often.
_TELL_SECONDS: Final = 1.0
# What a waiting caller takes to see that it should stop.
_STOP_SECONDS: Final = 0.1
# How long `close` tries to empty the buffer: half of the time that an orchestrator usually gives.
CLOSE_SECONDS: Final = 10.0


class SpoolSettings(Settings, frozen=True, kw_only=True):
    """How input is kept until all sinks have it."""

    strategy: Strategy = "asynchronous"
    # The plugin's default and smallest size; used by the first two strategies.
    buffer_size_bytes: Annotated[int, Meta(ge=4096)] = 1024 * 1024
    # All files together. About ten minutes of a very busy server (2 MB/s).
    size_bytes_max: Annotated[int, Meta(ge=1024 * 1024)] = 1024 * 1024 * 1024
    # Of one file. Disk is freed file by file, so small against the whole; large against a record.
    segment_bytes: Annotated[int, Meta(ge=4096)] = 16 * 1024 * 1024

    def problems(self) -> Iterator[str]:
        """Find sizes that do not fit into each other."""
        if self.buffer_size_bytes > self.segment_bytes:
            yield "buffer_size_bytes is larger than segment_bytes: make it smaller"
        if self.size_bytes_max < 4 * self.segment_bytes:
            # A file may become twice its size, and one is read while the next is written.
            yield "size_bytes_max is less than 4 times segment_bytes: it would soon be full"


class Drops(NamedTuple):
    """What was lost on purpose."""

    records: int = 0  # lines
    size: int = 0  # bytes

    def plus(self, records: int, size: int) -> Drops:
        """Give the sum with what was dropped now."""
        return Drops(self.records + records, self.size + size)


class Spool:
    """Takes lines from receivers and keeps them in files until `remove`."""

    def __init__(
        self,
        directory: Path,
        name: str,
        settings: SpoolSettings | None = None,
        *,
        clock: Clock | None = None,
        tell: Tell = ignore,
    ) -> None:
        """Begin a new file in `directory`; `name` is the source's. Raises UnavailableError."""
        self._settings = settings or SpoolSettings()
        self._name = name
        self._directory = directory
        self._clock = clock or SystemClock()
        self._tell = tell
        try:
            self._files = Segments(directory, name, self._settings.segment_bytes)
        except OSError as error:
            text = f"cannot use the spool {directory}: {error.strerror}: {error.filename}"
            raise UnavailableError(text) from error
        self._writing = threading.Lock()  # over _files' appends
        lock = threading.Lock()  # over all that follows
        self._changed = threading.Condition(lock)  # there may be room again
        self._filled = threading.Condition(lock)  # the buffer has something, or much
        self._buffer: deque[bytes] = deque()
        self._buffered = 0  # bytes in memory, those being written included
        self._closing = False
        self._dropped = Drops()
        self._untold: dict[str, Drops] = {}  # by reason
        self._told_at = -_TELL_SECONDS
        self._trouble = ""  # told and not mended
        self._aborted = threading.Event()
        self._drainer: threading.Thread | None = None
        if self._settings.strategy in {"asynchronous", "performance"}:
            self._drainer = threading.Thread(target=self._drain, name=f"spool {name}", daemon=True)
            self._drainer.start()

    def put(self, lines: bytes, stop: threading.Event) -> bool:
        """Take whole lines, each one a message; False where `stop` came first.

        PERFORMANCE takes what fits, drops the rest and never waits. The others wait as long as
        there is no room, and take all or, after `stop`, nothing; what was not taken is counted.
        """
        if not lines:
            return True
        if not lines.endswith(b"\n"):
            lines += b"\n"
        if self._settings.strategy == "performance":
            self._put_what_fits(lines)
            return True
        taken = (
            self._put_into_buffer(lines, stop)
            if self._settings.strategy == "asynchronous"
            else self._store(lines, stop)
        )
        if not taken:
            self._drop(lines, STOPPED)
        return taken

    def _put_what_fits(self, lines: bytes) -> None:
        with self._changed:
            free = self._settings.buffer_size_bytes - self._buffered
            fits = len(lines) if len(lines) <= free else lines.rfind(b"\n", 0, max(free, 0)) + 1
            if fits:
                self._append(lines[:fits])
        if fits < len(lines):
            self._drop(lines[fits:], BUFFER_FULL)

    def _put_into_buffer(self, lines: bytes, stop: threading.Event) -> bool:
        with self._changed:
            # What is larger than the buffer goes through it alone.
            while self._buffered and self._buffered + len(lines) > self._settings.buffer_size_bytes:
                if stop.is_set():
                    return False
                self._filled.notify()
                self._changed.wait(_STOP_SECONDS)
            self._append(lines)
        return True

    def _append(self, lines: bytes) -> None:
        self._buffer.append(lines)
        self._buffered += len(lines)
        if len(self._buffer) == 1 or self._is_filled():
            self._filled.notify()

    def _is_filled(self) -> bool:
        return self._buffered >= self._settings.buffer_size_bytes // 2

    def _drain(self) -> None:
        """Write the buffer out; the thread of the buffering strategies."""
        while True:
            with self._changed:
                while not self._buffer and not self._closing:
                    self._filled.wait()
                if not self._buffer:
                    return
                if not self._closing and not self._is_filled():
                    self._filled.wait(_GATHER_SECONDS)
                lines = b"".join(self._buffer)
                self._buffer.clear()
            if not self._store(lines, self._aborted):
                self._drop(lines, STOPPED)
            with self._changed:
                self._buffered -= len(lines)
                self._changed.notify_all()
            self._tell_drops()

    def _store(self, lines: bytes, stop: threading.Event) -> bool:
        """Append to the files; wait while that is not possible. False where `stop` came first."""
        with self._writing:
            left = memoryview(lines)
            while left:
                count = self._files.head(left)
                if not self._write(left[:count], stop):
                    return False
                left = left[count:]
            return True

    def _write(self, lines: memoryview, stop: threading.Event) -> bool:
        """Append lines to the open file, or complete it where there are none."""
        while (failure := self._attempt(lines)) is not None:
            self._files.take_back()
            self._say(failure)
            if self._is_full(len(lines)):
                if not self._wait_for_room(len(lines), stop):
                    return False
            elif self._clock.wait(stop, RETRY_SECONDS):
                return False
        self._say("")
        return True

    def _attempt(self, lines: memoryview) -> str | None:
        try:
            if not lines:
                self._files.finish()
                return None
            if self._is_full(len(lines)):
                self._files.finish()  # so that it can be read to its end, and removed
                limit = self._settings.size_bytes_max
                return f"the spool {self._directory} is full: {limit} bytes wait for a sink"
            while lines:
                lines = lines[self._files.write(lines) :]
            self._files.end_append(sync=self._settings.strategy == "synchronous")
        except OSError as error:
            return f"cannot write to the spool {self._directory}: {error.strerror}"
        return None

    def _is_full(self, size: int) -> bool:
        # What is larger than the limit goes through an empty spool.
        total = self._files.total
        return total > 0 and total + size > self._settings.size_bytes_max

    def _wait_for_room(self, size: int, stop: threading.Event) -> bool:
        with self._changed:
            while self._is_full(size):
                if stop.is_set():
                    return False
                self._changed.wait(_STOP_SECONDS)
        return True

    def _say(self, trouble: str) -> None:
        """Tell what is wrong, once, and that it is over."""
        if trouble == self._trouble:
            return
        if trouble:
            self._tell(Trouble(source=self._name, sink="", detail=trouble))
        else:
            self._tell(Mended(source=self._name, sink="", detail=self._trouble))
        self._trouble = trouble

    def _drop(self, lines: bytes, reason: str) -> None:
        count = lines.count(b"\n")
        with self._changed:
            self._dropped = self._dropped.plus(count, len(lines))
            untold = self._untold.get(reason, Drops())
            self._untold[reason] = untold.plus(count, len(lines))
        self._tell_drops()

    def _tell_drops(self) -> None:
        with self._changed:
            now = self._clock.monotonic()
            if now - self._told_at < _TELL_SECONDS and not self._closing:
                return
            untold, self._untold = self._untold, {}
            if untold:
                self._told_at = now
        for reason, (records, size) in untold.items():
            self._tell(Dropped(self._name, "", reason, records, size))

    @property
    def dropped(self) -> Drops:
        """What was dropped since the start."""
        with self._changed:
            return self._dropped

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return self._files.total

    @property
    def current(self) -> Path:
        """The file that is written to."""
        return self._files.current

    def segments(self) -> list[Path]:
        """Give the files, the oldest first; all but the last are complete."""
        return self._files.paths()

    def remove(self, segment: Path) -> bool:
        """Delete a complete file that all lanes are done with; False for the open one.

        Raises OSError.
        """
        removed = self._files.remove(segment)
        with self._changed:
            self._changed.notify_all()
        return removed

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write the buffer out, wait for the disk, close. What cannot be written is counted."""
        with self._changed:
            self._closing = True
            self._filled.notify()
        if self._drainer is not None:
            self._drainer.join(seconds)
            self._aborted.set()
            self._drainer.join()
        self._tell_drops()
        try:
            self._files.close()
        except OSError as error:
            detail = f"cannot write to the spool {self._directory}: {error.strerror}"
            self._tell(Trouble(source=self._name, sink="", detail=detail))
