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

PIECE = 128 * 1024  # shipper.source.file.READ_BYTES
REFERENCE_LINES = 20_000
NOW = "2026-01-02T03:04:05.678Z"
BARE = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"

Stage = Callable[[Path], int]  # gives the number of records


def pieces(path: Path) -> Iterator[bytes]:
    """Read a file as a lane does."""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece


def decode(path: Path) -> int:
    """Decode only."""
    from shipper.decode import FORMATS, Decoder  # noqa: PLC0415 the bare stages do without

    decoder = Decoder(FORMATS)
    count = sum(len(decoder.feed(piece).records) for piece in pieces(path))
    return count + len(decoder.finish().records)


def ecs(path: Path) -> int:
    """Decode, and write the bulk lines."""
    from shipper.decode import FORMATS, Decoder  # noqa: PLC0415 the bare stages do without
    from shipper.document.ecs import EcsEncoder  # noqa: PLC0415 likewise

    decoder, encoder, count = Decoder(FORMATS), EcsEncoder(), 0
    for piece in pieces(path):
        block = decoder.feed(piece)
        encoder.bulk(block, NOW)
        count += len(block.records)
    block = decoder.finish()
    encoder.bulk(block, NOW)
    return count + len(block.records)


def sqlite(path: Path) -> int:
    """Run the command line as a whole; its start is part of the time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        store = Path(directory, "audit.db")
        command = [sys.executable, "-m", "shipper", "ship", str(path), "--to", f"sqlite:{store}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return decode(path)


STAGES: dict[str, Stage] = {"decode": decode, "ecs": ecs, "sqlite": sqlite}
NEEDS = {
    "decode": "shipper.decode",
    "ecs": "shipper.document.ecs",
    "sqlite": "shipper.cli",
}


def _reference(lines: list[bytes]) -> float:
    """Seconds of CPU a record of the reference job."""
    begin = time.process_time()
    for line in lines:
        json.loads(line)
    return (time.process_time() - begin) / len(lines)


def _spent(stage: str) -> float:
    """Give the CPU seconds of this process, or for `sqlite` of its children."""
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
    bare = int(subprocess.run([sys.executable, "-c", BARE], capture_output=True, check=True).stdout)
    if stage == "sqlite":
        return {"megabytes": (_peak_of_child(log) - bare) / 1024}
    STAGES[stage](log)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"megabytes": (peak - bare) / 1024}


def _peak_of_child(log: Path) -> int:
    sqlite_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    sqlite(log)
    return max(sqlite_before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def profile(stage: str, log: Path) -> None:
    """Print where the time goes."""
    profiler = cProfile.Profile()
    profiler.enable()
    STAGES[stage](log)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


def main() -> None:
    """Run one case."""
    mode, stage, log, reference_log, *rest = sys.argv[1:]
    if find_spec(NEEDS[stage]) is None:
        print(json.dumps({"missing": NEEDS[stage]}))
        return
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if mode == "profile":
        profile(stage, Path(log))
    elif mode == "memory":
        print(json.dumps(memory(stage, Path(log))))
    else:
        print(json.dumps(measure(stage, Path(log), Path(reference_log), int(rest[0]))))


if __name__ == "__main__":
    main()
