"""What the sink `metrics` with its detector costs a daemon, as a share of all its CPU time.

    python -m bench.watched [--records N] [--only WRITER] [--pairs N]

(with the project's root and `tests` on PYTHONPATH, as `make bench` has it.) The daemon as a user
runs it: a process that follows a log, and posts to a server that answers like _bulk; once with the
sink `metrics` beside it, once without, in turn, so that whatever else the machine does falls on
both. A figure is the median of the pairs; `spread` is their middle half, and says how far it can
be trusted. Exit status: 1 where the goal is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.http_sink import running
from corpus.realistic import write

GOAL = 0.03
WRITERS = ("percona-json-8.0", "percona-old-8.0", "mariadb-1.4")
CONFIG = """\
state: {folder}/state
sources: [{{type: file, path: {log}, hold_bytes_max: 1}}]
sinks:
- {{type: opensearch, urls: [{url}], setup: "off", retention: "off"}}
{more}
drain_seconds: 3600
drain_idle_seconds: 0.1
"""


def spent(log: Path, url: str, *, watched: bool) -> float:
    """Give the CPU seconds of a daemon that ships a log, without those of its start."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        config, lock = Path(folder, "shipper.yaml"), Path(folder, "state", "lock")
        more = "- {type: metrics}" if watched else ""
        config.write_text(CONFIG.format(folder=folder, log=log, url=url, more=more))
        command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while not (lock.exists() and lock.read_text()):
            time.sleep(0.002)
        fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        start = sum(map(int, fields.split()[11:13])) / os.sysconf("SC_CLK_TCK")
        process.send_signal(signal.SIGTERM)  # ships everything, then ends
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, f"the daemon left something: {process.returncode}"
        return usage.ru_utime + usage.ru_stime - start


def row(writer: str, log: Path, records: int, pairs: int) -> tuple[str, bool]:
    """Give the line of one format, and whether it meets the goal."""
    without, shares = [], []
    with running() as url:
        for turn in range(pairs):
            first = bool(turn % 2)
            times = {watched: spent(log, url, watched=watched) for watched in (first, not first)}
            without.append(times[False])
            shares.append(1 - times[False] / times[True])
    share, spread = statistics.median(shares), statistics.quantiles(shares, n=4)
    alone = 1e6 * statistics.median(without) / records
    met = share <= GOAL
    added = alone * share / (1 - share)
    return (
        f"{writer:22}{alone:12.2f}{added:10.3f}{share:8.1%}"
        f"  {spread[0]:5.1%} to {spread[2]:5.1%}  {GOAL:.0%} {'yes' if met else 'NO'}"
    ), met


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=300_000)
    parser.add_argument("--only", default="", help="writers whose name holds this text")
    parser.add_argument("--pairs", type=int, default=7)
    asked = parser.parse_args()
    print(f"{'daemon':22}{'without µs':>12}{'added µs':>10}{'share':>8}  spread          goal met")
    missed = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        for writer in WRITERS:
            if asked.only not in writer:
                continue
            log = Path(folder) / writer
            write(writer, asked.records, log)
            line, met = row(writer, log, asked.records, asked.pairs)
            print(line, flush=True)
            missed += not met
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
