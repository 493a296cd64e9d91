"""Many records and many renames under a daemon at its default settings: none may be lost.

    python tests/crash/many.py [--records 1000000] [--renames 24]

Records are written as fast as the machine can. The renames are spread over them, each second one
right behind the one before it, so that two of them fall between two looks.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from lane.logs import Log
from msgspec import Struct, json

CONFIG = """\
state: {folder}/state
drain_seconds: 600
sources: [{{type: file, name: main, path: {folder}/logs/audit.log}}]
sinks: [{{type: jsonl, path: {folder}/audit.jsonl}}]
"""
STEP = 500  # records a write: the buffer of a busy server
DRAIN_SECONDS_MAX = 900


class Line(Struct):
    """What is looked at in a line."""

    user: str


class Renamed(Struct):
    """What came of many renames."""

    written: int
    lost: int
    twice: int
    renames: int
    status: int


def renamed(folder: Path, records: int, renames: int) -> Renamed:
    """Write, rename, and count, in an empty folder."""
    config = folder / "shipper.yaml"
    config.write_text(CONFIG.format(folder=folder))
    (folder / "logs").mkdir()
    log = Log(folder / "logs" / "audit.log")
    command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
    with (folder / "stderr").open("wb") as errors:
        daemon = subprocess.Popen(command, stderr=errors)
    try:
        # Two renames at each border, one small file between them.
        each = records // (renames // 2 + 1)
        done = 0
        while log.number < records:
            log.write(min(STEP, records - log.number))
            while done < renames and log.number >= each * (done // 2 + 1):
                log.rename_and_flush(f"audit.log.{20260101 + done}")
                log.write(1 if done % 2 == 0 else 0)
                done += 1
        log.close()
        while daemon.poll() is None and not (folder / "audit.jsonl").exists():
            _pause(daemon)
        daemon.send_signal(signal.SIGTERM)
        status = daemon.wait(timeout=DRAIN_SECONDS_MAX)
    finally:
        if daemon.poll() is None:
            daemon.kill()
            daemon.wait()
    return _counted(folder, log, done, status)


def _pause(daemon: subprocess.Popen[bytes]) -> None:
    try:
        daemon.wait(timeout=0.1)
    except subprocess.TimeoutExpired:
        return


def _counted(folder: Path, log: Log, renames: int, status: int) -> Renamed:
    decoder = json.Decoder(Line)
    with (folder / "audit.jsonl").open("rb") as lines:
        shipped = Counter(decoder.decode(line).user for line in lines)
    lost = sum(user not in shipped for user in log.users())
    twice = sum(count > 1 for count in shipped.values())
    return Renamed(log.number, lost, twice, renames, status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--renames", type=int, default=24)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="many-") as folder:
        found = renamed(Path(folder), asked.records, asked.renames)
    print(
        f"{found.written:,} records, {found.renames} renames: {found.lost} lost, "
        f"{found.twice} twice, exit status {found.status}"
    )
    sys.exit(bool(found.lost or found.twice or found.status))


if __name__ == "__main__":
    main()
