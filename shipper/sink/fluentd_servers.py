"""Servers that stand in for each other: the first that lets us in takes the batches.

One that failed is asked last for a while, so that not every batch waits for it; notices tell when
one fails and when it answers again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from shipper.clock import Clock
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Mended, Tell, Trouble
from shipper.sink.fluentd_net import ForwardSender, host_name
from shipper.sink.fluentd_settings import Settings
from shipper.sink.fluentd_wire import Credentials
from shipper.sink.wire import Address, tls_context

# How long a server that failed is asked last: long enough not to wait for it at every batch.
AVOID_SECONDS: Final = 60.0


class Servers:
    """The servers of one sink; may be asked from several threads."""

    def __init__(self, settings: Settings, name: str, clock: Clock, tell: Tell) -> None:
        """`name` is the sink's, for notices. Nothing is opened yet."""
        self._settings = settings
        self._name = name
        self._clock = clock
        self._tell = tell
        self._addresses: tuple[Address, ...] = ()
        self._lock = threading.Lock()
        self._failed: dict[int, float] = {}  # server -> when, on the monotonic clock

    def __len__(self) -> int:
        """Say how many there are."""
        return len(self._settings.servers)

    def in_order(self) -> list[int]:
        """Give the servers in their order, those that failed lately last."""
        now = self._clock.monotonic()
        with self._lock:
            avoided = {i for i, at in self._failed.items() if now - at < AVOID_SECONDS}
        return [*(i for i in range(len(self)) if i not in avoided), *sorted(avoided)]

    def fail(self, index: int, error: Exception) -> None:
        """Note that a server failed, and tell it where another may take its place."""
        with self._lock:
            news = index not in self._failed
            self._failed[index] = self._clock.monotonic()
        if news and len(self) > 1:  # of a single server the lane tells
            self._tell(Trouble("", self._name, f"{self._settings.servers[index]}: {error}"))

    def mend(self, index: int) -> None:
        """Note that a server lets us in."""
        with self._lock:
            failed = self._failed.pop(index, None) is not None
        if failed and len(self) > 1:
            self._tell(Mended("", self._name, f"{self._settings.servers[index]} answers again"))

    def sender(self, index: int) -> ForwardSender:
        """Make what connects to a server. Raises MisconfiguredError where `tls` cannot be used."""
        if not self._addresses:
            self._addresses = _addresses(self._settings)
        key = self._settings.shared_key
        credentials = None
        if key is not None:
            username, password = self._settings.username or "", self._settings.password or ""
            credentials = Credentials(key, username, password)
        return ForwardSender(
            self._addresses[index],
            credentials,
            self._clock,
            hostname=self._settings.hostname or host_name(),
            ack_timeout=self._settings.ack_timeout_seconds,
        )

    def check(self) -> list[str]:
        """Connect to each server once and log in; give what stands in the way. Nothing is sent."""
        problems = []
        for index in range(len(self)):
            try:
                sender = self.sender(index)
                try:
                    sender.open()
                    sender.await_demands()
                finally:
                    sender.close()
            except (UnavailableError, MisconfiguredError) as error:
                problems.append(str(error))
        return problems


class Connection:
    """A connection to whichever server takes it; used by one thread at a time."""

    def __init__(self, servers: Servers) -> None:
        """Connect to nothing yet."""
        self._servers = servers
        self._sender: ForwardSender | None = None
        self._server = -1  # index of the server that `_sender` is for

    def open(self) -> ForwardSender:
        """Keep the connection that is open; where there is none, ask one server after the other.

        Raises MisconfiguredError where every server refuses us, else UnavailableError.
        """
        if self._sender is not None:
            try:
                self._sender.open()
            except (UnavailableError, MisconfiguredError) as error:
                self._servers.fail(self._server, error)
            else:
                return self._sender
        errors: list[UnavailableError | MisconfiguredError] = []
        for index in self._servers.in_order():
            self.close()
            sender = self._servers.sender(index)
            self._sender, self._server = sender, index
            try:
                sender.open()
            except (UnavailableError, MisconfiguredError) as error:
                errors.append(error)
                self._servers.fail(index, error)
            else:
                self._servers.mend(index)
                return sender
        text = "; ".join(map(str, errors))
        if all(isinstance(error, MisconfiguredError) for error in errors):
            raise MisconfiguredError(text)
        reason = next(error.reason for error in errors if isinstance(error, UnavailableError))
        raise UnavailableError(text, reason=reason)

    def exchange(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send (chunk, message) pairs, and return when a server has acknowledged all.

        Raises UnavailableError; MisconfiguredError where no other server may take them.
        """
        sender = self.open()
        try:
            sender.exchange(messages)
        except UnavailableError as error:
            self._servers.fail(self._server, error)
            raise
        except MisconfiguredError as error:
            self._servers.fail(self._server, error)
            if len(self._servers) == 1:
                raise
            raise UnavailableError(str(error), reason="auth") from error  # another may take it

    def close(self) -> None:
        """Disconnect."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None


def _addresses(settings: Settings) -> tuple[Address, ...]:
    context = None if settings.tls is None else tls_context(settings.tls)
    name = "" if settings.tls is None else settings.tls.server_name or ""
    return tuple(
        Address(server.host, server.port, settings.timeout_seconds, context, name)
        for server in settings.servers
    )
