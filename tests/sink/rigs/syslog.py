"""Rigs of the syslog sink: the real daemons, one rig a transport.

Messages are ECS documents, because these tell segment and offset in every format.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from servers.shared import shared
from servers.syslog import Daemon, rsyslog, syslog_ng
from sink.rigs.base import Rig
from sink.rigs.counted import Acknowledged

from shipper.sink import Sink, make_sink
from shipper.sink.syslog import Settings
from shipper.sink.wire import Tls

TIMEOUT_SECONDS = 30


class Syslog(Rig):
    """What a daemon wrote since the rig was made."""

    def __init__(self, daemon: Daemon, settings: Settings, *, notices_outages: bool = True) -> None:
        self.notices_outages = notices_outages
        self.daemon = daemon
        self.settings = settings
        self._since = daemon.output.stat().st_size
        self._acknowledged = Acknowledged()

    def sink(self) -> Sink:
        return self._acknowledged.counting(make_sink(self.settings))

    def held(self) -> Counter[tuple[str, int]]:
        expected = self._acknowledged.records
        messages = self.daemon.received(self._since, lambda found: len(found) >= expected)
        documents = [json.loads(message["text"]) for message in messages]
        return Counter(
            (document["log"]["segment"], document["log"]["offset"]) for document in documents
        )

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The daemon is killed; what it had acknowledged by then, it had written."""
        self.held()
        with self.daemon.away():
            yield
        if not self.notices_outages:
            # What was sent into the void is not expected.
            self._acknowledged.records = 0
            self._since = self.daemon.output.stat().st_size


def settings(daemon: Daemon, transport: str, **more: object) -> Settings:
    """Settings for one of a daemon's inputs; `mutual` is TLS with a certificate of our own."""
    more = {"timeout_seconds": TIMEOUT_SECONDS, **more}
    if transport.startswith("unix"):
        path = daemon.stream if transport == "unix-stream" else daemon.datagram
        return Settings(transport=transport, path=str(path), **more)  # type: ignore[arg-type]
    tls = Tls(ca_file=str(daemon.authority.ca_file))
    if transport == "mutual":
        certificate, key = daemon.authority.pair("client")
        tls = Tls(
            ca_file=str(daemon.authority.ca_file),
            certificate_file=str(certificate),
            key_file=str(key),
        )
    port = getattr(daemon, transport)
    name = "tls" if transport == "mutual" else transport
    return Settings(transport=name, host="127.0.0.1", port=port, tls=tls, **more)  # type: ignore[arg-type]


def _rig(
    start: Callable[[], AbstractContextManager[Daemon]],
    transport: str,
    *,
    notices_outages: bool = True,
) -> Callable[[Path], AbstractContextManager[Rig]]:
    @contextmanager
    def rig(_folder: Path) -> Iterator[Rig]:
        daemon = shared(start)
        target = settings(daemon, transport, message="ecs")
        yield Syslog(daemon, target, notices_outages=notices_outages)

    return rig


tcp = _rig(rsyslog, "tcp")
tls = _rig(rsyslog, "tls")
# A datagram into the void is sent like any other; only this machine's kernel would tell.
udp = _rig(syslog_ng, "udp", notices_outages=False)
unix = _rig(rsyslog, "unix")
unix_stream = _rig(syslog_ng, "unix-stream")
