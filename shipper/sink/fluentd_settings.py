"""What the Fluentd sink can be told. Each field: unit, default, reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from shipper.settings import Secret
from shipper.settings import Settings as PlainSettings
from shipper.sink.base import SinkSettings
from shipper.sink.fluentd_wire import tag_problems
from shipper.sink.wire import Tls


class Server(PlainSettings, frozen=True, kw_only=True):
    """One server; they are tried in the order in which they are given."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65535)] = 24224  # as registered

    def __str__(self) -> str:
        """Write it for messages."""
        return f"{self.host}:{self.port}"


class Settings(SinkSettings, frozen=True, kw_only=True, tag="fluentd"):
    """Forward servers that stand in for each other."""

    servers: tuple[Server, ...]
    # May name {kind}, {format}, {source} and {instance}; nothing that a log's author chooses.
    tag: str = "mysql.audit"
    document: Literal["ecs", "percona"] = "ecs"  # the index's document, or the plugin's JSON
    compress: bool = False  # gzip; costs little and saves three quarters of the bytes

    tls: Tls | None = None  # `tls: {}` for the authorities that the machine trusts
    shared_key: Secret | None = None  # of the servers' <security> section
    username: str | None = None
    password: Secret | None = None
    hostname: str | None = None  # ours in the handshake; default: this machine's name

    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 10.0  # for connecting, for logging in
    # Fluentd itself waits 190 s for an ack; a busy file buffer was seen to take seconds.
    ack_timeout_seconds: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    # Batches under way at once. More than one hides the way to a far server and mixes batches.
    connections: Annotated[int, Meta(ge=1, le=16)] = 1

    def problems(self) -> Iterator[str]:
        """Say which settings disagree."""
        if not self.servers:
            yield "servers is empty: name at least one"
        yield from tag_problems(self.tag)
        if (self.username is None) != (self.password is None):
            yield "username and password need each other"
        elif self.username is not None and self.shared_key is None:
            yield "username needs shared_key: without one there is no handshake"
