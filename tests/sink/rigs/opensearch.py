"""The rig of the OpenSearch sink: the session's real server, with an index name of its own."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from servers.opensearch import OpenSearch, shared
from sink.blocks import packed
from sink.rigs.base import Rig

from shipper.sink import Batch, Receipt, Sink, Surroundings, make_sink
from shipper.sink.opensearch import OpenSearchSink, Settings


class OpenSearchRig(Rig):
    """A real server; tests of this sink alone use more of it than the contract suite."""

    exactly_once = True

    def __init__(self, server: OpenSearch) -> None:
        self.server = server
        # Short, and no other test's: the server is shared by all.
        self.base = f"t{uuid.uuid4().hex[:12]}"

    def settings(self, **changes: Any) -> Settings:
        defaults: dict[str, Any] = {
            "urls": (self.server.url,),
            "index": f"{self.base}-%Y.%m.%d",
            "retention": "off",
            "connect_seconds": 5.0,
            "read_seconds": 30.0,
        }
        return Settings(**(defaults | changes))

    def sink(self, surroundings: Surroundings | None = None, **changes: Any) -> Sink:
        return make_sink(self.settings(**changes), surroundings)

    def documents(self) -> list[dict[str, Any]]:
        """All documents of this rig, as the server holds them."""
        self.server.call("POST", f"/{self.base}*/_refresh")
        query = {"size": 10_000, "sort": ["log.segment", "log.offset"]}
        found = self.server.ask(f"/{self.base}*/_search?expand_wildcards=all", query)
        hits: list[dict[str, Any]] = found["hits"]["hits"]
        assert found["hits"]["total"]["value"] == len(hits)
        return hits

    def held(self) -> Counter[tuple[str, int]]:
        logs = (hit["_source"]["log"] for hit in self.documents())
        return Counter((log["segment"], log["offset"]) for log in logs)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The indexes are read-only, as when the disk is full."""
        block = {"index.blocks.read_only_allow_delete": True}
        self.server.call("PUT", f"/{self.base}*/_settings", block)
        yield
        self.server.call("PUT", f"/{self.base}*/_settings", dict.fromkeys(block))

    def remove(self) -> None:
        """Delete everything that carries this rig's name."""
        every = "expand_wildcards=all&ignore_unavailable=true"
        self.server.call("DELETE", f"/_data_stream/{self.base}*", ok=(200, 404))
        self.server.call("DELETE", f"/{self.base}*?{every}", ok=(200, 404))
        self.server.call("DELETE", f"/_index_template/{self.base}*", ok=(200, 404))
        self.server.call("DELETE", f"/_component_template/{self.base}*", ok=(200, 404))


class PackedSink(OpenSearchSink):
    """The sink with every batch packed beforehand, as a lane does."""

    def deliver(self, batch: Batch) -> Receipt:
        return super().deliver(packed(batch, self))


class PackedRig(OpenSearchRig):
    """The same target, for batches as lanes give them."""

    def sink(self, surroundings: Surroundings | None = None, **changes: Any) -> Sink:
        return PackedSink(self.settings(**changes), surroundings)


@contextmanager
def opensearch(_folder: Path, kind: type[OpenSearchRig] = OpenSearchRig) -> Iterator[OpenSearchRig]:
    rig = kind(shared("core"))
    try:
        yield rig
    finally:
        rig.remove()


opensearch_packed = partial(opensearch, kind=PackedRig)
