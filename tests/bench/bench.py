"""Throughput and memory of the program against its goals.

    python tests/bench/bench.py [--records N] [--repeat N] [--processes N] [--only NAME] [--list]
    python tests/bench/bench.py --profile NAME

Every case runs in processes of its own on one core. Absolute figures belong to a machine; the
goals are therefore ratios to a reference job that runs in the same process right before and after
each measurement: `orjson.loads(line)` over the same events as Percona JSON lines. It is fixed, in C
like most of what it is compared with, and so depends less on how the interpreter was built than
`json.loads`, which an interpreter without profile-guided optimisation slows down by half. The goals
were set on a quiet core where it reaches QUIET lines a second; `quiet` is what the ratio comes to
there. Exit status: 1 where a goal is missed.

Where a process happens to lie in memory makes a tenth, whatever it repeats: so several are tried,
and the best run is compared with the best run of the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REFERENCE = "percona-json-8.0"
QUIET = 1_087_000  # of the reference, lines a second: 0.92 µs each, 407 bytes long
MEMORY_GOAL_MB = 48  # above a bare interpreter, whatever the size of the file

# Every format: one writer of each layout.
WRITERS = (
    *("percona-json-8.0", "percona-json-5.6", "percona-old-8.0", "percona-new-8.0"),
    *("percona-csv-8.0", "filter-old-8.0", "filter-new-8.0", "filter-new-9.7"),
    *("filter-json-8.0", "filter-json-9.7", "filter-jsonl-9.7"),
    *("enterprise-old", "enterprise-new", "enterprise-json"),
    *("mariadb-1.4", "mariadb-12.0", "rds-12", "aurora", "mcafee", "outbrain", "azure"),
    *("syslog-3164-percona-json-8.0", "syslog-5424-mariadb-1.4"),
)
STAGES = ("decode", "ecs", "sqlite")
# What goes over a wire, to a receiver that only acknowledges.
# `run` is the daemon's own part: lanes and state, into a sink that takes everything.
# `_alone` is what the sink does, without decoding.
WIRES = (
    *("run", "opensearch", "syslog", "syslog_alone"),
    *("fluentd", "fluentd_alone", "fluentd_gzip"),
)
WIRE_WRITERS = (
    *("percona-json-8.0", "percona-csv-8.0", "percona-old-8.0", "percona-new-8.0"),
    "mariadb-1.4",
)
# Records a second on the quiet core, by the format's name in the writer's.
GOALS = {
    "decode": {
        "percona-json": 1_200_000,
        "-old": 350_000,
        "-new": 300_000,
        "percona-csv": 450_000,
        "mariadb": 300_000,
        "enterprise-json": 450_000,
    },
    "ecs": {"percona-json": 420_000, "-old": 210_000, "-new": 210_000, "percona-csv": 300_000},
    "sqlite": {"": 60_000},
    "opensearch": {
        "percona-json": 300_000,
        "percona-csv": 220_000,
        "-old": 170_000,
        "-new": 170_000,
        "mariadb": 200_000,
    },
    "run": {"percona-json": 350_000},
    "syslog": {"percona-json": 300_000},
    "syslog_alone": {"": 300_000},
    "fluentd": {"percona-json": 300_000},
    "fluentd_alone": {"": 300_000},
}


@dataclass(frozen=True)
class Case:
    """One row: a writer's log put through one stage of the program."""

    stage: str  # one of bench.case.STAGES
    writer: str

    @property
    def name(self) -> str:
        """What `--only` matches: `decode:percona-json-8.0`."""
        return f"{self.stage}:{self.writer}"

    @property
    def goal(self) -> float | None:
        """The ratio to the reference that is to be reached; None where there is no goal."""
        if "syslog" in self.writer and self.stage != "sqlite":
            return None  # the goals speak of logs, not of what a syslog daemon makes of them
        rates = [rate for part, rate in GOALS.get(self.stage, {}).items() if part in self.writer]
        return rates[0] / QUIET if rates else None


