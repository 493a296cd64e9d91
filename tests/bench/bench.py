"""Throughput and memory of the program against its goals.

    python tests/bench/bench.py [--records N] [--repeat N] [--only NAME] [--list]
    python tests/bench/bench.py --profile NAME

Every case runs in processes of its own on one core. Absolute figures belong to a machine; the
goals are therefore ratios to a reference job that runs in the same process right before and after
each measurement: `json.loads(line)` over the same events as Percona JSON lines. They were set where
the reference reached 299,000 records a second. Exit status: 1 where a goal is missed.
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
MEMORY_GOAL_MB = 48  # above a bare interpreter, whatever the size of the file


@dataclass(frozen=True)
class Case:
    """One row: a writer's log put through one stage of the program."""

    stage: str  # one of bench.case.STAGES
    writer: str
    goal: float | None = None

    @property
    def name(self) -> str:
        """What `--only` matches: `decode:percona-json-8.0`."""
        return f"{self.stage}:{self.writer}"


CASES = (
    Case("decode", "percona-json-8.0", 4.01),
    Case("decode", "percona-json-5.6"),
    Case("decode", "percona-old-8.0", 1.17),
    Case("decode", "percona-new-8.0", 1.00),
    Case("decode", "percona-csv-8.0", 1.51),
    Case("decode", "filter-old-8.0", 1.17),
    Case("decode", "filter-new-8.0", 1.00),
    Case("decode", "filter-new-9.7"),
    Case("decode", "filter-json-8.0"),
    Case("decode", "filter-json-9.7"),
    Case("decode", "filter-jsonl-9.7"),
    Case("decode", "enterprise-old"),
    Case("decode", "enterprise-new"),
    Case("decode", "enterprise-json", 1.51),
    Case("decode", "mariadb-1.4", 1.00),
    Case("decode", "mariadb-12.0"),
    Case("decode", "rds-12"),
    Case("decode", "aurora"),
    Case("decode", "mcafee"),
    Case("decode", "outbrain"),
    Case("decode", "azure"),
    Case("decode", "syslog-3164-percona-json-8.0"),
    Case("decode", "syslog-5424-mariadb-1.4"),
    Case("ecs", "percona-json-8.0", 1.40),
    Case("ecs", "percona-old-8.0", 0.70),
    Case("ecs", "percona-new-8.0", 0.70),
    Case("ecs", "percona-csv-8.0", 1.00),
    Case("ecs", "enterprise-json"),
    Case("ecs", "mariadb-1.4"),
    Case("sqlite", "percona-json-8.0", 0.20),
    Case("sqlite", "percona-old-8.0"),
    Case("sqlite", "mariadb-1.4"),
    # 350,000 records a second where the reference reaches 299,000.
    Case("run", "percona-json-8.0", 1.17),
    Case("run", "percona-old-8.0"),
    Case("run", "mariadb-1.4"),
    Case("syslog", "percona-json-8.0", 1.00),
    Case("syslog", "percona-old-8.0"),
    Case("syslog", "mariadb-1.4"),
    Case("fluentd", "percona-json-8.0", 1.00),
    Case("fluentd", "percona-old-8.0"),
    Case("fluentd", "mariadb-1.4"),
    Case("fluentd_gzip", "percona-json-8.0"),
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
    f"{'case':38}{'records/s':>11}{'µs/rec':>8}{'MB/s':>7}{'ref/s':>9}{'ratio':>7}{'goal':>6}"
    f" {'met':4}{'+MB':>6} met"
)


def row(case: Case, figures: dict[str, Any]) -> str:
    """One line of the table."""
    goal = f"{case.goal:.2f}" if case.goal else ""
    return (
        f"{case.name:38}{figures['rate']:11,.0f}{1e6 / figures['rate']:8.2f}"
        f"{figures['bytes_rate'] / 1e6:7.0f}{figures['reference']:9,.0f}"
        f"{figures['ratio']:7.2f}{goal:>6} {_met(case.goal, figures['ratio']):4}"
        f"{figures['megabytes']:6.1f} {_met(figures['megabytes'], MEMORY_GOAL_MB)}"
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
    parser.add_argument("--repeat", type=int, default=5, help="the best of so many is shown")
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


def _table(logs: Logs, arguments: argparse.Namespace) -> int:
    print(f"{_cpu()}; Python {platform.python_version()}; {arguments.records:,} events a log")
    print("reference: json.loads(line) over the same events as Percona JSON lines")
    print(HEADER)
    failed = 0
    for case in CASES:
        if arguments.only not in case.name:
            continue
        files = (str(logs(case.writer)), str(logs(REFERENCE)))
        output = run("bench.case", "time", case.stage, *files, str(arguments.repeat))
        figures: dict[str, Any] = json.loads(output)
        if "missing" in figures:
            print(f"{case.name:38} not yet: {figures['missing']}")
            continue
        figures |= json.loads(run("bench.case", "memory", case.stage, *files, "1"))
        print(row(case, figures), flush=True)
        failed += "NO" in row(case, figures)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
