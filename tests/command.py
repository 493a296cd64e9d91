"""The command line as a user runs it: a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SECONDS_MAX = 100


def audit_shipper(
    *arguments: str | Path, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `audit-shipper` to its end; output as bytes."""
    return subprocess.run(
        [sys.executable, "-m", "shipper", *map(str, arguments)],
        input=stdin,
        env=env,
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
