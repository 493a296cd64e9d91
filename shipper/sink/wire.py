"""Sockets of the sinks that speak a protocol of their own: connecting, TLS, what the peer did.

A peer that went away without a word is noticed in three ways: the kernel gives up unacknowledged
data (TCP_USER_TIMEOUT) and silent connections (keepalive), and `peer_closed` looks for the peer's
farewell before anything is sent into the void.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from msgspec import Struct

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.settings import NO_PASSPHRASE, Settings

# Three probes, ten seconds apart, after half a minute of silence: a dead peer is known in a minute.
KEEPALIVE_IDLE_SECONDS = 30
KEEPALIVE_INTERVAL_SECONDS = 10
KEEPALIVE_PROBES = 3
READ_BYTES = 65_536
# Receivers at their limit, and balancers without a receiver behind them, accept a connection and
# end it at once: what was sent by then is lost. So a new connection must first live this long.
VERDICT_SECONDS = 0.1
# In TLS 1.3 a client is done before the server has looked at its certificate. What the server says
# next (a session ticket, or its refusal) comes within a round trip; some servers say nothing.
TLS_VERDICT_SECONDS = 1.0


class Tls(Settings, frozen=True, kw_only=True):
    """TLS towards a server. The server's certificate is always verified."""

    ca_file: str | None = None  # PEM; default: the authorities that the machine trusts
    certificate_file: str | None = None  # PEM, ours: only where the server asks for one
    key_file: str | None = None  # PEM; default: it stands in `certificate_file`
    server_name: str | None = None  # in the server's certificate; default: the host

    def problems(self) -> list[str]:
        """Say which settings need each other."""
        if self.key_file and not self.certificate_file:
            return ["key_file needs certificate_file"]
        return []


class Address(Struct, frozen=True):
    """A server's place, and how to get there."""

    host: str
    port: int
    timeout: float  # seconds for connecting, and for any progress of a transfer
    tls: ssl.SSLContext | None = None
    server_name: str = ""
    send_buffer: int = 0  # bytes in the kernel that no one has acknowledged; 0: the system's choice

    def __str__(self) -> str:
        """Write it for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Make a verifying context of version 1.2 or later. Raises MisconfiguredError."""
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.certificate_file:
            context.load_cert_chain(tls.certificate_file, tls.key_file, NO_PASSPHRASE)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(filter(None, (tls.ca_file, tls.certificate_file, tls.key_file)))
        raise MisconfiguredError(f"cannot use the TLS files {files}: {error}") from error
    return context


def connect(address: Address) -> socket.socket:
    """Connect by TCP, and TLS where the address has a context.

    Raises UnavailableError, and MisconfiguredError where the server's certificate, or to the server
    ours, is not trusted.
    """
    try:
        plain = socket.create_connection((address.host, address.port), address.timeout)
    except OSError as error:
        raise failure("connect to", address, error) from error
    try:
        _tune(plain, address)
        return _secured(plain, address)
    except ssl.SSLCertVerificationError as error:
        plain.close()
        raise MisconfiguredError(
            f"{address} shows a certificate that is not trusted ({error.verify_message}): set "
            "ca_file or server_name, or change the server's certificate"
        ) from error
    except OSError as error:
        plain.close()
        raise failure("connect to", address, error) from error


def _tune(plain: socket.socket, address: Address) -> None:
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_PROBES)
    milliseconds = int(address.timeout * 1000)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    if address.send_buffer:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, address.send_buffer)


def _secured(plain: socket.socket, address: Address) -> socket.socket:
    if address.tls is None:
        return plain
    name = address.server_name or address.host
    return address.tls.wrap_socket(plain, server_hostname=name)


def await_verdict(connection: socket.socket) -> None:
    """Give a server the time to turn us away before anything is sent; OSError where it does.

    For protocols in which the server says nothing of its own: what it says is dropped.
    """
    if not isinstance(connection, ssl.SSLSocket):
        await_readable(connection, VERDICT_SECONDS)
    elif connection.version() == "TLSv1.3":
        await_readable(connection, TLS_VERDICT_SECONDS)
    if peer_closed(connection):
        raise ConnectionResetError("the server ended the connection at once")


def await_readable(connection: socket.socket, seconds: float) -> bool:
    """Wait until the peer has said something or left; False if the time is over."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def readable(connection: socket.socket) -> Iterator[bytes]:
    """Give what the peer has said so far, and b"" if it ended the connection; never wait.

    The timeout is 0 afterwards. Raises OSError where the connection broke: reset, a TLS alert.
    """
    connection.settimeout(0)
    try:
        while data := connection.recv(READ_BYTES):
            yield data
    except (BlockingIOError, ssl.SSLWantReadError):
        return
    yield b""


def peer_closed(connection: socket.socket) -> bool:
    """Say whether the peer ended the connection; what it said before is dropped.

    Raises OSError where the connection broke.
    """
    timeout = connection.gettimeout()
    try:
        return b"" in list(readable(connection))
    finally:
        with suppress(OSError):
            connection.settimeout(timeout)


# A server's refusals that waiting does not mend, by OpenSSL's names, and what to do.
_REFUSALS: Final = {
    "CERTIFICATE_REQUIRED": "it wants a client certificate: set certificate_file and key_file",
    "CERTIFICATE_EXPIRED": "the client certificate has expired: renew certificate_file",
    "CERTIFICATE_REVOKED": "the client certificate was revoked: renew certificate_file",
    "CERTIFICATE_UNKNOWN": "it does not take the client certificate",
    "BAD_CERTIFICATE": "it does not take the client certificate",
    # Of an authority that has the right name and another key.
    "DECRYPT_ERROR": "it cannot verify the client certificate",
    "UNKNOWN_CA": "it does not know the authority of the client certificate",
}


def failure(doing: str, target: object, error: OSError) -> UnavailableError | MisconfiguredError:
    """Make the error of a failed attempt, with its reason for metrics.

    Unavailable, but where the peer says that it is our certificate: a new file must come.
    """
    why = error.strerror or str(error) or type(error).__name__
    alert = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    for name, hint in _REFUSALS.items():
        if alert.endswith(f"ALERT_{name}"):
            return MisconfiguredError(f"cannot {doing} {target}: {hint} ({alert})")
    late = isinstance(error, TimeoutError)
    reason = "timeout" if late else "auth" if "ALERT" in alert else "unavailable"
    return UnavailableError(f"cannot {doing} {target}: {why}", reason=reason)
