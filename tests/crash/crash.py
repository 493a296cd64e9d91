"""Kill the daemon at random moments while a server writes and rotates its log.

    python tests/crash/crash.py --kills 300 [--seed 7] [--power-loss]

At the end the SQLite store must hold every record exactly once, and the JSON lines file every
record at least once, with at most one batch twice for each kill. `--power-loss` also drops or tears
the tail of the state's write-ahead log after some of the kills, as a disk does that never got to
write it; then the file of JSON lines may have more twice, the store still nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from lane.logs import Log
from msgspec import Struct

CONFIG = """\
state: {folder}/state
drain_seconds: 1200
sources:
- type: file
  name: main
  path: {folder}/logs/audit.log
  poll_seconds: 0.02
  settle_seconds: 0.5
sinks:
- {{type: sqlite, path: {folder}/audit.db}}
- {{type: jsonl, path: {folder}/audit.jsonl}}
"""
# A daemon on a busy machine takes seconds to start: kills hit its start as well as its work.
LIFE_SECONDS_MAX = 4.0
DRAIN_SECONDS_MAX = 1260


class Outcome(Struct):
    """What one story came to."""

    written: int
    stored: int  # records in the store
    twice: int  # records that the store has more than once
    lost: int  # records that the store lacks
    lines_lost: int  # records that the file of lines lacks
    rewinds: int  # how often the file of lines goes back: a delivery was repeated
    kills: int
    status: int  # of the last run
    rotations: Counter[str]


class Server:
    """Writes records and rotates, in a thread, until told to stop."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        folder.mkdir()
        self.log = Log(folder / "audit.log", chance.choice(["json", "xml", "mariadb"]))
        self.rotations: Counter[str] = Counter()
        self._chance = chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._chance.uniform(0.001, 0.03)):
            self.log.write(self._chance.randint(1, 40))
            if self._chance.random() < 0.05:
                self._rotate()

    def _rotate(self) -> None:
        number = self.rotations.total()
        name = f"audit.log.{20260101 + number}"
        kind = self._chance.choice(["size", "rename", "copy", "compress", "header"])
        self.rotations[kind] += 1
        if kind == "size":
            # Straight to a name that nothing else has: shifting by renaming is the same to us.
            self.log.path.rename(self.log.path.with_name(name))
            self.log.reopen()
        elif kind == "rename":
            self.log.path.rename(self.log.path.with_name(name))
            self.log.write(3)
            self.log.flush()
        elif kind == "copy":
            self.log.copy(name)
            self._stop.wait(self._chance.choice([0, 0.1]))  # time to see the copy before
            self.log.truncate()
        elif kind == "compress":
            self.log.rename_and_flush(name)
            plain = self.log.path.with_name(name)
            packed = plain.with_name(f"{name}.gz")
            packed.with_suffix(".tmp").write_bytes(gzip.compress(plain.read_bytes(), 1))
            shutil.copystat(plain, packed.with_suffix(".tmp"))
            packed.with_suffix(".tmp").rename(packed)
            plain.unlink()
        else:
            self.log.flush()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.log.close()


def _daemon(folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "stderr").open("ab") as errors:
        command = [sys.executable, "-m", "shipper", "run", "-c", str(folder / "shipper.yaml")]
        return subprocess.Popen(command, stderr=errors)


def _tear(state: Path, chance: random.Random) -> None:
    """Drop or spoil the end of the write-ahead log."""
    wal = state / "main.db-wal"
    if not wal.exists() or not wal.stat().st_size:
        return
    with wal.open("r+b") as file:
        cut = chance.randrange(wal.stat().st_size)
        if chance.random() < 0.5:
            file.truncate(cut)
        else:
            file.seek(cut)
            file.write(chance.randbytes(min(512, wal.stat().st_size - cut)))


def story(folder: Path, kills: int, seed: int, *, power_loss: bool = False) -> Outcome:
    """Run one story in an empty folder."""
    chance = random.Random(seed)
    (folder / "shipper.yaml").write_text(CONFIG.format(folder=folder))
    server = Server(folder / "logs", chance)
    try:
        for _ in range(kills):
            daemon = _daemon(folder)
            try:
                daemon.wait(timeout=chance.uniform(0.1, LIFE_SECONDS_MAX))
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
            else:
                raise RuntimeError((folder / "stderr").read_text()[-2000:])
            if power_loss and chance.random() < 0.3:
                _tear(folder / "state", chance)
    finally:
        server.close()
    return _judge(folder, server, kills, _drained(folder))


def _drained(folder: Path) -> int:
    """Let a last daemon ship everything; its exit status."""
    daemon = _daemon(folder)
    try:
        lock = folder / "state" / "lock"
        while daemon.poll() is None and _owner(lock) != str(daemon.pid):
            _look_again(daemon)
        # The lock is taken before the sources start; the signal is answered whenever it comes.
        daemon.send_signal(signal.SIGTERM)
        return daemon.wait(timeout=DRAIN_SECONDS_MAX)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()


def _owner(lock: Path) -> str:
    return lock.read_text().strip() if lock.exists() else ""


def _look_again(daemon: subprocess.Popen[bytes]) -> None:
    try:
        daemon.wait(timeout=0.05)
    except subprocess.TimeoutExpired:
        return


def _judge(folder: Path, server: Server, kills: int, status: int) -> Outcome:
    written = Counter(server.log.users())
    with closing(sqlite3.connect(folder / "audit.db")) as store:
        stored = Counter(user for (user,) in store.execute("SELECT user FROM audit_data"))
    users: Counter[str] = Counter()
    furthest: dict[str, int] = {}
    rewinds = 0
    with (folder / "audit.jsonl").open() as lines:
        for line in lines:
            one = json.loads(line)
            segment, start = one["segment"], one["span"][0]
            rewinds += start < furthest.get(segment, 0)
            furthest[segment] = one["span"][1]
            users[one.get("user", "")] += 1
    return Outcome(
        written=written.total(),
        stored=stored.total(),
        twice=sum(count > 1 for count in stored.values()),
        lost=(written - stored).total(),
        lines_lost=len(written.keys() - users.keys()),
        rewinds=rewinds,
        kills=kills,
        status=status,
        rotations=server.rotations,
    )


def complaints(outcome: Outcome, *, power_loss: bool = False) -> list[str]:
    """Say what was promised and not kept."""
    found = []
    if outcome.lost or outcome.stored != outcome.written:
        found.append(f"{outcome.lost} records are not in the store")
    if outcome.twice:
        found.append(f"{outcome.twice} records are in the store twice")
    if outcome.lines_lost:
        found.append(f"{outcome.lines_lost} records are not in the lines")
    if outcome.rewinds > outcome.kills and not power_loss:
        found.append(f"{outcome.rewinds} batches were repeated in {outcome.kills} kills")
    if outcome.status:
        found.append(f"the last run ended with status {outcome.status}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--power-loss", action="store_true")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crash-"))
    outcome = story(folder, asked.kills, asked.seed, power_loss=asked.power_loss)
    print(
        f"seed {asked.seed}: {outcome.kills} kills, {outcome.written:,} records written, "
        f"{outcome.rotations.total()} rotations {dict(outcome.rotations)}; store: {outcome.lost} "
        f"lost, {outcome.twice} twice; lines: {outcome.lines_lost} lost, {outcome.rewinds} batches "
        f"repeated; last exit status {outcome.status}"
    )
    wrong = complaints(outcome, power_loss=asked.power_loss)
    if wrong:
        print("\n".join(wrong), f"left for a look: {folder}", sep="\n")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
