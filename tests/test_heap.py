"""The setting of the C library does what it is for: blocks that come and go cost no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Blocks of the sizes that a lane makes, each dropped before the next. Prints page faults.
WORK = """
import resource
from shipper import heap
{keep}
def work():
    for size in (200_000, 300_000, 1_100_000) * 20:
        bytearray(size)
        held = [bytes(500) for _ in range(2_000)]
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: str) -> int:
    code = WORK.format(keep=keep)
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="page faults of glibc's heap")
def test_blocks_that_come_and_go_cost_no_page_faults() -> None:
    assert faults("assert heap.keep()") * 4 < faults("")
