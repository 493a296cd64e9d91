"""Fuzz the decoders: `python tests/fuzz/fuzz.py --seconds N [--only TARGET] [--list]`.

One target a format, and `all` for every format together. A finding is saved to
tests/fuzz/regressions/TARGET/, which tests/decode/test_regressions.py replays from then on.
Exit status: 1 where there is a finding.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
REGRESSIONS = Path(__file__).parent / "regressions"
SIZE_MAX = 4096
HANG_SECONDS = 20  # for one input: thousands of times what any should take
EXECUTED = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
LAST_SEEN = re.compile(r"^#(\d+)\s", re.MULTILINE)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the project and its tests on the path."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def targets() -> list[str]:
    """Ask the table of formats for the names of the targets."""
    return python("-c", "from fuzz.replay import TARGETS; print(*TARGETS)").stdout.split()


def fuzz(name: str, seconds: int, scratch: Path) -> int:
    """Fuzz one target; give the number of findings."""
    seeds, found = scratch / name, scratch / f"{name}.found"
    seeds.mkdir()
    found.mkdir()
    prepared = python("-m", "fuzz.seeds", name, str(seeds))
    if prepared.returncode:
        raise SystemExit(prepared.stdout)
    known = REGRESSIONS / name
    known.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    result = python(
        *("-m", "fuzz.target", name, str(seeds), str(known)),
        f"-max_total_time={seconds}",
        f"-max_len={SIZE_MAX}",
        f"-dict={seeds}.dict",
        f"-artifact_prefix={found}/",
        f"-timeout={HANG_SECONDS}",
        "-print_final_stats=1",
    )
    spent = max(time.monotonic() - begin, 0.001)
    findings = [path for path in found.iterdir() if not path.name.startswith("slow-unit")]
    for path in findings:
        shutil.copy(path, known / path.name)
        print(f"{name}: {known / path.name}")
    if findings or result.returncode:
        print("\n".join(result.stdout.splitlines()[-40:]))
    counts = EXECUTED.findall(result.stdout) or LAST_SEEN.findall(result.stdout) or ["0"]
    executed = int(counts[-1])
    print(
        f"{name}: {executed} executions, {executed / spent:.0f} exec/s, {len(findings)} findings",
        flush=True,
    )
    if result.returncode and not findings:
        raise SystemExit(f"{name}: the fuzzer itself ended with status {result.returncode}")
    return len(findings)


def main() -> int:
    """Fuzz every target, or one; 1 where there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--only", help="the name of one target")
    parser.add_argument("--list", action="store_true", help="show the names of the targets")
    arguments = parser.parse_args()
    names = targets()
    if arguments.list:
        print(*names, sep="\n")
        return 0
    if arguments.only and arguments.only not in names:
        parser.error(f"--only: no target {arguments.only!r}; there are {', '.join(names)}")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        chosen = [arguments.only] if arguments.only else names
        return int(sum(fuzz(name, arguments.seconds, Path(scratch)) for name in chosen) > 0)


if __name__ == "__main__":
    sys.exit(main())
