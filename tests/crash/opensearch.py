"""Kill the daemon at random moments while a log grows and rotates; compare index and log.

    python tests/crash/opensearch.py [--kills 100] [--restarts 5] [--seed 1]

The log crosses midnight, so its records belong to two indexes. Every so many kills the server is
killed too, and starts again. In the end every record that was written is in the index exactly once:
the number of documents and the set of their ids are those of the log. Exit status 1 where not.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from corpus.event import QUERY, Event
from corpus.writers import writer
from servers.opensearch import OpenSearch, opensearch

LAYOUT = writer("percona-json-8.0")
BEGIN = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)
OPENED = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
ROTATE_RECORDS = 1500
BURST = 5  # records at once, every PAUSE_SECONDS
PAUSE_SECONDS = 0.02
STILL_SECONDS = 120  # without a new document: the end of the drain, as a failure


class GrowingLog(threading.Thread):
    """A server that writes its audit log, second after second, and rotates it by renaming."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.written: list[str] = []  # record ids
        self.rotations = 0
        self.ending = threading.Event()

    def run(self) -> None:
        file = self.path.open("ab", buffering=0)
        try:
            while not self.ending.wait(PAUSE_SECONDS):
                file.write(b"".join(self._record() for _ in range(BURST)))
                if len(self.written) // ROTATE_RECORDS > self.rotations:
                    self.rotations += 1
                    self.path.rename(f"{self.path}.{self.rotations:04}")
                    file.close()
                    file = self.path.open("ab", buffering=0)
        finally:
            file.close()

    def _record(self) -> bytes:
        number = len(self.written) + 1
        event = Event(
            kind=QUERY,
            sequence=number,
            opened=OPENED,
            # Two records a second: midnight comes after 1,200 of them.
            time=BEGIN + timedelta(seconds=number // 2),
            connection_id=number % 50,
            sql=f"SELECT {number} FROM orders /* 'quoted' \"text\" \\ */",  # noqa: S608 to be logged
        )
        self.written.append(event.record)
        written = LAYOUT.write(event)
        assert written is not None
        return written.raw + LAYOUT.between


@dataclass
class Outcome:
    """What came of a run."""

    kills: int
    restarts: int
    rotations: int
    written: int
    documents: int  # in the index
    lost: set[str]
    strange: set[str]  # in the index, not in the log
    indexes: list[str]

    @property
    def good(self) -> bool:
        return self.documents == self.written and not self.lost and not self.strange


def run(
    server: OpenSearch, folder: Path, *, kills: int, restarts: int, seed: int, base: str
) -> Outcome:
    """Run the whole story; the server is left running."""
    chance = random.Random(seed)
    config = _config(server, folder, base)
    log = GrowingLog(folder / "audit.log")
    log.start()
    try:
        for number in range(1, kills + 1):
            _kill_after(config, chance.uniform(0.3, 4.0))
            if number < kills and number % (kills // (restarts + 1) or 1) == 0:
                _restart_under_load(server, config)
    finally:
        log.ending.set()
        log.join()
    _drain(server, config, base, len(log.written))
    ids, indexes = _held(server, base)
    written = set(log.written)
    return Outcome(
        kills=kills,
        restarts=restarts,
        rotations=log.rotations,
        written=len(log.written),
        documents=len(ids),
        lost=written - set(ids),
        strange=set(ids) - written,
        indexes=indexes,
    )


def _config(server: OpenSearch, folder: Path, base: str) -> Path:
    path = folder / "shipper.yaml"
    path.write_text(
        f"state: {folder}/state\n"
        "instance: crash\n"
        f"sources: [{{type: file, path: {folder}/audit.log}}]\n"
        f"sinks: [{{type: opensearch, urls: ['{server.url}'], index: '{base}-%Y.%m.%d',"
        " retention: off, batch_bytes: 128KiB}]\n"
    )
    return path


def _start(config: Path) -> subprocess.Popen[bytes]:
    log = (config.parent / "daemon.log").open("ab")
    with log:
        command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
        return subprocess.Popen(command, stdout=log, stderr=log)


def _kill_after(config: Path, seconds: float) -> None:
    daemon = _start(config)
    try:
        status = daemon.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        return
    raise AssertionError(f"the daemon ended by itself with status {status}")


def _restart_under_load(server: OpenSearch, config: Path) -> None:
    """Crash the server while the daemon ships; it waits, and goes on."""
    daemon = _start(config)
    try:
        daemon.wait(timeout=2.0)
    except subprocess.TimeoutExpired:
        server.stop(signal.SIGKILL)
        server.start()
    finally:
        daemon.kill()
        daemon.wait()


def _drain(server: OpenSearch, config: Path, base: str, expected: int) -> None:
    """Let the daemon come to the end of the log, and stop it as an orchestrator does."""
    daemon = _start(config)
    count, changed = -1, time.monotonic()
    try:
        while count < expected and time.monotonic() < changed + STILL_SECONDS:
            now = _count(server, base)
            if now != count:
                count, changed = now, time.monotonic()
            try:
                status = daemon.wait(timeout=0.5)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"the daemon ended by itself with status {status}")
    finally:
        daemon.terminate()
        try:
            daemon.wait(timeout=60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _count(server: OpenSearch, base: str) -> int:
    server.call("POST", f"/{base}*/_refresh")
    count: int = server.ask(f"/{base}*/_count")["count"]
    return count


def _held(server: OpenSearch, base: str) -> tuple[list[str], list[str]]:
    server.call("POST", f"/{base}*/_refresh")
    order = [{"log.segment": "asc"}, {"log.offset": "asc"}, {"_index": "asc"}]
    query: dict[str, Any] = {"size": 5000, "_source": ["event.id"], "sort": order}
    ids: list[str] = []
    indexes: set[str] = set()
    while hits := server.ask(f"/{base}*/_search", query)["hits"]["hits"]:
        ids += [hit["_source"]["event"]["id"] for hit in hits]
        indexes |= {hit["_index"] for hit in hits}
        query["search_after"] = hits[-1]["sort"]
    return ids, sorted(indexes)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with opensearch() as server, tempfile.TemporaryDirectory(prefix="crash-") as folder:
        begun = time.monotonic()
        outcome = run(
            server,
            Path(folder),
            kills=arguments.kills,
            restarts=arguments.restarts,
            seed=arguments.seed,
            base="crash",
        )
        seconds = time.monotonic() - begun
        if not outcome.good:
            print(Path(folder, "daemon.log").read_text(errors="replace")[-5000:])
    print(
        f"{outcome.kills} kills, {outcome.restarts} server crashes, {outcome.rotations} rotations"
        f" in {seconds:.0f} s: {outcome.written:,} records written, {outcome.documents:,} documents"
        f" in {', '.join(outcome.indexes)}; lost {len(outcome.lost)}, twice"
        f" {outcome.documents - outcome.written + len(outcome.lost)},"
        f" unknown {len(outcome.strange)}"
    )
    return 0 if outcome.good else 1


if __name__ == "__main__":
    sys.exit(main())
