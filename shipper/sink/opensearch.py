"""OpenSearch: records as ECS documents, each exactly once in the index.

Guarantee: `_id` is the record's segment and offset, the operation is `create`, and the index comes
from the record's own time. So whatever is sent again, for whatever reason, meets itself and counts
as a duplicate. (With a data stream or an alias that rolls over: within one backing index; see
docs/opensearch.md.)

Theory of operation. A batch is one request; too large a body is cut into several. Of an answer,
each document is settled (new, there already, refused) or to be sent again. If any is, the delivery
fails as a whole, as the contract says; but its package remembers which documents are settled, and
the next attempt carries only the others. Forgetting that (a restart, a batch cut elsewhere) costs
bandwidth and nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from shipper.clock import rfc3339
from shipper.document.ecs import EcsEncoder, Place
from shipper.errors import MisconfiguredError, ShipperError, UnavailableError
from shipper.model import Block
from shipper.notices import Mended, Trouble
from shipper.sink import opensearch_retention as retention
from shipper.sink.base import Batch, Receipt, Refusal, Surroundings
from shipper.sink.opensearch_body import Body, fitting, halves
from shipper.sink.opensearch_check import obstacles
from shipper.sink.opensearch_package import Package
from shipper.sink.opensearch_settings import OpenSearchSettings
from shipper.sink.opensearch_setup import Setup
from shipper.sink.opensearch_steps import troubles as troubles_of
from shipper.sink.opensearch_wire import Reading, StatusError, judged

if TYPE_CHECKING:
    from shipper.sink.opensearch_connection import Cluster

# Under "too many requests" requests become smaller, down to this, and grow again by an eighth each
# time that one is taken: the server's limits are on bytes in flight.
BATCH_BYTES_MIN: Final = 256 * 1024
# How often expired indexes are looked for: one call an hour, for a limit in days.
RETENTION_SECONDS: Final = 3600.0


class OpenSearchSink:
    """One cluster."""

    def __init__(
        self, settings: OpenSearchSettings, surroundings: Surroundings | None = None
    ) -> None:
        """Take the settings; nothing is read or connected yet."""
        self._settings = settings
        self._around = surroundings or Surroundings()
        self._name = settings.name or "opensearch"
        self.in_flight = settings.in_flight
        self.batch_bytes = settings.batch_bytes
        self._body_max = settings.body_bytes_max
        self._cluster: Cluster | None = None
        self._encoder: tuple[tuple[str, str], EcsEncoder] | None = None
        # Guards the encoder, which is for one thread, and the numbers above. Encoding holds the
        # interpreter anyway; waiting for the server happens outside.
        self._lock = threading.Lock()
        self._troubles: set[str] = set()
        self._retention_due = 0.0

    def prepare(self) -> None:
        """Read certificates, make what is missing at the cluster, delete what has expired."""
        cluster = self._connected()
        if self._settings.setup != "off":
            self._set_up(cluster)
        self._retain(cluster)

    def _connected(self) -> Cluster:
        if self._cluster is None:
            from shipper.sink.opensearch_connection import (  # noqa: PLC0415 25 MB
                Cluster,
            )

            self._cluster = Cluster(self._settings, self._around.clock)
        return self._cluster

    def _set_up(self, cluster: Cluster) -> None:
        try:
            found = troubles_of(Setup(cluster, self._settings, self._around.clock.now()).run())
        except StatusError as error:
            raise judged(error, proven=False) from error
        if found and self._settings.setup == "require":
            raise MisconfiguredError("setup: require. " + "; ".join(found))
        self._tell_troubles("setup: ", found)

    def _tell_troubles(self, about: str, found: Sequence[str]) -> None:
        """Tell what is new, and what is over."""
        now = {about + trouble for trouble in found}
        before = {trouble for trouble in self._troubles if trouble.startswith(about)}
        for detail in sorted(now - before):
            self._around.tell(Trouble("", self._name, detail))
        for detail in sorted(before - now):
            self._around.tell(Mended("", self._name, detail))
        self._troubles = (self._troubles - before) | now

    def deliver(self, batch: Batch) -> Receipt:
        """Store a batch. Raises UnavailableError or MisconfiguredError; see `sink.base`."""
        cluster = self._connected()
        package = self._packed(batch)
        try:
            failure = self._send(cluster, package)
        except ShipperError as error:
            failure = error
        if failure is not None:
            self._adapt(failure)
            raise failure
        self._grow()
        self._retain(cluster)
        return package.receipt()

    def package(self, segment: str, path: str) -> Package:
        """Begin a batch; its documents say that they were taken in now."""
        arrival = rfc3339(self._around.clock.now())
        return Package(partial(self._lines, segment, path, arrival), gzip=self._settings.gzip)

    def _packed(self, batch: Batch) -> Package:
        if isinstance(batch.package, Package):
            return batch.package
        package = self.package(batch.segment, batch.path)
        for block in batch.blocks:
            package.add(block)
        return package

    def _lines(self, segment: str, path: str, arrival: str, block: Block) -> bytes:
        place = (segment, path)
        with self._lock:
            if self._encoder is None or self._encoder[0] != place:
                index, instance = self._settings.index, self._around.instance
                made = EcsEncoder(Place(*place, index=index, instance=instance))
                self._encoder = (place, made)
            _, encoder = self._encoder
            return encoder.bulk(block, arrival)

    def _send(self, cluster: Cluster, package: Package) -> ShipperError | None:
        """Send what is not settled; give the error for what has to be sent again."""
        failure: ShipperError | None = None
        body = package.unsettled()
        if not body.offsets:
            return None
        pieces = list(fitting(body, self._body_max))
        while pieces:
            piece = pieces.pop(0)
            try:
                reading = cluster.bulk(piece)
            except StatusError as error:  # 413, and nothing else
                pieces[:0] = self._smaller(piece, error, package)
                continue
            package.readings.append(reading)
            if reading.failure is not None:
                failure = reading.failure
                # The rest of the batch would only add to what the server cannot take now.
                break
        return failure

    def _smaller(self, piece: Body, error: StatusError, package: Package) -> Iterator[Body]:
        """Cut what something on the way finds too large; a single document is refused."""
        if len(piece.offsets) == 1:
            document = piece.split[1].rstrip()
            refusal = Refusal(piece.offsets[0], "too_large", str(error), document)
            package.readings.append(Reading([], [], [refusal], []))
            return iter(())
        with self._lock:
            # For good: a proxy's limit does not change by itself.
            self._body_max = max(min(self._body_max, piece.size // 2), 1)
            self.batch_bytes = max(min(self.batch_bytes, self._body_max // 2), BATCH_BYTES_MIN)
        return iter(halves(piece))

    def _adapt(self, failure: ShipperError) -> None:
        if isinstance(failure, UnavailableError) and failure.reason in ("throttled", "timeout"):
            with self._lock:
                self.batch_bytes = max(self.batch_bytes // 2, BATCH_BYTES_MIN)

    def _grow(self) -> None:
        with self._lock:
            most = min(self._settings.batch_bytes, max(self._body_max // 2, BATCH_BYTES_MIN))
            self.batch_bytes = min(self.batch_bytes + self._settings.batch_bytes // 8, most)

    def _retain(self, cluster: Cluster) -> None:
        """Delete expired indexes where that is our job; a failure delays nothing else."""
        now = self._around.clock.monotonic()
        with self._lock:
            if self._settings.retention != "own" or now < self._retention_due:
                return
            self._retention_due = now + RETENTION_SECONDS
        try:
            expired = retention.expired(cluster, self._settings, self._around.clock.now())
            troubles = retention.delete_all(cluster, expired)
        except ShipperError as error:
            troubles = [str(error)]
        self._tell_troubles("retention: ", troubles)

    def check(self) -> Sequence[str]:
        """Say what stands in the way; changes nothing."""
        try:
            return obstacles(self._connected(), self._settings, self._around.clock.now())
        except StatusError as error:
            return (str(judged(error, proven=False)),)
        except (MisconfiguredError, UnavailableError) as error:
            return (str(error),)

    def close(self) -> None:
        """Close the connections."""
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None


Settings = OpenSearchSettings

__all__ = ["OpenSearchSink", "Settings"]
