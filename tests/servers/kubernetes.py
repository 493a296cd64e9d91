"""What `install-kubernetes` installs: where it is, and a skip (or failure) where it is not.

Helm, the API server and etcd run anywhere. A kubelet and containers need what not every machine
permits (`privileges.py`): their tests are skipped there, but fail where REQUIRE_CLUSTER=1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

from servers.privileges import refused

HOME: Final = Path(__file__).parents[2] / ".servers" / "kubernetes"


def need_made(*names: str) -> None:
    """Skip without these parts, or fail where REQUIRE_SERVERS=1."""
    missing = [name for name in names if not (HOME / f"{name}.made").exists()]
    if missing:
        _without(f"{', '.join(missing)}: not there; run `make servers`", "REQUIRE_SERVERS")


def need_privileges() -> None:
    """Skip where the machine forbids containers, or fail where REQUIRE_CLUSTER=1."""
    if refused():
        _without(f"this machine forbids containers: {refused()}", "REQUIRE_CLUSTER")


def program(name: str) -> str:
    """The path of a program that was built."""
    need_made(name)
    return str(HOME / "bin" / name)


def _without(reason: str, required: str) -> None:
    if "1" in {os.environ.get(required), os.environ.get("REQUIRE_CLUSTER")}:
        pytest.fail(reason)
    pytest.skip(reason)
