"""One case of the bench, in a process of its own: prints figures as one JSON object.

    python -m bench.case time|memory|profile STAGE LOG REFERENCE_LOG [REPEAT]

(with the project's root and `tests` on PYTHONPATH; `bench.py` sees to that.)
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from bench import wires
from bench.follow import followed

from shipper import heap

if TYPE_CHECKING:
    from shipper.model import Block

PIECE = 128 * 1024  # shipper.source.file.READ_BYTES
REFERENCE_LINES = 20_000
NOW = "2026-01-02T03:04:05.678Z"
# Not ru_maxrss: across an exec it keeps the peak of the process that forked.
PEAK = "import re; print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1])"

Stage = Callable[[Path], int]  # gives the number of records


def pieces(path: Path) -> Iterator[bytes]:
    """Read a file as a lane does."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


class UnreadError(Exception):
    """The log was not read in full, so its figures would mean nothing."""


def _blocks(path: Path) -> Iterator[Block]:
    from shipper.decode import FORMATS, Decoder  # noqa: PLC0415 `find_spec` asks first

    decoder = Decoder(FORMATS)
    with path.open("rb", buffering=0) as file:
        for _ in range(0, path.stat().st_size, PIECE):  # as a lane, which keeps neither of the two
            yield decoder.feed(file.read(PIECE))
    yield decoder.finish()


def decode(path: Path) -> int:
    """Decode only."""
    count = 0
    for block in _blocks(path):
        if block.defects:
            raise UnreadError(block.defects[0].detail)
        count += len(block.records)
    return count


def ecs(path: Path) -> int:
    """Decode, and write the bulk lines."""
    from shipper.document.ecs import EcsEncoder  # noqa: PLC0415 `decode` does without

    encoder, count = EcsEncoder(), 0
    for block in _blocks(path):
        encoder.bulk(block, NOW)
        count += len(block.records)
    return count


def sqlite(path: Path) -> int:
    """Run the command line as a whole; its start is part of the time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        store = Path(directory, "audit.db")
        command = [sys.executable, "-m", "shipper", "ship", str(path), "--to", f"sqlite:{store}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return decode(path)


def run(path: Path) -> int:
    """Follow the log as the daemon does, threads and state included, into a sink that forgets."""
    return followed(path)


def syslog(path: Path) -> int:
    """Decode, and deliver to a receiver over TCP."""
    return wires.syslog(_blocks(path))


def fluentd(path: Path) -> int:
    """Decode, and deliver to a forward receiver that acknowledges."""
    return wires.fluentd(_blocks(path))


def fluentd_gzip(path: Path) -> int:
    """Do so compressed."""
    return wires.fluentd(_blocks(path), compress=True)


def opensearch(path: Path) -> int:
    """Decode, and deliver to an HTTP server that answers like _bulk."""
    from bench import shipping  # noqa: PLC0415 its client library costs every case 25 MB

    return shipping.to_http_sink(_blocks(path))


ALONE = "_alone"  # such a row is without decoding
STAGES: dict[str, Stage] = {
    "decode": decode,
    "ecs": ecs,
    "sqlite": sqlite,
    "run": run,
    "syslog": syslog,
    "fluentd": fluentd,
    "fluentd_gzip": fluentd_gzip,
    f"syslog{ALONE}": syslog,
    f"fluentd{ALONE}": fluentd,
    "opensearch": opensearch,
}
NEEDS = {
    "decode": "shipper.decode",
    "ecs": "shipper.document.ecs",
    "sqlite": "shipper.cli",
    "run": "shipper.app",
    "syslog": "shipper.sink.syslog",
    "fluentd": "shipper.sink.fluentd",
    "fluentd_gzip": "shipper.sink.fluentd",
    f"syslog{ALONE}": "shipper.sink.syslog",
    f"fluentd{ALONE}": "shipper.sink.fluentd",
    "opensearch": "shipper.sink.opensearch",
}


def _reference(lines: list[bytes]) -> float:
    """Seconds of CPU a record of the reference job."""
    begin = time.process_time()
    for line in lines:
        orjson.loads(line)
    return (time.process_time() - begin) / len(lines)


def _spent(stage: str) -> float:
    """Give the CPU seconds that count: of this process, or for `sqlite` of its children."""
    if stage.endswith(ALONE):
        return time.process_time() - wires.aside
    if stage != "sqlite":
        return time.process_time()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(stage: str, log: Path, reference_log: Path, repeat: int) -> dict[str, float]:
    """Best of `repeat` runs, each between two runs of the reference."""
    lines = []
    with reference_log.open("rb") as file:
        for line in file:
            lines.append(line)
            if len(lines) == REFERENCE_LINES:
                break
    reference, best, records = _reference(lines), float("inf"), 0
    for _ in range(repeat):
        begin = _spent(stage)
        records = STAGES[stage](log)
        best = min(best, _spent(stage) - begin)
        reference = min(reference, _reference(lines))
    rate = records / best
    return {
        "rate": rate,
        "bytes_rate": log.stat().st_size / best,
        "reference": 1 / reference,
        "ratio": rate * reference,
        "records": records,
    }


def memory(stage: str, log: Path) -> dict[str, float]:
    """Give the peak of this process above a bare interpreter's, in MB."""
    bare = _peak_of("")
    if stage == "sqlite":
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            argv = ["audit-shipper", "ship", str(log), "--to", f"sqlite:{directory}/audit.db"]
            code = f"import sys; sys.argv = {argv}\nfrom shipper.cli import main\n"
            code += "try: main()\nexcept SystemExit: pass"
            peak = _peak_of(code)
    else:
        code = "from pathlib import Path; from bench import case; from shipper import heap;"
        code += f"heap.keep(); case.STAGES[{stage!r}](Path({str(log)!r}))"
        peak = _peak_of(code)
    return {"megabytes": (peak - bare) / 1024}


def _peak_of(code: str) -> int:
    """Run code in an interpreter of its own; give its peak of resident memory in kB."""
    command = [sys.executable, "-c", f"{code}\n{PEAK}"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return int(result.stdout.split()[-1])


def profile(stage: str, log: Path) -> None:
    """Print where the time goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    STAGES[stage](log)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def _readable(log: Path) -> bool:
    try:
        return decode(log) > 0
    except UnreadError:
        return False


def main() -> None:
    """Run one case."""
    heap.keep()  # as the program does
    mode, stage, log, reference_log, *rest = sys.argv[1:]
    if find_spec(NEEDS[stage]) is None:
        print(json.dumps({"missing": NEEDS[stage]}))
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if mode == "profile":
        profile(stage, Path(log))
    elif not _readable(Path(log)):
        print(json.dumps({"missing": "a format that reads this log without defects"}))
    elif mode == "memory":
        print(json.dumps(memory(stage, Path(log))))
    else:
        print(json.dumps(measure(stage, Path(log), Path(reference_log), int(rest[0]))))


if __name__ == "__main__":
    main()
