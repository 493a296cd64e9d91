"""Small blocks for sink tests."""

from __future__ import annotations

from shipper.model import CONNECT, AuditRecord, Block, Defect, Reason, Span
from shipper.sink import Batch, Sink
from shipper.sink.base import PackingSink

SEGMENT = "00112233445566778899aabbccddeeff"


def failed_login(user: str = "bob", at: str = "2026-11-23T10:00:00Z") -> AuditRecord:
    return AuditRecord(
        name="FAILED_CONNECT",
        kind=CONNECT,
        format="mariadb",
        timestamp=at,
        connection_id=7,
        status=1045,
        user=user,
        host="web1",
        ip="10.0.0.9",
    )


def batch(*records: AuditRecord, start: int = 0, segment: str = SEGMENT) -> Batch:
    """Records of ten bytes each."""
    starts = [start + 10 * index for index in range(len(records))]
    ends = [offset + 10 for offset in starts]
    block = Block(start, start + 10 * len(records), list(records), starts, ends, [])
    return Batch(segment, "audit.log", [block])


def packed(batch: Batch, sink: Sink) -> Batch:
    """Give the batch as a lane gives it to this sink, if it packs."""
    if not isinstance(sink, PackingSink):
        return batch
    package, left = sink.package(batch.segment, batch.path), []
    for block in batch.blocks:
        package.add(block)
        left.append(Block(block.start, block.end, [], [], [], block.defects))
    return Batch(batch.segment, batch.path, left, batch.source, package)


def defective(start: int = 0) -> Batch:
    defect = Defect(Reason.CUT, "cut", Span(start, start + 5), b"\xff\x1b[2J")
    return Batch(SEGMENT, "audit.log", [Block(start, start + 5, [], [], [], [defect])])
