"""JSON lines: the flat documents of `audit-shipper decode`, each with its segment.

Guarantee: exactly once in the file. The file itself is the memory: on opening, a line that a crash
cut is taken off, and the last span of each segment says where to go on. `-` is standard output,
which remembers nothing: everything, each time.
"""

from __future__ import annotations

import os
import sys
from typing import Final

import msgspec

from shipper.document.flat import flat
from shipper.errors import StoreError
from shipper.sink.base import Batch

READ_BYTES: Final = 1024 * 1024


class _Mark(msgspec.Struct):
    """What a line says about the position."""

    segment: str
    span: tuple[int, int]


class JsonLines:
    """Records and defects, one object a line, in one file made with mode 0600."""

    def __init__(self, path: str) -> None:
        """Open or create the file, or take standard output for `-`. Raises StoreError."""
        self._path = path
        self._positions: dict[str, int] = {}
        if path == "-":
            self._fd = sys.stdout.fileno()
            return
        try:
            self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            self._recover()
        except OSError as error:
            raise StoreError(f"cannot open {path}: {error.strerror}") from error

    def _recover(self) -> None:
        """Learn the positions from the lines, and cut off a line that has no end."""
        decoder = msgspec.json.Decoder(_Mark)
        tail, whole = b"", 0
        while data := os.read(self._fd, READ_BYTES):
            lines, _, tail = (tail + data).rpartition(b"\n")
            if not lines:
                continue
            try:
                marks = decoder.decode_lines(lines)
            except msgspec.DecodeError as error:
                raise StoreError(
                    f"{self._path} is not a file of ours, near byte {whole}: {error}. "
                    "Ship to another file"
                ) from error
            for mark in marks:
                end = max(self._positions.get(mark.segment, 0), mark.span[1])
                self._positions[mark.segment] = end
            whole += len(lines) + 1
        if tail:
            os.ftruncate(self._fd, whole)
        os.lseek(self._fd, whole, os.SEEK_SET)

    def position(self, segment: str) -> int:
        """Offset up to which the file holds the segment."""
        return self._positions.get(segment, 0)

    def deliver(self, batch: Batch) -> int:
        """Append the batch; on a file, return only when the disk has it."""
        lines = bytearray()
        for block in batch.blocks:
            for span, item in block.items():
                lines += msgspec.json.encode({**flat(item, span), "segment": batch.segment}) + b"\n"
        try:
            self._write(lines)
            if self._path != "-":
                os.fsync(self._fd)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StoreError(f"cannot write to {self._path}: {error.strerror}") from error
        self._positions[batch.segment] = batch.upto
        return sum(len(block.records) for block in batch.blocks)

    def _write(self, data: bytearray) -> None:
        left = memoryview(data)
        while left:
            left = left[os.write(self._fd, left) :]

    def close(self) -> None:
        """Close the file; standard output stays open."""
        if self._path != "-":
            os.close(self._fd)
