"""Rigs of the Fluentd sink: two independent receivers, one of them also with TLS and login."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.certificates import Authority
from servers.forward import (
    KEY,
    PASSWORD,
    USER,
    Receiver,
    node_receiver,
    otel_receiver,
    secured_receiver,
)
from servers.shared import shared
from sink.rigs.base import Rig
from sink.rigs.counted import Acknowledged

from shipper.sink import Sink, make_sink
from shipper.sink.fluentd import Server, Settings
from shipper.sink.wire import Tls

TIMEOUT_SECONDS = 30


class Fluentd(Rig):
    """What a receiver printed since the rig was made."""

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        self.receiver = receiver
        self.settings = settings
        self._since = receiver.size()
        self._acknowledged = Acknowledged()

    def sink(self) -> Sink:
        return self._acknowledged.counting(make_sink(self.settings))

    def held(self) -> Counter[tuple[str, int]]:
        expected = self._acknowledged.records
        events = self.receiver.received(self._since, lambda found: len(found) >= expected)
        documents = [event["record"] for event in events]
        return Counter((document["segment"], document["offset"]) for document in documents)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The receiver is killed; what it had acknowledged by then, it had printed."""
        self.held()
        with self.receiver.away():
            yield


def settings(*receivers: Receiver, **more: Any) -> Settings:
    servers = tuple(Server(host="127.0.0.1", port=receiver.port) for receiver in receivers)
    more = {"timeout_seconds": TIMEOUT_SECONDS, "document": "percona", **more}
    return Settings(servers=servers, **more)


def login(authority: Authority, **more: Any) -> dict[str, Any]:
    """What a secured receiver asks for."""
    return {
        "tls": Tls(ca_file=str(authority.ca_file)),
        "shared_key": KEY,
        "username": USER,
        "password": PASSWORD,
        **more,
    }


@contextmanager
def node(_folder: Path) -> Iterator[Rig]:
    receiver = shared(node_receiver)
    yield Fluentd(receiver, settings(receiver, compress=True))


@contextmanager
def secured(_folder: Path) -> Iterator[Rig]:
    receiver, authority = shared(secured_receiver)
    yield Fluentd(receiver, settings(receiver, **login(authority)))


@contextmanager
def otelcol(_folder: Path) -> Iterator[Rig]:
    receiver = shared(otel_receiver)
    yield Fluentd(receiver, settings(receiver))
