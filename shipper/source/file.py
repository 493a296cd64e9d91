"""Read one log from its beginning to its end, once: a plain file, gzip, or a pipe with either.

The content decides what it is, never the name. An encrypted file is refused: its passwords belong
to a configuration, which the commands that read files once do without.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shipper.errors import UnavailableError, UsageError
from shipper.source import decrypt, gunzip
from shipper.source.gunzip import Gunzip
from shipper.source.stream import PlainStream, Stream

READ_BYTES: Final = 128 * 1024  # one block of the decoder
_STANDARD_INPUT: Final = 0
_HEAD_BYTES: Final = max(len(decrypt.MAGIC), len(gunzip.MAGIC))


class Log:
    """The plain bytes of one log; `wrapped` where the file itself holds other ones."""

    def __init__(self, path: Path, stream: Stream, *, wrapped: bool, size: int) -> None:
        """`size`: bytes of a plain file, 0 where that is not known."""
        self.path = path
        self.wrapped = wrapped
        self.size = size
        self._stream = stream

    def read(self, offset: int, size: int) -> bytes:
        """Give at most `size` bytes; b"" at the end. Raises UsageError or DamagedError."""
        try:
            return self._stream.read(offset, size)
        except UnavailableError as error:
            raise UsageError(str(error)) from error

    def pieces(self) -> Iterator[bytes]:
        """Give all bytes from the beginning on. Raises like `read`, after the bytes before it."""
        at = 0
        while piece := self.read(at, READ_BYTES):
            at += len(piece)
            yield piece

    @property
    def whole(self) -> bool:
        """Whether the content proves that nothing is missing at its end; asked after reading."""
        return self._stream.ended

    @property
    def cut_short(self) -> bool:
        """Whether an archive ends in its middle; asked after reading."""
        return self.wrapped and not self._stream.ended

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


class _Pipe:
    """What can be read once only, but for its first bytes, which say what it is."""

    ended = False

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self._head = b""
        while len(self._head) < _HEAD_BYTES and (data := self._next()):
            self._head += data

    def read(self, offset: int, size: int) -> bytes:
        if offset < len(self._head):
            return self._head[offset : offset + size]
        return self._next()

    def _next(self) -> bytes:
        try:
            return os.read(self._fd, READ_BYTES)
        except OSError as error:
            raise UsageError(f"cannot read {self._path}: {error.strerror}") from error

    def close(self) -> None:
        os.close(self._fd)


def open_log(path: Path) -> Log:
    """Open a log for reading. Raises UsageError with what to do."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return _opened(path, fd)


def open_input() -> Log:
    """Open standard input for reading, from where it stands. Raises UsageError.

    By its descriptor: whoever started us may read a file that we may not open, and a socket cannot
    be opened at all.
    """
    path = Path("standard input")
    try:
        fd = os.dup(_STANDARD_INPUT)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    return _opened(path, fd)


def _opened(path: Path, fd: int) -> Log:
    try:
        at = os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        at = -1
    if at:  # a pipe, or a file that somebody has read a part of
        return _recognised(path, _Pipe(fd, str(path)), 0)
    return _recognised(path, PlainStream(fd, str(path)), os.fstat(fd).st_size)


def _recognised(path: Path, stream: Stream, size: int) -> Log:
    plain = Log(path, stream, wrapped=False, size=size)
    try:
        head = plain.read(0, _HEAD_BYTES)
    except UsageError:  # a folder, for one
        plain.close()
        raise
    if head.startswith(decrypt.MAGIC):
        plain.close()
        raise UsageError(
            f"{path} is encrypted: let the daemon read it (`passwords` of its source, "
            "docs/archives.md), or decrypt it first with openssl enc -d"
        )
    if not head.startswith(gunzip.MAGIC):
        return plain
    if isinstance(stream, _Pipe):
        stream = _spooled(plain)
    return Log(path, Gunzip(stream, str(path)), wrapped=True, size=0)


def _spooled(pipe: Log) -> PlainStream:
    """Put a compressed pipe into a file: where damage begins is found by going back."""
    try:
        with tempfile.TemporaryFile() as file:
            for piece in pipe.pieces():
                file.write(piece)
            file.flush()
            return PlainStream(os.dup(file.fileno()), str(pipe.path))
    except OSError as error:
        raise UsageError(f"cannot keep {pipe.path} to inflate it: {error.strerror}") from error
    finally:
        pipe.close()