CASES = (
    *(Case(stage, writer) for stage in STAGES for writer in WRITERS),
    *(Case(stage, writer) for stage in WIRES for writer in WIRE_WRITERS),
)


def run(module: str, *arguments: str) -> str:
    """Run a module with the project and its tests on the path; give its output."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    environment["PYTHONHASHSEED"] = "0"
    result = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode:
        raise SystemExit(f"{module} {' '.join(arguments)} failed with {result.returncode}")
    return result.stdout


class Logs:
    """Generated logs, each made once and kept for the run."""

    def __init__(self, directory: Path, records: int) -> None:
        self._directory = directory
        self._records = records

    def __call__(self, writer: str) -> Path:
        path = self._directory / f"{writer}.log"
        if not path.exists():
            count = str(self._records)
            run("corpus.realistic", "--writer", writer, "--records", count, "--output", str(path))
        return path


HEADER = (
    f"{'case':35}{'records/s':>10}{'µs/rec':>7}{'MB/s':>6}{'ref/s':>9}{'quiet':>10}"
    f"{'ratio':>6}{'goal':>5} {'met':4}{'+MB':>5} met"
)


def row(case: Case, figures: dict[str, Any]) -> str:
    """One line of the table."""
    goal = f"{case.goal:.2f}" if case.goal else ""
    return (
        f"{case.name:35}{figures['rate']:10,.0f}{1e6 / figures['rate']:7.2f}"
        f"{figures['bytes_rate'] / 1e6:6.0f}{figures['reference']:9,.0f}"
        f"{figures['ratio'] * QUIET:10,.0f}{figures['ratio']:6.2f}{goal:>5}"
        f" {_met(case.goal, figures['ratio']):4}"
        f"{figures['megabytes']:5.1f} {_met(figures['megabytes'], MEMORY_GOAL_MB)}"
    )


def _met(goal: float | None, value: float) -> str:
    if goal is None:
        return ""
    return "yes" if value >= goal else "NO"


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in text.splitlines() if "model name" in line), "")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=60_000, help="records in each log")
    parser.add_argument("--repeat", type=int, default=3, help="runs in a process")
    parser.add_argument("--processes", type=int, default=3, help="the best run of all is shown")
    parser.add_argument("--only", default="", help="cases whose name holds this text")
    parser.add_argument("--list", action="store_true", help="show the names of the cases")
    parser.add_argument("--profile", metavar="NAME", help="profile this case with cProfile")
    return parser.parse_args()


def main() -> int:
    """Print the table; 1 where a goal is missed."""
    arguments = _arguments()
    if arguments.list:
        print(*(case.name for case in CASES), sep="\n")
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        logs = Logs(Path(directory), arguments.records)
        if arguments.profile:
            stage, _, writer = arguments.profile.partition(":")
            print(run("bench.case", "profile", stage, str(logs(writer)), str(logs(REFERENCE))))
            return 0
        return _table(logs, arguments)


def _best(case: Case, files: tuple[str, str], arguments: argparse.Namespace) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for _ in range(arguments.processes):
        output = run("bench.case", "time", case.stage, *files, str(arguments.repeat))
        found.append(json.loads(output))
        if "missing" in found[0]:
            return found[0]
    best = {name: max(each[name] for each in found) for name in found[0]}
    return best | {"ratio": best["rate"] / best["reference"]}


def _table(logs: Logs, arguments: argparse.Namespace) -> int:
    print(f"{_cpu()}; Python {platform.python_version()}; {arguments.records:,} events a log")
    print(f"reference: orjson.loads(line), Percona JSON lines; {QUIET:,} a second on a quiet core")
    print(HEADER)
    failed = 0
    for case in CASES:
        if arguments.only not in case.name:
            continue
        files = (str(logs(case.writer)), str(logs(REFERENCE)))
        figures = _best(case, files, arguments)
        if "missing" in figures:
            print(f"{case.name:35} not yet: {figures['missing']}")
            continue
        figures |= json.loads(run("bench.case", "memory", case.stage, *files, "1"))
        print(row(case, figures), flush=True)
        failed += "NO" in row(case, figures)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
