"""One connection to a forward server, on top of fluent-logger's sender.

Of `FluentSender` it keeps the conventions and the sending; it adds IPv6, TLS, the handshake, and it
reads what the server says, which the package reads and drops.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Sequence
from typing import Any, Final

import msgpack
from fluent.sender import FluentSender

from shipper.clock import Clock
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.sink.fluentd_wire import Credentials, Login, ack_in, is_helo
from shipper.sink.wire import READ_BYTES, Address, connect, failure, readable

# A server says HELO, PONG and acks: some hundred bytes. More is no forward server.
REPLY_BYTES_MAX: Final = 64 * 1024
# A server that wants a login says so in its first words, a round trip after the connection.
DEMAND_SECONDS: Final = 1.0


class ForwardSender(FluentSender):  # type: ignore[misc] # the package has no types
    """A connection that knows what was acknowledged. To be used by one thread."""

    def __init__(
        self,
        address: Address,
        credentials: Credentials | None,
        clock: Clock,
        *,
        hostname: str,
        ack_timeout: float,
    ) -> None:
        """Connect at the first use; `ack_timeout` in seconds."""
        super().__init__(
            "", address.host, address.port, timeout=address.timeout, nanosecond_precision=True
        )
        self.socket: socket.socket | None
        self.address = address
        self._credentials = credentials
        self._clock = clock
        self._hostname = hostname
        self._ack_timeout = ack_timeout
        self._replies = self._new_replies()

    def open(self) -> None:
        """Connect and log in, unless connected; a connection that the server ended is replaced.

        Raises UnavailableError or MisconfiguredError.
        """
        if self.socket is not None:
            try:
                self._check_recv_side()
            except OSError:
                self._close()
        self._reconnect()

    def await_demands(self) -> None:
        """Give the server the time to ask for a login, where we have none to offer.

        `open` does not wait for that, because a server that wants none says nothing. Raises
        MisconfiguredError, or UnavailableError where the server hangs up or talks nonsense.
        """
        if self._credentials is not None:
            return
        try:
            reply = self._reply(self._clock.monotonic() + DEMAND_SECONDS)
        except TimeoutError:
            return
        except OSError as error:
            raise failure("stay connected to", self.address, error) from error
        raise self._demand() if is_helo(reply) else self._nonsense()

    def _demand(self) -> MisconfiguredError:
        return MisconfiguredError(f"{self.address} wants us to log in: set shared_key")

    def exchange(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send (chunk, message) pairs, and return when the server has acknowledged all.

        Raises UnavailableError or MisconfiguredError; the connection is closed then, so that a late
        answer cannot be taken for that of another delivery.
        """
        try:
            for _, message in messages:
                self._send_data(memoryview(message))
            self._await_acks({chunk for chunk, _ in messages})
        except OSError as error:
            self._close()
            raise failure("get an answer of", self.address, error) from error
        except (UnavailableError, MisconfiguredError):
            self._close()
            raise

    @property
    def _connection(self) -> socket.socket:
        if self.socket is None:
            raise ConnectionResetError("not connected")
        return self.socket

    def _await_acks(self, missing: set[str]) -> None:
        deadline = self._clock.monotonic() + self._ack_timeout
        while missing:
            reply = self._reply(deadline)
            if is_helo(reply):
                raise self._demand()
            chunk = ack_in(reply)
            if chunk not in missing:
                raise UnavailableError(
                    f"{self.address} acknowledged something that was not sent", reason="protocol"
                )
            missing.remove(chunk)

    def _reply(self, deadline: float) -> object:
        """Give the next thing that the server says; TimeoutError when the time is over."""
        while True:
            try:
                return self._replies.unpack()
            except msgpack.OutOfData:
                pass
            except (ValueError, msgpack.UnpackException) as error:
                raise self._nonsense() from error
            left = deadline - self._clock.monotonic()
            # Not 0, which would mean not to wait but fail in another way.
            self._connection.settimeout(max(left, 0.001))
            self._feed(self._connection.recv(READ_BYTES))

    def _feed(self, data: bytes) -> None:
        if not data:
            raise ConnectionResetError("the server ended the connection")
        try:
            self._replies.feed(data)
        except (ValueError, msgpack.UnpackException) as error:
            raise self._nonsense() from error

    def _nonsense(self) -> UnavailableError:
        text = f"{self.address} answers something that is not the forward protocol"
        return UnavailableError(text, reason="protocol")

    # What follows replaces parts of FluentSender, under its names.

    def _check_recv_side(self) -> None:
        """Keep what the server said, where the package drops it; OSError where it left."""
        for data in readable(self._connection):
            self._feed(data)
        self._connection.settimeout(self.timeout)

    def _reconnect(self) -> None:
        if self.socket is not None:
            return
        self._replies = self._new_replies()
        self.socket = connect(self.address)
        try:
            if self._credentials is not None:
                self._log_in(self._credentials)
        except OSError as error:
            self._close()
            raise failure("log in to", self.address, error) from error
        except (UnavailableError, MisconfiguredError):
            self._close()
            raise

    def _log_in(self, credentials: Credentials) -> None:
        deadline = self._clock.monotonic() + self.timeout
        login = Login(credentials, self._hostname, secrets.token_bytes(16))
        try:
            self._connection.sendall(login.ping(self._reply(deadline)))
            refused = login.refusal(self._reply(deadline))
        except ValueError as error:
            raise MisconfiguredError(
                f"cannot log in to {self.address}: {error}: check shared_key there and here"
            ) from error
        if refused is not None:
            raise MisconfiguredError(
                f"{self.address} refuses us: {refused.reason}: check shared_key, username, password"
            )

    def _new_replies(self) -> Any:
        return msgpack.Unpacker(raw=True, strict_map_key=False, max_buffer_size=REPLY_BYTES_MAX)


def host_name() -> str:
    """Name this machine for the handshake."""
    return socket.gethostname()
