"""What keeps an input from being opened, found without opening it for good."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shipper.errors import MisconfiguredError
from shipper.source.pipes import FifoSettings
from shipper.source.receive import SyslogInputSettings, address_of
from shipper.source.received import ReceivedSettings
from shipper.source.syslog_streams import tls_context

_KINDS: Final = {"UDP": socket.SOCK_DGRAM, "TCP": socket.SOCK_STREAM}


def obstacles(settings: ReceivedSettings, *, running: bool) -> Iterator[str]:
    """Say what is in the way, and what to do. `running`: a daemon has the addresses already."""
    if isinstance(settings, FifoSettings):
        path = Path(settings.path)
        yield from _folder(path)
        if path.exists() and not path.is_fifo():
            yield f"{path} is not a named pipe: remove it (it is made again), or name another"
    if isinstance(settings, SyslogInputSettings):
        if settings.unix is not None:
            yield from _folder(Path(settings.unix))
            if Path(settings.unix).exists() and not Path(settings.unix).is_socket():
                yield f"{settings.unix} is there and no socket: choose another path"
        if settings.tls is not None:
            yield from _tls(settings)
        places = (("UDP", settings.udp), ("TCP", settings.tcp), ("TCP", settings.tls))
        for kind, text in places:
            if text is not None and not running:
                yield from taken(kind, address_of(text))


def _folder(path: Path) -> Iterator[str]:
    if not path.parent.is_dir():
        yield f"the folder {path.parent} does not exist: make it, or name another"
    elif not path.exists() and not os.access(path.parent, os.W_OK | os.X_OK):
        yield f"{path.parent} cannot be written by user id {os.getuid()}: {path} cannot be made"


def _tls(settings: SyslogInputSettings) -> Iterator[str]:
    certificate, key = settings.tls_certificate_file or "", settings.tls_key_file or ""
    try:
        tls_context(certificate, key, settings.tls_client_ca_file)
    except MisconfiguredError as error:
        yield str(error)


def taken(kind: str, address: tuple[str, int]) -> Iterator[str]:
    """Say why nobody can listen on UDP or TCP there, if so."""
    host, port = address
    try:
        family, type_, protocol, _, place = socket.getaddrinfo(
            host or None, port, type=_KINDS[kind], flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, type_, protocol) as probe:
            if kind == "TCP":  # as the listener does: a connection that ended is in nobody's way
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        reason = error.strerror or error
        yield f"cannot listen on {kind} {host}:{port}: {reason}: free it, or choose another"
