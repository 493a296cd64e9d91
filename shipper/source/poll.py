"""One thread that waits for many descriptors and puts what arrives into a spool.

An endpoint is a pipe, a socket or a connection. It reads what is there, never waits, and gives
whole lines. Back-pressure is not reading: while the spool has no room, nothing is read.
"""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable
from typing import Final, Protocol

from shipper.notices import Dropped, Rejected
from shipper.source.base import Surroundings
from shipper.source.spool import Spool

# How soon a stop is seen; four wake-ups a second cost some 0.01 % of a core.
POLL_SECONDS: Final = 0.25
# How often endpoints look after themselves, and sums are told.
TICK_SECONDS: Final = 1.0
# Rounds of reading after a stop: the kernel's own buffers (64 KiB of a pipe, 208 KiB of a socket)
# are empty long before, and a sender that goes on sending does not keep us.
LAST_ROUNDS: Final = 64
# Bytes a read: what a pipe holds.
READ_BYTES: Final = 64 * 1024
# Messages that come one by one are gathered for so long before they are read: waking up for each
# would cost 13 % of a core at 1,000 a second. Pipes and sockets hold what comes meanwhile.
REST_SECONDS: Final = 0.02
# A stream that gave so much at once is read again at once.
_BUSY_BYTES: Final = 16 * 1024

# Why datagrams were lost before anybody read them, beside the spool's reasons.
RECEIVE_BUFFER: Final = "receive_buffer"


class Endpoint(Protocol):
    """Something to read from. It may open and close endpoints of its group while it reads."""

    # selectors.EVENT_READ or EVENT_WRITE: what it waits for.
    events: int
    # How long it may be left alone after the last read; 0 while much is coming.
    rest_seconds: float

    def fileno(self) -> int:
        """Give the descriptor to wait for."""
        ...

    def read(self) -> bytes:
        """Give whole lines out of what is there, without waiting; b"" if there are none yet."""
        ...

    def tick(self) -> bytes:
        """Look after itself, about once a second; may give a last line too."""
        ...

    def close(self) -> None:
        """Give up the descriptor."""
        ...


def rest_after(data: bytes) -> float:
    """Say how long a stream that has just given `data` may be left alone."""
    return 0.0 if len(data) >= _BUSY_BYTES else REST_SECONDS


class Group:
    """The endpoints of one source, their loop, and what they tell."""

    def __init__(self, spool: Spool, around: Surroundings) -> None:
        """Read nothing yet."""
        self.around = around
        self._spool = spool
        # poll, because standard input may be a plain file, which epoll refuses.
        self._selector = selectors.PollSelector()
        self._rejected: dict[str, tuple[int, str]] = {}
        self._lost = 0
        self._ticked = around.clock.monotonic()
        self._resting: list[Endpoint] = []
        self._cleanups: list[Callable[[], None]] = []

    def add(self, endpoint: Endpoint) -> None:
        """Wait for this endpoint too."""
        self._selector.register(endpoint.fileno(), endpoint.events, endpoint)

    def remove(self, endpoint: Endpoint) -> None:
        """Wait for it no longer, and close it."""
        if endpoint in self._resting:
            self._resting.remove(endpoint)
        else:
            self._selector.unregister(endpoint.fileno())
        endpoint.close()

    def rest(self, endpoint: Endpoint) -> None:
        """Leave this endpoint alone until the next tick: it is ready, and cannot be served now."""
        self._selector.unregister(endpoint.fileno())
        self._resting.append(endpoint)

    def at_close(self, cleanup: Callable[[], None]) -> None:
        """Have this called when the group is closed."""
        self._cleanups.append(cleanup)

    @property
    def endpoints(self) -> list[Endpoint]:
        """All that are waited for."""
        waiting: list[Endpoint] = [key.data for key in self._selector.get_map().values()]
        return waiting + self._resting

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop` is set or, as with standard input, all inputs have ended.

        Then read what senders had already handed to the kernel.
        """
        while self.endpoints and not stop.is_set():
            lines = self._round(POLL_SECONDS)
            if self.around.clock.monotonic() - self._ticked >= TICK_SECONDS:
                lines += self._tick()
            if not self._spool.put(lines, stop):
                break
            if lines and self.endpoints:
                rest = min(endpoint.rest_seconds for endpoint in self.endpoints)
                self.around.clock.wait(stop, rest)
        for _ in range(LAST_ROUNDS):
            lines = self._round(0)
            if not lines or not self._spool.put(lines, stop):
                break
        self._tell()

    def _round(self, seconds: float) -> bytes:
        """Read once from every endpoint that has something."""
        parts = []
        for key, _ in self._selector.select(seconds) if self.endpoints else ():
            endpoint: Endpoint = key.data
            before = endpoint.events
            parts.append(endpoint.read())
            if endpoint.events != before:
                self._selector.modify(endpoint.fileno(), endpoint.events, endpoint)
        return b"".join(parts)

    def _tick(self) -> bytes:
        self._ticked = self.around.clock.monotonic()
        resting, self._resting = self._resting, []
        for endpoint in resting:
            self.add(endpoint)
        lines = b"".join([endpoint.tick() for endpoint in self.endpoints])
        self._tell()
        return lines

    def reject(self, reason: str, example: str) -> None:
        """Count what a sender did; told with the next tick."""
        count, first = self._rejected.get(reason, (0, example))
        self._rejected[reason] = (count + 1, first)

    def lose(self, datagrams: int) -> None:
        """Count datagrams that the kernel had no room for; told with the next tick."""
        self._lost += datagrams

    def _tell(self) -> None:
        rejected, self._rejected = self._rejected, {}
        for reason, (count, example) in rejected.items():
            self.around.tell(Rejected(self.around.source, reason, count, example))
        lost, self._lost = self._lost, 0
        if lost:
            self.around.tell(Dropped(self.around.source, "", RECEIVE_BUFFER, lost))

    def close(self) -> None:
        """Close all endpoints."""
        for endpoint in self.endpoints:
            self.remove(endpoint)
        self._selector.close()
        for cleanup in self._cleanups:
            cleanup()
        self._cleanups.clear()
