"""One daemon a state directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from shipper.errors import MisconfiguredError, UnavailableError


class StateLock:
    """Holds the directory until closed, or until the process ends, however it ends."""

    def __init__(self, directory: Path, name: str = "lock") -> None:
        """Make the directory (0700) and take the lock.

        Raises MisconfiguredError where another process has it, UnavailableError where the
        directory cannot be made or written.
        """
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC
            self._fd = os.open(directory / name, flags, 0o600)
        except OSError as error:
            text = f"cannot use the state directory {directory}: {error.strerror}"
            raise UnavailableError(text) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            who = _processes(directory, owner)
            raise MisconfiguredError(
                f"another audit-shipper ({who}) uses the state directory {directory}: "
                "stop it, or give this one a `state:` of its own"
            ) from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def fileno(self) -> int:
        """Give the descriptor: processes that inherit it hold the directory too."""
        return self._fd

    def close(self) -> None:
        """Let others have the directory."""
        os.close(self._fd)


def _processes(directory: Path, owner: str) -> str:
    """Say who has the lock: workers, where the process that started them is gone."""
    workers = [path.read_text(errors="replace").strip() for path in directory.glob("lock.*")]
    if not workers or not owner.isdecimal() or Path("/proc", owner).exists():
        return f"process {owner}"
    return f"workers of process {owner}, which is gone: {', '.join(sorted(workers))}"
