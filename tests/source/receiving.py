"""A receiver that runs in a thread, with a spool in a folder of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from source.listening import Told, eventually

from shipper.clock import Clock, SystemClock
from shipper.source.base import Surroundings
from shipper.source.receive import Receiver
from shipper.source.received import ReceivedSettings
from shipper.source.spool import Spool


class Received:
    def __init__(self, spool: Spool, receiver: Receiver, told: Told) -> None:
        self.spool = spool
        self.ports = receiver.ports
        self.told = told

    @property
    def content(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.spool.segments())

    def lines(self, count: int) -> list[bytes]:
        """The lines, as soon as there are so many."""
        eventually(lambda: self.content.count(b"\n") >= count)
        return self.content.splitlines()


@contextmanager
def receiving(
    settings: ReceivedSettings, folder: Path, *, clock: Clock | None = None
) -> Iterator[Received]:
    told = Told()
    clock = clock or SystemClock()
    spool = Spool(folder / "spool", "in", settings.spool, clock=clock, tell=told)
    receiver = Receiver(settings, spool, Surroundings(source="in", clock=clock, tell=told))
    stop = threading.Event()
    thread = threading.Thread(target=receiver.run, args=[stop])
    thread.start()
    try:
        yield Received(spool, receiver, told)
    finally:
        stop.set()
        thread.join()
        receiver.close()
        spool.close()
