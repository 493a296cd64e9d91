"""A source with its lanes, driven step by step: no threads, no sleeping, real files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec
from clocks import FakeClock

from shipper.app.source import RunningSource
from shipper.config import Config
from shipper.errors import UnavailableError
from shipper.model import Block
from shipper.notices import Notice
from shipper.sink import Batch, Receipt, Refusal, Sink
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.source.settings import FileSettings

SETTLE = 5.0


class Target:
    """What outlives a crash: the records that a sink made durable, by their identity."""

    def __init__(self) -> None:
        self.held: Counter[tuple[str, int]] = Counter()
        self.users: list[str | None] = []
        self.deliveries = 0


class FaultySink:
    """A sink into a `Target` whose next outcomes the test writes down."""

    batch_bytes = 4096

    def __init__(self, target: Target, in_flight: int = 1) -> None:
        self.target = target
        self.in_flight = in_flight
        self.before: list[Callable[[Batch], None]] = []  # called in turn; may raise
        self.refuse: Callable[[Any], bool] = lambda _record: False

    def prepare(self) -> None:
        pass

    def deliver(self, batch: Batch) -> Receipt:
        self.target.deliveries += 1
        if self.before:
            self.before.pop(0)(batch)
        new, duplicates, refusals = 0, 0, []
        packed = isinstance(batch.package, Kept)
        for block in batch.package.blocks if isinstance(batch.package, Kept) else batch.blocks:
            for record, start in zip(block.records, block.starts, strict=True):
                if self.refuse(record):
                    document = msgspec.json.encode({"who": record.user}) if packed else b""
                    refusals.append(Refusal(start, "mapping", "no such field", document))
                    continue
                duplicates += self.target.held[batch.segment, start]
                new += not self.target.held[batch.segment, start]
                self.target.held[batch.segment, start] += 1
                self.target.users.append(record.user)
        return Receipt(new, duplicates, tuple(refusals))

    def check(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        pass


class Kept:
    """A package that keeps the blocks that it gets."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def add(self, block: Block) -> None:
        self.blocks.append(block)


class PackingSink(FaultySink):
    """The same for a sink that packs."""

    def package(self, _segment: str, _path: str) -> Kept:
        return Kept()


def unavailable(_batch: Batch) -> None:
    raise UnavailableError("no answer")


# What a fixture closes after each test.
OPENED: list[World] = []


class World:
    """One log, one daemon's worth of state, and its lanes."""

    def __init__(
        self,
        folder: Path,
        targets: Sequence[Target],
        clock: FakeClock | None = None,
        in_flight: int = 1,
        kinds: Sequence[type[FaultySink]] = (FaultySink,),
        **settings: Any,
    ) -> None:
        """`kinds`: of the sinks into the targets, in turn."""
        OPENED.append(self)
        self.clock = clock or FakeClock()
        self.notices: list[Notice] = []
        self.log = folder / "logs" / "audit.log"
        self.log.parent.mkdir(exist_ok=True)
        self.sinks = [
            kind(target, in_flight) for target, kind in zip(targets, cycle(kinds), strict=False)
        ]
        file = FileSettings(name="main", path=str(self.log), settle_seconds=SETTLE, **settings)
        sinks = [JsonlSettings(name=f"sink{index}", path="-") for index in range(len(targets))]
        config = Config(
            state=str(folder / "state"), sources=(file,), sinks=tuple(sinks), instance="db1"
        )
        made: dict[str, Sink] = {f"sink{index}": sink for index, sink in enumerate(self.sinks)}
        self.source = RunningSource(
            file,
            sinks,
            config,
            self.clock,
            self.notices.append,
            make=lambda each, _around: made[str(each.name)],
        )

    def ship(self) -> None:
        """Poll once and work until nothing is left to do."""
        self.source.catalog.poll()
        working = True
        while working:
            turns = [lane.turn() for lane in self.source.lanes]
            working = any(turns)

    def settle(self) -> None:
        """Let so much time pass that every rotated file counts as whole."""
        for _ in range(3):
            self.clock.move(SETTLE + 1)
            self.ship()

    def crash(self) -> None:
        """End as SIGKILL does: what was not committed is gone; descriptors are closed."""
        self.source.close()

    def told(self, kind: type[Notice]) -> list[Any]:
        return [notice for notice in self.notices if isinstance(notice, kind)]
