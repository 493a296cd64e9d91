"""Inputs that cannot be read twice, each with its spool. One thread an input."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from shipper.errors import MisconfiguredError
from shipper.settings import Seconds
from shipper.source.base import Surroundings
from shipper.source.pipes import Fifo, FifoSettings, Stdin, StdinSettings
from shipper.source.poll import Group
from shipper.source.received import ReceivedSettings
from shipper.source.spool import Spool
from shipper.source.syslog_datagrams import Datagrams, bind_local, bind_udp
from shipper.source.syslog_streams import Limits, Listener, tls_context

# `127.0.0.1:514`, `[::1]:514`, `:514` for all addresses of the machine.
_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%\w]+)\]|([^\[\]:\s]*)):([0-9]{1,5})")
Address = Annotated[str, Meta(max_length=300)]


class SyslogInputSettings(ReceivedSettings, frozen=True, kw_only=True, tag="syslog"):
    """A syslog receiver, for audit_log_handler=SYSLOG and server_audit_output_type=SYSLOG.

    Who can reach it can invent records: keep it on 127.0.0.1, behind a firewall, or ask for
    client certificates.
    """

    unix: str | None = None  # path of a datagram socket, as /dev/log is one
    unix_mode: Literal["0600", "0660", "0666"] = "0660"  # who may write: owner, group, everybody
    udp: Address | None = None  # HOST:PORT; an empty host is every address
    tcp: Address | None = None
    tls: Address | None = None
    tls_certificate_file: str | None = None  # PEM, the server's chain
    tls_key_file: str | None = None
    tls_client_ca_file: str | None = None  # then only senders with a certificate of this CA
    # Of one message; the rest is cut off. What a local socket can carry at the kernel's defaults
    # (208 KiB), and thirty times what rsyslog forwards.
    message_bytes_max: Annotated[int, Meta(ge=1024, le=64 * 1024 * 1024)] = 256 * 1024
    # TCP and TLS together. With the size above: at most 16 MiB for unfinished messages.
    connections_max: Annotated[int, Meta(ge=1, le=10_000)] = 64
    # For an unfinished message or handshake. A minute survives every hiccup of a network.
    stall_seconds: Seconds = 60.0

    def problems(self) -> Iterator[str]:
        """Say which fields disagree."""
        if not (self.unix or self.udp or self.tcp or self.tls):
            yield "nothing to listen on: set unix, udp, tcp or tls"
        for name, address in (("udp", self.udp), ("tcp", self.tcp), ("tls", self.tls)):
            try:
                address_of(address or ":0")
            except MisconfiguredError as error:
                yield f"{name}: {error}"
        given = (self.tls_certificate_file, self.tls_key_file)
        if self.tls is not None and None in given:
            yield "tls needs tls_certificate_file and tls_key_file"
        if self.tls is None and any((*given, self.tls_client_ca_file)):
            yield "tls_certificate_file, tls_key_file and tls_client_ca_file go with tls"


def address_of(text: str) -> tuple[str, int]:
    """Read HOST:PORT. Raises MisconfiguredError."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise MisconfiguredError(f"{text!r} is not HOST:PORT")
    return match[1] or match[2], int(match[3])


class Receiver:
    """One input: listens from its making on, receives in `run`, gives up in `close`."""

    def __init__(self, settings: ReceivedSettings, spool: Spool, around: Surroundings) -> None:
        """Open everything. Raises UnavailableError or MisconfiguredError."""
        self._group = Group(spool, around)
        try:
            # Where it listens on the network, for an address that leaves the port to the kernel.
            self.ports = _OPEN[type(settings)](self._group, settings)
        except Exception:
            self._group.close()
            raise

    def run(self, stop: threading.Event) -> None:
        """Put what arrives into the spool until `stop` is set or standard input ends."""
        self._group.run(stop)

    def close(self) -> None:
        """Close all descriptors; the spool stays open."""
        self._group.close()


def _open_fifo(group: Group, settings: FifoSettings) -> dict[str, int]:
    group.add(Fifo(group, settings))
    return {}


def _open_stdin(group: Group, settings: StdinSettings) -> dict[str, int]:
    group.add(Stdin(group, settings, sys.stdin.fileno()))
    return {}


def _open_syslog(group: Group, settings: SyslogInputSettings) -> dict[str, int]:
    size = settings.message_bytes_max
    limits = Limits(size, settings.connections_max, settings.stall_seconds)
    opened: dict[str, Datagrams | Listener] = {}
    if settings.unix is not None:
        mode = int(settings.unix_mode, 8)
        group.add(bind_local(group, Path(settings.unix), mode, size))
    if settings.udp is not None:
        opened["udp"] = bind_udp(group, address_of(settings.udp), size)
    if settings.tcp is not None:
        opened["tcp"] = Listener(group, limits, address_of(settings.tcp))
    if settings.tls is not None:
        context = tls_context(
            settings.tls_certificate_file or "",
            settings.tls_key_file or "",
            settings.tls_client_ca_file,
        )
        opened["tls"] = Listener(group, limits, address_of(settings.tls), context)
    for endpoint in opened.values():
        group.add(endpoint)
    return {name: endpoint.port for name, endpoint in opened.items()}


_OPEN: Final[dict[type[ReceivedSettings], Callable[[Group, Any], dict[str, int]]]] = {
    FifoSettings: _open_fifo,
    StdinSettings: _open_stdin,
    SyslogInputSettings: _open_syslog,
}
