"""Syslog by datagrams: the local socket that `syslog(3)` writes to, and UDP.

Each datagram is one message. The kernel throws UDP datagrams away while nobody reads; it counts
them (SO_RXQ_OVFL), and so do we.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import struct
from pathlib import Path
from typing import Final

from shipper.clock import rfc3339
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.source.poll import Group
from shipper.source.syslog_text import line_of

# Datagrams a turn, so that a flood on one socket leaves turns for the others.
_TURN: Final = 256
# Asked of the kernel, which gives less where net.core.rmem_max says so: some thousand messages,
# a second of a busy server while the disk is slow.
_RECEIVE_BUFFER_BYTES: Final = 4 * 1024 * 1024
# A local socket holds 10 datagrams (net.unix.max_dgram_qlen), then its sender, the database, waits:
# it may be left alone for a moment only, and not at all once half of it was full.
_REST_SECONDS: Final = 0.005
_BUSY: Final = 5
# Not in the module `socket`: asm-generic/socket.h.
_SO_RXQ_OVFL: Final = 40
_COUNTER: Final = struct.Struct("=I")


class Datagrams:
    """A bound datagram socket."""

    events = selectors.EVENT_READ

    def __init__(self, group: Group, bound: socket.socket, message_bytes_max: int) -> None:
        """Take over the socket."""
        self._group = group
        self._socket = bound
        bound.settimeout(0)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        bound.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        self._buffer = bytearray(message_bytes_max)
        self._lost = 0  # as the kernel counts
        self.rest_seconds = _REST_SECONDS

    @property
    def port(self) -> int:
        """Where it listens, for UDP."""
        port: int = self._socket.getsockname()[1]
        return port

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """Give a line for each datagram that is there, up to a turn's worth."""
        received = rfc3339(self._group.around.clock.now())
        lines = []
        for _ in range(_TURN):
            try:
                message = self._receive()
            except OSError:  # nothing more; or an error of another packet, told by the next one
                break
            lines.append(line_of(message, received))
        self.rest_seconds = 0.0 if len(lines) >= _BUSY else _REST_SECONDS
        return b"".join(lines)

    def _receive(self) -> bytes:
        size, ancillary, flags, peer = self._socket.recvmsg_into(
            [self._buffer], socket.CMSG_SPACE(_COUNTER.size)
        )
        if flags & socket.MSG_TRUNC:
            self._group.reject("too_large", _name(peer))
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_RXQ_OVFL):
                (lost,) = _COUNTER.unpack(data[: _COUNTER.size])
                self._group.lose((lost - self._lost) % 2**32)
                self._lost = lost
        return bytes(memoryview(self._buffer)[:size])

    def tick(self) -> bytes:
        """Nothing to look after."""
        return b""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def _name(peer: object) -> str:
    return str(peer[0]) if isinstance(peer, tuple) else "a local program"


def bind_local(group: Group, path: Path, mode: int, message_bytes_max: int) -> Datagrams:
    """Make the socket file, in place of one that nobody listens on any more."""
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        _remove_stale(path)
        os.fchmod(bound.fileno(), 0o600)  # the file is never open wider than asked for
        bound.bind(str(path))
        path.chmod(mode)
    except OSError as error:
        bound.close()
        raise UnavailableError(f"cannot listen on {path}: {error.strerror or error}") from error
    except MisconfiguredError:
        bound.close()
        raise
    made = path.stat()

    def remove() -> None:
        with contextlib.suppress(OSError):
            if os.path.samestat(path.stat(), made):
                path.unlink()

    group.at_close(remove)
    return Datagrams(group, bound, message_bytes_max)


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        if path.exists():
            raise MisconfiguredError(f"{path} is there and no socket: choose another path")
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno != errno.ECONNREFUSED:
                raise
            path.unlink()
            return
    raise MisconfiguredError(f"{path}: another program listens there: stop it, or choose another")


def bind_udp(group: Group, address: tuple[str, int], message_bytes_max: int) -> Datagrams:
    """Listen on an address."""
    host, port = address
    bound = None
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.bind(place)
    except OSError as error:
        if bound is not None:
            bound.close()
        text = f"cannot listen on UDP {host}:{port}: {error.strerror or error}"
        raise UnavailableError(text) from error
    return Datagrams(group, bound, message_bytes_max)
