"""Named pipes and standard input: logs that somebody writes into us.

    tail -F audit.log > audit.fifo

Writers come and go. When the last one goes, a line without end is ended, because nobody will
continue it; then the pipe is opened again before the old descriptor is closed, so that what the
next writer has already written stays in it.
"""

from __future__ import annotations

import os
import selectors
import stat
from pathlib import Path
from typing import Literal

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Mended, Trouble
from shipper.source.lines import Lines
from shipper.source.poll import READ_BYTES, REST_SECONDS, Group, rest_after
from shipper.source.received import ReceivedSettings


class FifoSettings(ReceivedSettings, frozen=True, kw_only=True, tag="fifo"):
    """A named pipe."""

    path: str
    # It is made where it does not exist. Others than its owner may write with 0620 (its group) or
    # 0622 (everybody on the machine: they can then invent records).
    mode: Literal["0600", "0620", "0622"] = "0600"


class StdinSettings(ReceivedSettings, frozen=True, kw_only=True, tag="stdin"):
    """Standard input, until it ends."""


class Stdin:
    """A descriptor that is read until it ends."""

    events = selectors.EVENT_READ
    rest_seconds = REST_SECONDS

    def __init__(self, group: Group, settings: StdinSettings, fd: int) -> None:
        """Read from `fd`, which stays the caller's."""
        self._group = group
        self._fd = fd
        self._lines = Lines(settings.record_bytes_max)

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._fd

    def read(self) -> bytes:
        """Read once; at the end, leave the group."""
        data = os.read(self._fd, READ_BYTES)
        self.rest_seconds = rest_after(data)
        if data:
            return self._lines.feed(data)
        self._group.remove(self)
        return self._lines.finish()

    def tick(self) -> bytes:
        """Nothing to look after."""
        return b""

    def close(self) -> None:
        """Leave the descriptor open: it is not ours."""


class Fifo:
    """A named pipe that is read for ever."""

    events = selectors.EVENT_READ
    rest_seconds = REST_SECONDS

    def __init__(self, group: Group, settings: FifoSettings) -> None:
        """Open the pipe. Raises MisconfiguredError or UnavailableError."""
        self._group = group
        self._settings = settings
        self._lines = Lines(settings.record_bytes_max)
        self._replaced = False  # the name belongs to another pipe now
        self._stuck = False  # the pipe could not be opened for its next writer
        self._trouble = ""
        self._fd = open_pipe(settings)

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._fd

    def read(self) -> bytes:
        """Read once; when the last writer has gone, end its line and wait for the next."""
        try:
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return b""
        self.rest_seconds = rest_after(data)
        if data:
            return self._lines.feed(data)
        if self._replaced:
            self._group.remove(self)
        else:
            self._wait_for_next()
        return self._lines.finish()

    def _wait_for_next(self) -> None:
        """Open the same pipe again: a descriptor that has seen an end reports it for ever."""
        own = f"/proc/self/fd/{self._fd}"
        try:
            again = os.open(own, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:  # no descriptor left, most likely: tried again with the next tick
            self._stuck = True
            self._say(f"cannot open the pipe {self._settings.path} again: {error.strerror}")
            self._group.rest(self)
            return
        self._stuck = False
        # Onto the same number, so that the selector need not know.
        os.dup2(again, self._fd, inheritable=False)
        os.close(again)

    def tick(self) -> bytes:
        """See whether the name still belongs to this pipe; make the pipe again if it is gone."""
        if not self._replaced:
            try:
                if not _same(self._settings.path, self._fd):
                    self._group.add(Fifo(self._group, self._settings))
                    self._replaced = True
                if not self._stuck:
                    self._say("")
            except (UnavailableError, MisconfiguredError) as error:
                self._say(str(error))
        # A writer that came and went while the pipe was opened again is not reported as gone.
        return self.read() if self._lines.pending or self._replaced else b""

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            kind, detail = (Trouble, trouble) if trouble else (Mended, self._trouble)
            self._group.around.tell(kind(self._group.around.source, "", detail))
            self._trouble = trouble

    def close(self) -> None:
        """Close the pipe; its file stays for writers of the next process."""
        os.close(self._fd)


def open_pipe(settings: FifoSettings) -> int:
    """Open a named pipe for reading, making it where it does not exist."""
    path = Path(settings.path)
    try:
        if not path.exists():
            os.mkfifo(path, 0o600)
            path.chmod(int(settings.mode, 8))  # whatever the umask is
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError(f"cannot open the pipe {path}: {error.strerror}") from error
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise MisconfiguredError(
            f"{path} is not a named pipe: remove it (it is made again), or follow it as a file"
        )
    return fd


def _same(path: str, fd: int) -> bool:
    try:
        return os.path.samestat(Path(path).stat(), os.fstat(fd))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UnavailableError(f"cannot see the pipe {path}: {error.strerror}") from error
