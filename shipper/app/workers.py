"""Sources spread over processes: one core each, because one interpreter uses one.

The parent holds the state directory, starts the workers, passes signals on and waits. A worker that
fails takes the others down in an orderly way, so that whoever supervises sees the failure.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from shipper.app.lock import StateLock
from shipper.app.signals import answering
from shipper.config import Config
from shipper.errors import UsageError


class Share(Struct, frozen=True):
    """Which sources one worker has: every `count`-th from `index` on."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read `INDEX/COUNT`. Raises UsageError."""
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and int(index) < int(count)):
            raise UsageError(f"{text!r} is not INDEX/COUNT")
        return cls(int(index), int(count))

    def of(self, config: Config) -> Config:
        """Give the part of the configuration that this worker runs."""
        http = config.http
        if http is not None and http.port:  # each worker serves its own numbers
            http = msgspec.structs.replace(http, port=http.port + self.index)
        sources = config.sources[self.index :: self.count]
        return msgspec.structs.replace(config, sources=sources, http=http)


def run_workers(
    command: Sequence[str], count: int, lock: StateLock, tell: Callable[[str], None]
) -> int:
    """Run `command` with `--worker INDEX/COUNT` in as many processes; the worst exit status.

    They hold `lock` as long as they live: should the parent be killed, nobody else gets in. `tell`
    hears of a worker that could not say itself why it ended.
    """
    workers: list[subprocess.Popen[bytes]] = []
    with _passing_signals_on(workers) as asked:
        for index in range(count):
            part = [sys.executable, "-m", "shipper", *command, "--worker", f"{index}/{count}"]
            workers.append(subprocess.Popen(part, pass_fds=[lock.fileno()]))  # noqa: S603 ourselves
        for number in asked:  # what came meanwhile may have missed some
            for each in workers:
                each.send_signal(number)
        running = {worker.pid: worker for worker in workers}
        worst = 0
        while running:
            pid, status = os.wait()
            worker = running.pop(pid, None)
            if worker is None:
                continue
            worker.returncode = os.waitstatus_to_exitcode(status)
            worst = max(worst, _status(worker.returncode))
            if worker.returncode < 0:
                name = signal.Signals(-worker.returncode).name
                tell(f"a worker (process {pid}) was ended by {name}; the others drain and end too")
            for other in running.values() if worst else ():
                other.send_signal(signal.SIGTERM)
    return worst


def _status(returncode: int) -> int:
    """Give the exit status of a process, also of one that a signal ended, as shells give it."""
    return returncode if returncode >= 0 else 128 - returncode


@contextmanager
def _passing_signals_on(workers: Sequence[subprocess.Popen[bytes]]) -> Iterator[list[int]]:
    asked: list[int] = []

    def answer(number: signal.Signals) -> None:
        asked.append(number)
        for worker in workers:
            if worker.returncode is None:
                worker.send_signal(number)

    with answering(answer):
        yield asked
