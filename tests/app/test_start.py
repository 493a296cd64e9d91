"""A signal that comes while the daemon starts is answered once it can be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lane.logs import json_row

# Sends SIGTERM to itself in the middle of loading the program.
EARLY = """
import os, signal, sys
class Early:
    def find_spec(self, name, path=None, target=None):
        if name == "shipper.app.daemon":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Early())
from shipper.cli import main
main()
"""


def test_a_stop_that_comes_too_early_still_drains(tmp_path: Path) -> None:
    (tmp_path / "audit.log").write_text("".join(map(json_row, range(3))))
    (tmp_path / "shipper.yaml").write_text(
        f"state: {tmp_path}/state\n"
        "drain_idle_seconds: 0.5\n"
        f"sources: [{{type: file, path: {tmp_path}/audit.log}}]\n"
        f"sinks: [{{type: jsonl, path: {tmp_path}/out.jsonl}}]\n"
    )
    command = [sys.executable, "-c", EARLY, "run", "-c", str(tmp_path / "shipper.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (result.returncode, result.stdout) == (0, "")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 3
