"""Plain bytes of a file, whatever it is wrapped in."""

from __future__ import annotations

import os
from typing import Protocol


class Stream(Protocol):
    """A file as plain bytes; offsets count after decompression and decryption."""

    def read(self, offset: int, size: int) -> bytes:
        """Give at most `size` bytes from `offset`; b"" where there is no more at present."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the content itself proves that no more can come after what was read."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class PlainStream:
    """A file that is not wrapped."""

    ended = False

    def __init__(self, fd: int) -> None:
        """Take over an open descriptor."""
        self._fd = fd

    def fileno(self) -> int:
        """Give the descriptor, for `fstat`."""
        return self._fd

    def read(self, offset: int, size: int) -> bytes:
        """Read in place; nobody's file position is moved."""
        return os.pread(self._fd, size, offset)

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._fd)


def fileno(stream: Stream | None) -> int | None:
    """Give the descriptor of a plain file; None for wrapped or closed ones."""
    return stream.fileno() if isinstance(stream, PlainStream) else None
