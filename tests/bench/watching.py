"""What counting for Prometheus and detecting cost, as a share of the pipeline.

    python -m bench.watching [--records N] [--only WRITER]

(with the project's root and `tests` on PYTHONPATH, as `make bench` has it.) The pipeline here is
decoding, joining sessions and bulk lines, without lanes and posting: `bench.watched` has those.
Each batch is timed by itself, watching against the rest: whatever else the machine does falls on
both.
Exit status: 1 where the goal is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bench.case import NOW, PIECE, pieces
from corpus.realistic import write

from shipper.decode import FORMATS, Decoder
from shipper.detect import Detector
from shipper.document.ecs import EcsEncoder
from shipper.model import Block, Marked
from shipper.refine.sessions import Sessions
from shipper.sink.base import Batch
from shipper.sink.counters import AuditCounters, Settings

GOAL = 0.03  # stated of the whole pipeline (`bench.watched`), and so a little harder here
WRITERS = ("percona-json-8.0", "percona-old-8.0", "percona-new-8.0", "mariadb-1.4")
REPEAT = 5


def _blocks(path: Path) -> Iterator[Block]:
    decoder = Decoder(FORMATS)
    for piece in pieces(path):
        yield decoder.feed(piece)
    yield decoder.finish()


class _Sentry:
    """A detector beside the counts, as the daemon has it, with a watch."""

    def __init__(self) -> None:
        self.detector = Detector()
        self.seconds = 0.0

    def see(self, marked: Marked, batch: Batch, end: int) -> None:
        begin = time.thread_time()
        self.detector.consider(marked, batch.segment, end)
        self.seconds += time.thread_time() - begin

    def settle(self) -> bool:
        return False  # findings go nowhere here

    def dump(self) -> bytes:
        return self.detector.dump()

    def load(self, saved: bytes) -> bool:
        return self.detector.load(saved)


def measure(path: Path) -> tuple[int, float, float, float]:
    """Give records, and CPU seconds of the pipeline, of counting and of detecting."""
    encoder, sessions = EcsEncoder(), Sessions()
    counters, sentry = AuditCounters(Settings()), _Sentry()
    counters.watch(sentry)
    records, pipeline, watching = 0, 0.0, 0.0
    mark, blocks = time.thread_time(), _blocks(path)
    # A lane delivers so many blocks at a time to the counters.
    while batch := list(islice(blocks, counters.batch_bytes // PIECE)):
        for block in batch:
            sessions.join(block.marked.records)
            encoder.bulk(block, NOW)
        encoded = time.thread_time()
        counters.deliver(Batch("s", "audit.log", batch))
        counted = time.thread_time()
        pipeline, watching = pipeline + encoded - mark, watching + counted - encoded
        records += sum(len(block.records) for block in batch)
        mark = time.thread_time()
    return records, pipeline, watching - sentry.seconds, sentry.seconds


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--only", default="", help="writers whose name holds this text")
    arguments = parser.parse_args()
    print(
        f"{'watching':22}{'pipeline µs':>12}{'count µs':>10}{'detect µs':>11}{'share':>8}  goal met"
    )
    missed = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for writer in WRITERS:
            if arguments.only not in writer:
                continue
            log = Path(folder) / writer
            write(writer, arguments.records, log)
            # The run with the least time was disturbed least.
            runs = [measure(log) for _ in range(REPEAT)]
            records, pipeline, counting, detecting = min(runs, key=lambda run: sum(run[1:]))
            share = (counting + detecting) / (pipeline + counting + detecting)
            met = "yes" if share <= GOAL else "NO"
            missed += met == "NO"
            each = [1e6 * seconds / records for seconds in (pipeline, counting, detecting)]
            print(
                f"{writer:22}{each[0]:12.2f}{each[1]:10.3f}{each[2]:11.3f}{share:8.1%}"
                f"  {GOAL:.0%} {met}",
                flush=True,
            )
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
