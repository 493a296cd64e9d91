"""JSON lines: the flat documents of `audit-shipper decode`, each with its segment.

Guarantee: every line is whole, and a batch is in the file when it is acknowledged. A batch whose
acknowledgement a crash swallowed is written again; `ship`, which asks the file for its position
first, writes each record exactly once. `-` is standard output, which remembers nothing.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec

from shipper.document.flat import flat
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.model import Block
from shipper.sink.base import Batch, Receipt, SinkSettings, Surroundings

READ_BYTES: Final = 1024 * 1024
SOURCE: Final = "{source}"
_encoder: Final = msgspec.json.Encoder()


class Settings(SinkSettings, frozen=True, kw_only=True, tag="jsonl"):
    """A file of JSON lines."""

    # Made with mode 0600 where it does not exist; `-` is standard output. `{source}` is the name of
    # the source: a file has one writer, so that several sources need several files.
    path: str


class _Mark(msgspec.Struct):
    """What a line says about the position."""

    segment: str
    span: tuple[int, int]


class JsonLines:
    """Records and defects, one object a line, in one file."""

    in_flight: ClassVar[int] = 1
    batch_bytes: ClassVar[int] = 1024 * 1024  # one fsync for some thousand records

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        """Take the settings; nothing is opened yet."""
        source = surroundings.source if surroundings else ""
        self._path = settings.path.replace(SOURCE, source)
        self._positions: dict[str, int] | None = None  # read when somebody asks
        self._fd = -1
        self._size = 0  # of the whole lines in the file

    def prepare(self) -> None:
        """Open or create the file, and cut off a line that a crash left without an end."""
        if self._fd >= 0:
            return
        if self._path == "-":
            self._fd = sys.stdout.fileno()
            return
        try:
            self._fd = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            self._size = _whole_lines(self._fd)
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
        except OSError as error:
            hint = "" if Path(self._path).parent.is_dir() else ": its folder does not exist"
            text = f"cannot open {self._path}: {error.strerror}{hint}"
            raise MisconfiguredError(text) from error

    def position(self, segment: str) -> int:
        """Offset up to which the file holds the segment; reads the whole file once."""
        if self._positions is None:
            self._positions = {} if self._path == "-" else self._read_positions()
        return self._positions.get(segment, 0)

    def _read_positions(self) -> dict[str, int]:
        decoder = msgspec.json.Decoder(_Mark)
        positions: dict[str, int] = {}
        tail, at = b"", 0
        while data := os.pread(self._fd, READ_BYTES, at):
            lines, _, tail = (tail + data).rpartition(b"\n")
            try:
                marks = decoder.decode_lines(lines)
            except msgspec.DecodeError as error:
                raise MisconfiguredError(
                    f"{self._path} is not a file of ours, near byte {at}: {error}. "
                    "Ship to another file"
                ) from error
            for mark in marks:
                positions[mark.segment] = max(positions.get(mark.segment, 0), mark.span[1])
            at += len(data)
        return positions

    def deliver(self, batch: Batch) -> Receipt:
        """Append the batch; on a file, return only when the disk has it."""
        self.prepare()
        lines = b"".join(_lines(block, batch.segment) for block in batch.blocks)
        try:
            self._append(lines)
        except BrokenPipeError:
            raise
        except OSError as error:
            reason = "rejected" if self._path != "-" else "unavailable"
            text = f"cannot write to {self._path}: {error.strerror}"
            raise UnavailableError(text, reason=reason) from error
        if self._positions is not None:
            self._positions[batch.segment] = batch.upto
        return Receipt(new=batch.count, size=len(lines))

    def _append(self, lines: bytes) -> None:
        left = memoryview(lines)
        if self._path == "-":
            while left:
                left = left[os.write(self._fd, left) :]
            return
        try:
            while left:
                left = left[os.write(self._fd, left) :]
            os.fsync(self._fd)
        except OSError:
            # Half a batch would make the next one begin in the middle of a line.
            os.ftruncate(self._fd, self._size)
            os.lseek(self._fd, self._size, os.SEEK_SET)
            raise
        self._size += len(lines)

    def check(self) -> Sequence[str]:
        """Say why the file could not be written."""
        path = Path(self._path)
        if self._path == "-":
            return ()
        if not path.parent.is_dir():
            return (f"the folder {path.parent} does not exist: create it",)
        target = path if path.exists() else path.parent
        if not os.access(target, os.W_OK):
            return (f"{target} cannot be written by user id {os.getuid()}: change its owner",)
        return ()

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._path != "-" and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _lines(block: Block, segment: str) -> bytes:
    lines = [flat(item, span) | {"segment": segment} for span, item in block.items()]
    return _encoder.encode_lines(lines)


def _whole_lines(fd: int) -> int:
    """Give the size of the file without a last line that has no end."""
    at = os.fstat(fd).st_size
    while at > 0:
        begin = max(at - READ_BYTES, 0)
        found = os.pread(fd, at - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        at = begin
    return 0
