r"""Messages out of a syslog connection. Pure.

Two ways are in use (RFC 6587), and a connection keeps to the one it begins with:

    36 <14>Feb 12 07:18:30 host mysqld: …39 <14>…     octet counting, also RFC 5425 (TLS)
    <14>Feb 12 07:18:30 host mysqld: …\n<14>…\n      a line feed ends each
"""

from __future__ import annotations

import re
from typing import Final

# `36 `; nine digits are a gigabyte, which no log message is.
_COUNT: Final = re.compile(rb"([1-9][0-9]{0,8}) ")
_COUNT_BEGUN: Final = re.compile(rb"[1-9][0-9]{0,8}")


class FramingError(ValueError):
    """The bytes follow neither way; the rest of the connection means nothing."""

    def __init__(self, messages: list[bytes]) -> None:
        """Keep the messages that were whole before."""
        super().__init__("no octet count where a message should begin")
        self.messages = messages


class Framing:
    """Takes a connection's bytes in any pieces. Holds at most one message and one piece."""

    def __init__(self, message_bytes_max: int) -> None:
        """Cut a larger message there; the rest of it is passed over, not taken for another."""
        self._max = message_bytes_max
        self._data = b""
        self._counted: bool | None = None  # not known before the first byte
        self._skip = 0  # bytes of a message that was cut (octet counting)
        self._skipping = False  # up to the line feed
        self.cut = 0  # messages

    @property
    def inside(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._data or self._skip or self._skipping)

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._data)

    def feed(self, data: bytes) -> list[bytes]:
        """Give all messages that are whole now. Raises FramingError."""
        if self._counted is None and data:
            self._counted = b"1" <= data[:1] <= b"9"
        return self._feed_counted(data) if self._counted else self._feed_lines(data)

    def _feed_lines(self, data: bytes) -> list[bytes]:
        if self._skipping:
            _, line_feed, data = data.partition(b"\n")
            if not line_feed:
                return []
            self._skipping = False
        *messages, self._data = (self._data + data).split(b"\n")
        if len(self._data) > self._max:
            messages.append(self._data)
            self._data = b""
            self._skipping = True
        self.cut += sum(len(message) > self._max for message in messages)
        return [message[: self._max] for message in messages]

    def _feed_counted(self, data: bytes) -> list[bytes]:
        passed = min(self._skip, len(data))
        self._skip -= passed
        data = self._data + data[passed:]
        messages: list[bytes] = []
        at = 0
        while at < len(data):
            count = _COUNT.match(data, at)
            if count is None:
                if _COUNT_BEGUN.fullmatch(data, at):
                    break
                self._data = b""
                raise FramingError(messages)
            begin, size = count.end(), int(count[1])
            end = begin + size
            if end > len(data) and (size <= self._max or len(data) - begin < self._max):
                break
            self.cut += size > self._max
            messages.append(data[begin : begin + min(size, self._max)])
            self._skip = max(end - len(data), 0)
            at = end
        self._data = data[at:]
        return messages

    def finish(self) -> list[bytes]:
        """Give what a connection that ended left unfinished: one message, or none."""
        left, self._data = self._data, b""
        if self._counted:
            count = _COUNT.match(left)
            left = left[count.end() :] if count else b""
        return [left] if left else []
