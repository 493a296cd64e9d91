"""A target that is away for an hour while a server goes on writing, on a simulated clock.

    python tests/crash/outage.py [--rate 2000] [--minutes 60]

Says what memory did during the outage (it must stay flat: what waits, waits on disk), and how fast
the rest was caught up with, in records for each second of CPU time.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from clocks import FakeClock
from lane.logs import Log
from msgspec import Struct

from shipper.app.source import RunningSource
from shipper.config import Config
from shipper.errors import UnavailableError
from shipper.notices import Notice, Waiting
from shipper.sink import Batch, Receipt
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.source.settings import FileSettings


class Outcome(Struct):
    """What one outage came to."""

    written: int
    delivered: int
    grown_bytes: int  # of resident memory, from the first failure to the last
    attempts: int
    rate: float  # records a CPU second while catching up


class Absent:
    """A sink whose target is away until a time."""

    in_flight = 1
    batch_bytes = 1024 * 1024

    def __init__(self, clock: FakeClock, meanwhile: Callable[[], None]) -> None:
        self.until = 0.0
        self.delivered = 0
        self.memory: list[int] = []  # at each failure
        self.caught_up_from: tuple[int, float] | None = None  # (records, CPU seconds)
        self._clock = clock
        self._meanwhile = meanwhile

    def prepare(self) -> None:
        pass

    def deliver(self, batch: Batch) -> Receipt:
        if self._clock.monotonic() < self.until:
            self._meanwhile()
            self.memory.append(_memory())
            raise UnavailableError("away")
        if self.memory and self.caught_up_from is None:
            self.caught_up_from = self.delivered, time.process_time()
        self.delivered += batch.count
        return Receipt(batch.count)

    def check(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        pass


def _memory() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s*(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def outage(folder: Path, rate: int, seconds: int) -> Outcome:
    """Write `rate` records a second for so long while nothing can be delivered; then deliver."""
    clock, waits = FakeClock(), 0
    log = Log(folder / "audit.log", "mariadb")

    def server_writes() -> None:
        due = int(min(clock.monotonic(), seconds) * rate)
        while log.number < due:
            log.write(min(due - log.number, rate))
        source.catalog.poll()

    def hear(notice: Notice) -> None:
        nonlocal waits
        waits += isinstance(notice, Waiting)

    sink = Absent(clock, server_writes)
    settings, target = FileSettings(path=str(log.path)), JsonlSettings(path="-")
    config = Config(state=str(folder / "state"), sources=(settings,), sinks=(target,))
    source = RunningSource(settings, [target], config, clock, hear, make=lambda *_: sink)
    try:
        log.write(rate)
        source.catalog.poll()
        _ship(source)
        sink.until = float(seconds)
        log.write(rate)
        source.catalog.poll()
        _ship(source)
        server_writes()  # what came in the last wait
        _ship(source)
        records, spent = sink.caught_up_from or (0, 0.0)
        spent = time.process_time() - spent
        grown = max(sink.memory) - sink.memory[0]
        caught_up = (sink.delivered - records) / spent
        return Outcome(log.number, sink.delivered, grown, waits, caught_up)
    finally:
        source.close()
        log.close()


def _ship(source: RunningSource) -> None:
    while source.lanes[0].turn() or not source.idle:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--minutes", type=int, default=60)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outage-") as folder:
        found = outage(Path(folder), asked.rate, asked.minutes * 60)
    print(
        f"{found.written:,} records written, {found.delivered:,} delivered after {found.attempts} "
        f"failures; memory grew by {found.grown_bytes / 1e6:.1f} MB; caught up with "
        f"{found.rate:,.0f} records a CPU second, {found.rate / asked.rate:.0f} times as fast as "
        "they came"
    )
    sys.exit(found.written != found.delivered)


if __name__ == "__main__":
    main()
