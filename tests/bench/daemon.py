"""What a running daemon costs a machine, by the operating system's own figures.

    python tests/bench/daemon.py [--seconds 30] [--rate 1000]

Rows: memory and CPU without work, CPU at a rate, how long a record takes from being written to
being in the sink (a file of lines, synced), how soon the first record of many gigabytes of archives
arrives, memory at full speed, and what a second worker gains. At default settings. Wall-clock
figures need a quiet machine; the load is shown.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if __name__ == "__main__":
    # Instead of this folder, whose bench.py would hide the package.
    sys.path[:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from bench.http_sink import running
from corpus.realistic import write
from lane.logs import Log, mariadb_row

CONFIG = """\
state: {folder}/state
sources: [{{type: file, path: {folder}/logs/audit.log}}]
sinks: [{{type: jsonl, path: {folder}/audit.jsonl}}]
"""
TICK = 0.01  # seconds between writes of the busy server
SETTLE_SECONDS = 3.0  # after the start, until only the idle work is left
ARCHIVE_GIGABYTES = 10
ARCHIVES = 20


@contextmanager
def _daemon(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    config = folder / "shipper.yaml"
    config.write_text(CONFIG.format(folder=folder))
    command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _spent(pid: int) -> float:
    """CPU seconds of the process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    ticks = sum(map(int, fields.split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _megabytes(process: subprocess.Popen[bytes], of: str = "VmRSS") -> float:
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    found = re.search(rf"{of}:\s*(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def _logs(folder: Path) -> Log:
    (folder / "logs").mkdir()
    log = Log(folder / "logs" / "audit.log")
    log.write(1)
    return log


def _first(process: subprocess.Popen[bytes], lines: Path) -> None:
    while process.poll() is None and not (lines.exists() and lines.stat().st_size):
        time.sleep(0.002)


def idle(folder: Path, seconds: float) -> None:
    """Memory and CPU without work."""
    _logs(folder).close()
    with _daemon(folder) as process:
        _first(process, folder / "audit.jsonl")
        time.sleep(SETTLE_SECONDS)
        before = _spent(process.pid)
        time.sleep(seconds)
        share = (_spent(process.pid) - before) / seconds
        print(f"idle: {share:.2%} of a core, {_megabytes(process):.1f} MB resident")


def busy(folder: Path, seconds: float, rate: int) -> None:
    """CPU and delay at a rate, of records as a busy server writes them."""
    (folder / "logs").mkdir()
    write("percona-json-8.0", int(rate * (seconds + 1)), folder / "made")
    lines = (folder / "made").read_bytes().splitlines(keepends=True)
    log = (folder / "logs" / "audit.log").open("wb", buffering=0)
    log.write(lines[0])
    written: dict[str, float] = {}  # times, by the ids of records
    done, stop = 1, threading.Event()

    def run() -> None:
        nonlocal done
        begun = time.monotonic()
        while not stop.wait(TICK):
            due = min(1 + int((time.monotonic() - begun) * rate), len(lines))
            if due > done:
                written[json.loads(lines[done])["audit_record"]["record"]] = time.monotonic()
                log.write(b"".join(lines[done:due]))
                done = due

    with _daemon(folder) as process:
        _first(process, folder / "audit.jsonl")
        time.sleep(SETTLE_SECONDS)
        writer = threading.Thread(target=run)
        before = _spent(process.pid)
        writer.start()
        delays = list(_delays(folder / "audit.jsonl", written, seconds))
        share, shipped = (_spent(process.pid) - before) / seconds, done
        stop.set()
        writer.join()
    log.close()
    print(f"{shipped / seconds:,.0f} records/s: {share:.2%} of a core")
    quantiles = statistics.quantiles(delays, n=20)
    print(f"written to delivered: median {quantiles[9]:.3f} s, 95 % {quantiles[18]:.3f} s")


def _delays(lines: Path, written: dict[str, float], seconds: float) -> Iterator[float]:
    """Read the sink's file as it grows; the delay of each record whose writing was timed."""
    end = time.monotonic() + seconds
    with lines.open("rb") as file:
        rest = b""
        while (now := time.monotonic()) < end:
            *whole, rest = (rest + file.read()).split(b"\n")
            for line in whole:
                begun = written.pop(json.loads(line)["record"], None)
                if begun is not None:
                    yield now - begun
            time.sleep(0.01)


def archives(folder: Path, gigabytes: int) -> None:
    """The first record where archives of so many plain bytes lie beside the log."""
    log = _logs(folder)
    rows = "".join(map(mariadb_row, range(20_000))).encode()
    each = gigabytes * 1000**3 // ARCHIVES
    filler = gzip.compress(rows, 1)  # a member; many of them are one archive
    for number in range(ARCHIVES):
        path = log.path.with_name(f"audit.log.{20250101 + number}.gz")
        first = mariadb_row(1_000_000 + number).encode()
        path.write_bytes(gzip.compress(first) + filler * (each // len(rows)))
    begun = time.monotonic()
    with _daemon(folder) as process:
        until_lock = folder / "state" / "lock"
        while not until_lock.exists():
            time.sleep(0.002)
        started = time.monotonic()
        _first(process, folder / "audit.jsonl")
        now = time.monotonic()
        process.kill()
    log.close()
    print(
        f"{gigabytes} GB in {ARCHIVES} archives: first record {now - started:.2f} s after the "
        f"state was locked, {now - begun:.2f} s after the start of the interpreter"
    )


def full(folder: Path, records: int) -> None:
    """Memory at full speed to OpenSearch, with metrics and detection."""
    (folder / "logs").mkdir()
    write("percona-json-8.0", records, folder / "logs" / "audit.log")
    config = folder / "shipper.yaml"
    with running() as url:
        config.write_text(
            f"state: {folder}/state\nsources: [{{type: file, path: {folder}/logs/audit.log}}]\n"
            f"sinks: [{{type: opensearch, urls: ['{url}'], setup: off, retention: off}},"
            " {type: metrics}]\n"
            "drain_seconds: 3600\ndrain_idle_seconds: 0.1\n"
        )
        command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        lock, peak = folder / "state" / "lock", 0.0
        while process.poll() is None and not (lock.exists() and lock.read_text()):
            time.sleep(0.01)
        begun, before = time.monotonic(), _spent(process.pid)
        process.send_signal(signal.SIGTERM)
        spent = before
        while process.poll() is None:
            with suppress(OSError, IndexError):  # it may end right now
                peak, spent = max(peak, _megabytes(process, "VmHWM")), _spent(process.pid)
            time.sleep(0.05)
        taken = time.monotonic() - begun
    print(
        f"full speed to OpenSearch, counted and watched: {records / (spent - before):,.0f} "
        f"records a CPU second, {records / taken:,.0f} by the clock, peak {peak:.1f} MB resident"
    )


def workers(folder: Path, records: int) -> None:
    """What two processes gain over one, for two sources."""
    names = ("one", "two")
    (folder / "logs").mkdir()
    for name in names:
        log = Log(folder / "logs" / f"{name}.log")
        while log.number < records:
            log.write(1000)
        log.close()
    spent, taken = {}, {}
    for count in (1, 2):
        state = folder / f"state{count}"
        config = folder / f"{count}.yaml"
        sources = ", ".join(
            f"{{type: file, name: {name}, path: {folder}/logs/{name}.log}}" for name in names
        )
        config.write_text(
            f"state: {state}\nworkers: {count}\nsources: [{sources}]\n"
            f"sinks: [{{type: jsonl, path: '{folder}/{count}-{{source}}.jsonl'}}]\n"
            "drain_seconds: 3600\ndrain_idle_seconds: 0.1\n"
        )
        command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        locks = [state / "lock"] if count == 1 else [state / "lock.0", state / "lock.1"]
        while not all(lock.exists() and lock.read_text() for lock in locks):
            time.sleep(0.01)
        pids = {process.pid, *(int(lock.read_text()) for lock in locks)}
        begun, before = time.monotonic(), sum(map(_spent, pids))
        process.send_signal(signal.SIGTERM)
        _, _, usage = os.wait4(process.pid, 0)
        taken[count] = time.monotonic() - begun
        spent[count] = usage.ru_utime + usage.ru_stime - before  # without the start
    print(
        f"two workers, {2 * records:,} records: {taken[1] / taken[2]:.2f} times as fast by the "
        f"clock; CPU time {spent[1]:.1f} s in one process, {spent[2]:.1f} s in two: "
        f"{2 * spent[1] / spent[2]:.2f} times as fast where each has a core to itself"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--gigabytes", type=int, default=ARCHIVE_GIGABYTES)
    parser.add_argument("--records", type=int, default=300_000, help="in each of two logs")
    parser.add_argument("--only", default="", help="idle, busy, archives, full or workers")
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for case, arguments in (
        (idle, (asked.seconds,)),
        (busy, (asked.seconds, asked.rate)),
        (archives, (asked.gigabytes,)),
        (full, (asked.records,)),
        (workers, (asked.records,)),
    ):
        if asked.only not in case.__name__:
            continue
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            case(Path(folder), *arguments)


if __name__ == "__main__":
    main()
