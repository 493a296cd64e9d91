"""Whole lines out of bytes that arrive in any pieces. Pure."""

from __future__ import annotations


class Lines:
    """Keeps the beginning of a line until its end is there."""

    def __init__(self, line_bytes_max: int) -> None:
        """End a longer line where it gets too long: memory is limited, bytes are not lost."""
        self._max = line_bytes_max
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        """Take more bytes and give all whole lines."""
        end = data.rfind(b"\n") + 1
        if not end:
            self._keep(data)
            return self.finish() if self._size > self._max else b""
        whole = b"".join([*self._parts, data[:end]])
        self._parts.clear()
        self._size = 0
        self._keep(data[end:])
        return whole

    @property
    def pending(self) -> bool:
        """Whether a line has begun and not ended."""
        return bool(self._parts)

    def _keep(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self._size += len(data)

    def finish(self) -> bytes:
        """Give a line that will not be continued; b"" if there is none."""
        if not self._parts:
            return b""
        line = b"".join([*self._parts, b"\n"])
        self._parts.clear()
        self._size = 0
        return line
