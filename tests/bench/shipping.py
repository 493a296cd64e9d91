"""The work of a lane to OpenSearch, without its files: join sessions, batch, encode, gzip, post."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

from bench.http_sink import running

from shipper.model import Block
from shipper.refine.sessions import Sessions
from shipper.sink import Batch, Receipt
from shipper.sink.base import PackingSink
from shipper.sink.opensearch import OpenSearchSink, Settings

SEGMENT = "00112233445566778899aabbccddeeff"


def batches(blocks: Iterable[Block], sink: PackingSink, size: int) -> Iterator[Batch]:
    """Cut blocks into batches as a lane does, sessions joined, records packed at once."""
    sessions, waiting = Sessions(), list[Block]()
    package = sink.package(SEGMENT, "audit.log")
    for block in blocks:
        sessions.join(block.marked.records)
        package.add(block)
        end = block.end
        waiting.append(Block(block.start, end, [], [], [], []))
        del block  # a lane lets go of it before it asks for the next
        if end - waiting[0].start >= size:
            yield Batch(SEGMENT, "audit.log", waiting, package=package)
            waiting, package = [], sink.package(SEGMENT, "audit.log")
    if waiting:
        yield Batch(SEGMENT, "audit.log", waiting, package=package)


def ship(blocks: Iterable[Block], settings: Settings) -> int:
    """Deliver everything, with as many requests in flight as the sink wants."""
    stored, under_way = 0, deque[Future[Receipt]]()
    with closing(OpenSearchSink(settings)) as sink, ThreadPoolExecutor(sink.in_flight) as pool:
        sink.prepare()
        for batch in batches(blocks, sink, sink.batch_bytes):
            if len(under_way) == sink.in_flight:
                stored += under_way.popleft().result().new
            under_way.append(pool.submit(sink.deliver, batch))
        stored += sum(each.result().new for each in under_way)
    return stored


def to_http_sink(blocks: Iterable[Block]) -> int:
    """Ship to the server that is never the bottleneck."""
    with running() as url:
        return ship(blocks, Settings(urls=(url,), setup="off", retention="off"))
