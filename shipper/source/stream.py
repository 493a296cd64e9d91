"""Plain bytes out of a file, whatever the file is.

A position counts plain bytes, after decryption and decompression, so that a log keeps its
positions when somebody compresses it. Nothing here holds a file whole in memory, and nothing
remembers where a reader is: every read says its offset.
"""

from __future__ import annotations

import os
from typing import Protocol

from shipper.errors import UnavailableError


class Stream(Protocol):
    """The plain bytes of one open file, which may still grow."""

    def read(self, offset: int, size: int) -> bytes:
        """Give at most `size` bytes from `offset`; b"" where there are no more at present.

        Reading on where the last read ended is fast; any other offset is right, but may cost a
        pass over the file. Raises UnavailableError, WrongPasswordError or DamagedError, again at
        each read that reaches the place in question.
        """
        ...

    @property
    def ended(self) -> bool:
        """Whether the content proves that it is whole: asked after a read that gave b"".

        A proof, not a promise: where a writer appends all the same, reading goes on and `ended`
        is False again. Always False for plain files, which prove nothing.
        """
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class PlainStream:
    """A file as it is."""

    ended = False

    def __init__(self, fd: int, path: str = "the file") -> None:
        """Take over `fd`; `path` is for messages."""
        self._fd = fd
        self._path = path

    def fileno(self) -> int:
        """Give the descriptor, for `fstat`."""
        return self._fd

    def read(self, offset: int, size: int) -> bytes:
        """Read without touching the file's own position. Raises UnavailableError."""
        try:
            return os.pread(self._fd, size, offset)
        except OSError as error:
            text = f"cannot read {self._path} at byte {offset}: {error.strerror}"
            raise UnavailableError(text) from error

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def fileno(stream: Stream | None) -> int | None:
    """Give the descriptor of a plain file; None for wrapped or closed ones."""
    return stream.fileno() if isinstance(stream, PlainStream) else None
