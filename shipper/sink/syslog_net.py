"""The transports of syslog: local sockets, UDP, TCP, TLS.

A transport sends whole messages or raises, and opens again by itself at the next call. Nothing is
kept after a failure: the lane delivers the whole batch again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from shipper.clock import Clock
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.sink.wire import Address, await_verdict, connect, failure, peer_closed

# How often the kernel is asked whether the peer has everything; it does not tell by itself. Short
# beside any network's round trip, long beside the question.
ASK_MILLISECONDS = 1

Frame = Callable[[list[bytes]], bytes]


class Transport(Protocol):
    """A way to a syslog receiver."""

    def open(self) -> None:
        """Connect, unless connected. Raises UnavailableError or MisconfiguredError."""
        ...

    def send(self, messages: list[bytes]) -> int:
        """Send messages, and give the bytes sent. Raises as `open`; then close and send again."""
        ...

    def close(self) -> None:
        """Disconnect; harmless where nothing is open."""
        ...


class Stream:
    """TCP, TLS and local stream sockets: one write a batch.

    `send` returns when the peer's kernel has every byte (`SIOCOUTQ` is 0) and the connection still
    stands. What the peer's program then does with them, no syslog transport tells.
    """

    def __init__(self, target: Address | str, frame: Frame, timeout: float, clock: Clock) -> None:
        """`target` is an address, or the path of a local socket; `timeout` in seconds."""
        self._target = target
        self._frame = frame
        self._timeout = timeout
        self._clock = clock
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Connect; a connection that the peer has ended is replaced."""
        if self._socket is not None and not self._ended(self._socket):
            return
        self.close()
        if isinstance(self._target, str):
            self._socket = _local(self._target, socket.SOCK_STREAM, self._timeout)
            return
        connection = connect(self._target)
        try:
            await_verdict(connection)
        except OSError as error:
            connection.close()
            raise failure("connect to", self._target, error) from error
        self._socket = connection

    def _ended(self, connection: socket.socket) -> bool:
        try:
            return peer_closed(connection)
        except OSError:
            return True

    def send(self, messages: list[bytes]) -> int:
        """Send in one write, and wait until the peer's kernel has it."""
        self.open()
        connection = self._socket
        if connection is None:  # `open` raises where there is none
            raise UnavailableError(f"not connected to {self._target}")
        data = self._frame(messages)
        try:
            connection.sendall(data)
            drain(connection, self._timeout, self._clock)
            if peer_closed(connection):
                raise ConnectionResetError(errno.ECONNRESET, "the receiver ended the connection")
        except OSError as error:
            self.close()
            raise failure("send to", self._target, error) from error
        return len(data)

    def close(self) -> None:
        """Disconnect."""
        connection, self._socket = self._socket, None
        if connection is not None:
            with suppress(OSError):
                connection.close()


def drain(connection: socket.socket, timeout: float, clock: Clock) -> None:
    """Wait until nothing is on its way to the peer; TimeoutError after `timeout` seconds."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    deadline = clock.monotonic() + timeout
    while _unacknowledged(connection):
        if clock.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, "the receiver stopped reading")
        if poll.poll(ASK_MILLISECONDS):
            return  # an error or a farewell: the caller's next question tells which


def _unacknowledged(connection: socket.socket) -> int:
    """Ask for the bytes that the peer's kernel (of a local socket: its program) has not taken."""
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    (count,) = struct.unpack("i", answer)
    return int(count)


class Datagrams:
    """UDP and local datagram sockets: one message a datagram, one call each.

    On a local socket `send` returns when the daemon has read every message.
    """

    def __init__(self, target: Address | str, timeout: float, clock: Clock) -> None:
        """`target` is an address, or the path of a local socket; `timeout` in seconds."""
        self._target = target
        self._timeout = timeout
        self._clock = clock
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Find the receiver; nothing is sent yet."""
        if self._socket is None:
            self._socket = (
                _local(self._target, socket.SOCK_DGRAM, self._timeout)
                if isinstance(self._target, str)
                else _udp(self._target)
            )

    def send(self, messages: list[bytes]) -> int:
        """Send message by message; a refusal that has come back by then is an error."""
        self.open()
        if self._socket is None:  # `open` raises where there is none
            raise UnavailableError(f"not connected to {self._target}")
        try:
            size = self._send_each(self._socket, messages)
        except OSError as error:
            self.close()
            if error.errno == errno.EMSGSIZE:
                largest = max(map(len, messages))
                raise MisconfiguredError(
                    f"{self._target} takes no datagram of {largest} bytes: lower message_bytes"
                ) from error
            raise failure("send to", self._target, error) from error
        return size

    def _send_each(self, connection: socket.socket, messages: list[bytes]) -> int:
        send = connection.send
        size = sum([send(message) for message in messages])
        if isinstance(self._target, str):
            drain(connection, self._timeout, self._clock)
        refused = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if refused:
            raise OSError(refused, os.strerror(refused))
        return size

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Local:
    """A local socket of either kind, as syslog(3) finds it: datagrams first, then a stream."""

    def __init__(self, datagrams: Datagrams, stream: Stream) -> None:
        """Both must be for the same path."""
        self._ways: tuple[Transport, Transport] = (datagrams, stream)
        self._way: Transport | None = None

    def open(self) -> None:
        """Find out what kind of socket it is."""
        self._way = self._way or self._find()
        self._way.open()

    def _find(self) -> Transport:
        datagrams, stream = self._ways
        try:
            datagrams.open()
        except UnavailableError as error:
            if not (
                isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EPROTOTYPE
            ):
                raise
            return stream
        return datagrams

    def send(self, messages: list[bytes]) -> int:
        """Send in the way that was found."""
        self.open()
        if self._way is None:  # `open` raises where there is none
            raise UnavailableError("not connected")
        try:
            return self._way.send(messages)
        except UnavailableError:
            self._way = None  # the next daemon may have another kind of socket
            raise

    def close(self) -> None:
        """Disconnect."""
        for way in self._ways:
            way.close()


def _local(path: str, kind: socket.SocketKind, timeout: float) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, kind)
    try:
        made.settimeout(timeout)
        made.connect(path)
    except OSError as error:
        made.close()
        raise failure("connect to", path, error) from error
    return made


def _udp(address: Address) -> socket.socket:
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)
        family, kind, protocol, _, place = found[0]
        made = socket.socket(family, kind, protocol)
    except OSError as error:
        raise failure("find", address, error) from error
    try:
        made.settimeout(address.timeout)
        made.connect(place)
    except OSError as error:
        made.close()
        raise failure("find", address, error) from error
    return made
