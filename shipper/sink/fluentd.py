"""Fluentd, Fluent Bit, and whatever else speaks the forward protocol.

Guarantee: at least once. A batch counts as delivered when the server has acknowledged each of its
chunks, which Fluentd does once its buffer has it (make that buffer a file). An acknowledgement that
does not come, comes late or names something else means that the whole batch is sent again, perhaps
to another server; the records can then be there twice. The same records always have the same chunk
name, and every document tells segment and offset, so a receiver has two keys to drop duplicates by.

Not sent: defects, heartbeats. Batches keep their order where `connections` is 1.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Mended, Trouble
from shipper.settings import Secret
from shipper.settings import Settings as PlainSettings
from shipper.sink.base import Batch, Receipt, SinkSettings, Surroundings
from shipper.sink.fluentd_net import ForwardSender, host_name
from shipper.sink.fluentd_wire import (
    Credentials,
    Encoder,
    Tags,
    chunk_of,
    message,
    tag_problems,
)
from shipper.sink.wire import Address, Tls, tls_context

# How long a server that failed is asked last: long enough not to wait for it at every batch.
AVOID_SECONDS: Final = 60.0


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


class _Line:
    """A connection and what belongs to it; used by one thread at a time."""

    def __init__(self) -> None:
        self.sender: ForwardSender | None = None
        self.server = -1  # index of the server that `sender` is for
        self.encoder: tuple[tuple[str, str], Encoder] | None = None  # of the last segment

    def close(self) -> None:
        """Disconnect."""
        if self.sender is not None:
            self.sender.close()
            self.sender = None


class Fluentd:
    """Records as entries of acknowledged chunks."""

    # Memory and cache: larger blocks cost more time a record. One message, some 600 records.
    batch_bytes: ClassVar[int] = 256 * 1024

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        """Take the settings; nothing is opened yet."""
        surroundings = surroundings or Surroundings()
        self.in_flight = settings.connections
        self._settings = settings
        self._clock = surroundings.clock
        self._tell = surroundings.tell
        self._instance = surroundings.instance
        self._name = settings.name or "fluentd"
        self._addresses: tuple[Address, ...] = ()
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._failed: dict[int, float] = {}  # server -> when, on the monotonic clock

    def prepare(self) -> None:
        """Connect to the first server that lets us in, and log in there."""
        line = self._take()
        try:
            self._connected(line)
        finally:
            self._give_back(line)

    def deliver(self, batch: Batch) -> Receipt:
        """Send the batch, and return when the server has acknowledged all of it."""
        line = self._take()
        try:
            messages = self._messages(line, batch)
            if messages:
                sender = self._connected(line)
                self._exchange(line, sender, messages)
        finally:
            self._give_back(line)
        return Receipt(new=batch.count, size=sum(len(message) for _, message in messages))

    def _exchange(
        self, line: _Line, sender: ForwardSender, messages: Sequence[tuple[str, bytes]]
    ) -> None:
        try:
            sender.exchange(messages)
        except UnavailableError as error:
            self._fail(line.server, error)
            raise
        except MisconfiguredError as error:
            self._fail(line.server, error)
            if len(self._settings.servers) == 1:
                raise
            raise UnavailableError(str(error), reason="auth") from error  # another may take it

    def _messages(self, line: _Line, batch: Batch) -> list[tuple[str, bytes]]:
        """Give (chunk, message) for each tag of the batch."""
        tags = Tags(self._settings.tag, batch.source, self._instance)
        entries = self._entries(line, batch, tags)
        start, compress = batch.blocks[0].start, self._settings.compress
        messages = []
        for tag, tagged in entries.items():
            chunk = chunk_of(batch.segment, start, batch.upto, tag)
            messages.append((chunk, message(tag, tagged, chunk, compress=compress)))
        return messages

    def _entries(self, line: _Line, batch: Batch, tags: Tags) -> dict[str, list[bytes]]:
        place = (batch.segment, batch.path)
        if line.encoder is None or line.encoder[0] != place:
            line.encoder = (place, Encoder(self._settings.document, *place, self._instance))
        encoder, now = line.encoder[1], self._clock.now()
        found: dict[str, list[bytes]] = defaultdict(list)
        for block in batch.blocks:
            entries = encoder.entries(block, now)
            if not tags.vary:
                if entries:
                    found[tags.of("", "")] += entries
                continue
            for record, entry in zip(block.records, entries, strict=True):
                found[tags.of(record.kind, record.format)].append(entry)
        return found

    def _take(self) -> _Line:
        with self._lock:
            return self._idle.pop() if self._idle else _Line()

    def _give_back(self, line: _Line) -> None:
        with self._lock:
            self._idle.append(line)

    def _connected(self, line: _Line) -> ForwardSender:
        """Give the line's open connection; where there is none, to the first server that answers.

        Raises MisconfiguredError where every server refuses us, else UnavailableError.
        """
        if line.sender is not None:
            try:
                line.sender.open()
            except (UnavailableError, MisconfiguredError) as error:
                self._fail(line.server, error)
            else:
                return line.sender
        errors: list[UnavailableError | MisconfiguredError] = []
        for index in self._in_order():
            line.close()
            line.sender, line.server = self._sender(index), index
            try:
                line.sender.open()
            except (UnavailableError, MisconfiguredError) as error:
                errors.append(error)
                self._fail(index, error)
            else:
                self._mend(index)
                return line.sender
        text = "; ".join(map(str, errors))
        if all(isinstance(error, MisconfiguredError) for error in errors):
            raise MisconfiguredError(text)
        reason = next(error.reason for error in errors if isinstance(error, UnavailableError))
        raise UnavailableError(text, reason=reason)

    def _in_order(self) -> list[int]:
        """Give the servers in their order, those that failed lately last."""
        now = self._clock.monotonic()
        with self._lock:
            avoided = {i for i, at in self._failed.items() if now - at < AVOID_SECONDS}
        every = range(len(self._settings.servers))
        return [*(i for i in every if i not in avoided), *sorted(avoided)]

    def _fail(self, index: int, error: Exception) -> None:
        with self._lock:
            news = index not in self._failed
            self._failed[index] = self._clock.monotonic()
        if news and len(self._settings.servers) > 1:  # of a single server the lane tells
            self._tell(Trouble("", self._name, f"{self._settings.servers[index]}: {error}"))

    def _mend(self, index: int) -> None:
        with self._lock:
            failed = self._failed.pop(index, None) is not None
        if failed and len(self._settings.servers) > 1:
            self._tell(Mended("", self._name, f"{self._settings.servers[index]} answers again"))

    def _sender(self, index: int) -> ForwardSender:
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

    def check(self) -> Sequence[str]:
        """Connect to each server once and log in; nothing is sent."""
        problems = []
        for index in range(len(self._settings.servers)):
            try:
                sender = self._sender(index)
                try:
                    sender.open()
                    sender.await_demands()
                finally:
                    sender.close()
            except (UnavailableError, MisconfiguredError) as error:
                problems.append(str(error))
        return problems

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.close()


def _addresses(settings: Settings) -> tuple[Address, ...]:
    context = None if settings.tls is None else tls_context(settings.tls)
    name = "" if settings.tls is None else settings.tls.server_name or ""
    return tuple(
        Address(server.host, server.port, settings.timeout_seconds, context, name)
        for server in settings.servers
    )
