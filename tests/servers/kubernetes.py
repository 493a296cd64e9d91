"""What `install-kubernetes` installs: where it is, and a skip (or failure) where it is not.

The tools for charts are like any other server of the tests. A cluster, its node and its images take
Go a quarter of an hour to build where nothing is cached: they are asked for by `make kubernetes`,
and their tests fail without them only where REQUIRE_CLUSTER=1.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

TOOLS: Final = frozenset(("helm", "kubeconform", "crds", "schemas"))
HOME: Final = Path(__file__).parents[2] / ".servers" / "kubernetes"


def need_made(*names: str) -> None:
    """Skip without these parts, or fail where REQUIRE_SERVERS=1."""
    missing = [name for name in names if not (HOME / f"{name}.made").exists()]
    if missing:
        heavy = set(missing) - TOOLS
        target = "make kubernetes" if heavy else "make servers"
        reason = f"{', '.join(missing)}: not there; run `{target}`"
        if os.environ.get("REQUIRE_CLUSTER" if heavy else "REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def program(name: str) -> str:
    """The path of a program that was built."""
    need_made(name)
    return str(HOME / "bin" / name)
