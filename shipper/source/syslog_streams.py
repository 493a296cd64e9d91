"""Syslog by connections: TCP, and TLS inside it.

A sender that is faster than the spool is not read, so TCP makes it wait. One that begins a message
or a handshake and does not end it is sent away after a while; one that keeps its connection open
and silent may stay, as long as there are not too many.
"""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
from typing import Final

from shipper.clock import rfc3339
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Mended, Trouble
from shipper.settings import NO_PASSPHRASE
from shipper.source.poll import READ_BYTES, REST_SECONDS, Group, rest_after
from shipper.source.syslog_framing import Framing, FramingError
from shipper.source.syslog_text import line_of

# New connections a turn.
_ACCEPTS: Final = 16
# Connections that wait for being accepted: those of one moment.
_BACKLOG: Final = 128
# Why a connection that waits cannot be accepted now (accept(2)).
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Limits:
    """What connections may do; shared by all listeners of a source."""

    def __init__(self, message_bytes_max: int, connections_max: int, stall_seconds: float) -> None:
        """Count connections from zero."""
        self.message_bytes_max = message_bytes_max
        self.connections_max = connections_max
        self.stall_seconds = stall_seconds
        self.connections = 0


class Connection:
    """One sender."""

    def __init__(
        self, group: Group, limits: Limits, accepted: socket.socket, peer: str, *, tls: bool
    ) -> None:
        """Take over the socket; `tls`: it is an SSLSocket before its handshake."""
        self._group = group
        self._limits = limits
        self._socket = accepted
        self._peer = peer
        self._handshake = tls
        self.rest_seconds = REST_SECONDS
        self._framing = Framing(limits.message_bytes_max)
        self._since = group.around.clock.monotonic()  # of the last whole message
        self.events: int = selectors.EVENT_READ
        limits.connections += 1

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """Give a line for each message that is whole now."""
        try:
            self.events = selectors.EVENT_READ
            if self._handshake:
                self._shake_hands()
            data = self._socket.recv(READ_BYTES)
            while isinstance(self._socket, ssl.SSLSocket) and (more := self._socket.pending()):
                # Decrypted already: the descriptor would not wake us up for it.
                data += self._socket.recv(more)
        except (ssl.SSLWantReadError, BlockingIOError):
            return b""
        except ssl.SSLWantWriteError:
            self.events = selectors.EVENT_WRITE
            return b""
        except OSError as error:
            if self._handshake:
                self._group.reject("tls", f"{self._peer}: {getattr(error, 'reason', error)}")
            return self._end()
        self.rest_seconds = rest_after(data)
        return self._take(data) if data else self._end()

    def _shake_hands(self) -> None:
        if isinstance(self._socket, ssl.SSLSocket):
            self._socket.do_handshake()
        self._handshake = False
        self._since = self._group.around.clock.monotonic()

    def _take(self, data: bytes) -> bytes:
        try:
            messages = self._framing.feed(data)
        except FramingError as error:
            self._group.reject("framing", self._peer)
            return self._lines(error.messages) + self._end()
        if messages or not self._framing.inside:
            self._since = self._group.around.clock.monotonic()
        return self._lines(messages)

    def _lines(self, messages: list[bytes]) -> bytes:
        for _ in range(self._framing.cut):
            self._group.reject("too_large", self._peer)
        self._framing.cut = 0
        received = rfc3339(self._group.around.clock.now())
        return b"".join([line_of(message, received) for message in messages])

    def _end(self) -> bytes:
        self._group.remove(self)
        return self._lines(self._framing.finish())

    def tick(self) -> bytes:
        """Send a sender away that began something and does not end it."""
        waits = self._group.around.clock.monotonic() - self._since
        if not (self._handshake or self._framing.inside) or waits < self._limits.stall_seconds:
            return b""
        self._group.reject("stalled", self._peer)
        return self._end()

    def close(self) -> None:
        """Close the connection."""
        self._limits.connections -= 1
        self._socket.close()


class Listener:
    """A socket that senders connect to."""

    events = selectors.EVENT_READ
    rest_seconds = REST_SECONDS

    def __init__(
        self,
        group: Group,
        limits: Limits,
        address: tuple[str, int],
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Listen; with a context, for TLS. Raises UnavailableError."""
        self._group = group
        self._limits = limits
        self._context = context
        host, port = address
        try:
            family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0][0]
            self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            text = f"cannot listen on TCP {host}:{port}: {error.strerror or error}"
            raise UnavailableError(text) from error
        self._socket.settimeout(0)
        self._trouble = ""

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._socket.getsockname()[1]
        return port

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._socket.fileno()

    def read(self) -> bytes:
        """Accept who is there."""
        for _ in range(_ACCEPTS):
            try:
                accepted, peer = self._socket.accept()
            except OSError as error:  # nobody more, or one who has gone again
                if error.errno in _NO_ROOM:
                    # The kernel keeps who waits; asking again at once would only burn a core.
                    self._say(f"cannot take more connections: {error.strerror}")
                    self._group.rest(self)
                break
            self._say("")
            self._welcome(accepted, str(peer[0]))
        return b""

    def _say(self, trouble: str) -> None:
        if trouble != self._trouble:
            kind, detail = (Trouble, trouble) if trouble else (Mended, self._trouble)
            self._group.around.tell(kind(self._group.around.source, "", detail))
            self._trouble = trouble

    def _welcome(self, accepted: socket.socket, peer: str) -> None:
        if self._limits.connections >= self._limits.connections_max:
            self._group.reject("too_many_connections", peer)
            accepted.close()
            return
        accepted.settimeout(0)
        # A sender that lost its power is noticed and makes room.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._context is not None:
            try:
                accepted = self._context.wrap_socket(
                    accepted, server_side=True, do_handshake_on_connect=False
                )
            except OSError as error:  # gone again already
                self._group.reject("tls", f"{peer}: {error}")
                accepted.close()
                return
        tls = self._context is not None
        self._group.add(Connection(self._group, self._limits, accepted, peer, tls=tls))

    def tick(self) -> bytes:
        """Nothing to look after."""
        return b""

    def close(self) -> None:
        """Listen no longer."""
        self._socket.close()


def tls_context(certificate: str, key: str, client_ca: str | None) -> ssl.SSLContext:
    """Read the files for TLS 1.2 or newer. Raises MisconfiguredError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Senders only send: one that closes without having read a ticket would make its own kernel
    # reset the connection, and take back what we have not read yet.
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key, NO_PASSPHRASE)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(filter(None, (certificate, key, client_ca)))
        raise MisconfiguredError(
            f"cannot use the TLS files {names}: {error.strerror or error}"
        ) from error
    return context
