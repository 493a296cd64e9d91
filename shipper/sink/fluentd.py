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
from collections.abc import Sequence
from typing import ClassVar

from shipper.sink.base import Batch, Receipt, Surroundings
from shipper.sink.fluentd_servers import Connection, Servers
from shipper.sink.fluentd_settings import Server, Settings
from shipper.sink.fluentd_wire import Encoder, Tags, chunk_of, message


class _Line:
    """A connection and what belongs to it; used by one thread at a time."""

    def __init__(self, servers: Servers) -> None:
        self.connection = Connection(servers)
        self.encoder: tuple[tuple[str, str], Encoder] | None = None  # of the last segment


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
        self._instance = surroundings.instance
        name = settings.name or "fluentd"
        self._servers = Servers(settings, name, surroundings.clock, surroundings.tell)
        self._lock = threading.Lock()
        self._idle: list[_Line] = []

    def prepare(self) -> None:
        """Connect to the first server that lets us in, and log in there."""
        line = self._take()
        try:
            line.connection.open()
        finally:
            self._give_back(line)

    def deliver(self, batch: Batch) -> Receipt:
        """Send the batch, and return when the server has acknowledged all of it."""
        line = self._take()
        try:
            messages = self._messages(line, batch)
            if messages:
                line.connection.exchange(messages)
        finally:
            self._give_back(line)
        return Receipt(new=batch.count, size=sum(len(message) for _, message in messages))

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
            return self._idle.pop() if self._idle else _Line(self._servers)

    def _give_back(self, line: _Line) -> None:
        with self._lock:
            self._idle.append(line)

    def check(self) -> Sequence[str]:
        """Connect to each server once and log in; nothing is sent."""
        return self._servers.check()

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            lines, self._idle = self._idle, []
        for line in lines:
            line.connection.close()


__all__ = ["Fluentd", "Server", "Settings"]
