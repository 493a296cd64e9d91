"""The daemon's own part: a followed log, its lane, its state on a disk, and a sink that forgets."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from shipper.app.source import RunningSource
from shipper.clock import SystemClock
from shipper.config import Config
from shipper.notices import Delivered, Notice
from shipper.sink import Batch, Receipt
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.source.settings import FileSettings


class NullSink:
    """Acknowledges everything."""

    in_flight = 1
    batch_bytes = 1024 * 1024  # as the sinks that write to disks

    def prepare(self) -> None:
        pass

    def deliver(self, batch: Batch) -> Receipt:
        return Receipt(sum(len(block.records) for block in batch.blocks))

    def check(self) -> Sequence[str]:
        return ()

    def close(self) -> None:
        pass


def followed(log: Path) -> int:
    """Ship a log from its beginning to its end; the number of records."""
    records = 0

    def hear(notice: Notice) -> None:
        nonlocal records
        if isinstance(notice, Delivered):
            records += notice.records

    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = FileSettings(name="bench", path=str(log), hold_bytes_max=1)
        sink = JsonlSettings(name="null", path="-")
        config = Config(state=folder, sources=(settings,), sinks=(sink,))
        source = RunningSource(
            settings, [sink], config, SystemClock(), hear, make=lambda *_: NullSink()
        )
        source.start()
        pause = threading.Event()
        while not source.idle:
            pause.wait(0.01)
        source.halt()
        assert source.remaining() == []
        source.close()
    return records
