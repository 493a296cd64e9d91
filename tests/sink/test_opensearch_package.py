"""What is sent of a batch: first all of it, then what is not settled."""

from __future__ import annotations

import gzip

import pytest
from sink.blocks import batch, failed_login

from shipper.model import Block
from shipper.sink.base import Refusal
from shipper.sink.opensearch_package import Package
from shipper.sink.opensearch_wire import Reading

COUNT = 40


def encode(block: Block) -> bytes:
    return b"".join(b'{"create":{}}\n{"at":%d}\n' % at for at in block.starts)


def filled(*, compressed: bool) -> Package:
    package = Package(encode, gzip=compressed)
    for start in (0, 10 * COUNT):
        for block in batch(*[failed_login()] * COUNT, start=start).blocks:
            package.add(block)
    return package


@pytest.mark.parametrize("compressed", [False, True])
def test_a_body_has_every_block_in_order_and_stays_the_same(*, compressed: bool) -> None:
    package = filled(compressed=compressed)
    body = package.unsettled()
    lines = gzip.decompress(body.lines) if compressed else body.lines
    assert lines.splitlines()[1::2] == [b'{"at":%d}' % at for at in range(0, 20 * COUNT, 10)]
    assert body.offsets == list(range(0, 20 * COUNT, 10))
    assert body.size == len(lines)
    assert package.unsettled() == body


@pytest.mark.parametrize("compressed", [False, True])
def test_what_is_settled_is_not_sent_again(*, compressed: bool) -> None:
    package = filled(compressed=compressed)
    size = package.unsettled().size
    refused = Refusal(30, "mapping", "no")
    package.readings.append(Reading([0, 10], [20], [refused], list(range(40, 20 * COUNT, 10))))
    rest = package.unsettled()
    assert rest.lines == b"".join(
        b'{"create":{}}\n{"at":%d}\n' % at for at in range(40, 20 * COUNT, 10)
    )
    package.readings.append(Reading(rest.offsets, [], [], []))
    assert package.unsettled().offsets == []
    receipt = package.receipt()
    assert (receipt.new, receipt.duplicates, receipt.refusals) == (2 * COUNT - 2, 1, (refused,))
    assert receipt.size == size
