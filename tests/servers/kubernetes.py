"""What `install-kubernetes` installs: where it is, and a skip (or failure) where it is not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

HOME: Final = Path(__file__).parents[2] / ".servers" / "kubernetes"


def need_made(*names: str) -> None:
    """Skip without these parts, or fail where REQUIRE_SERVERS=1."""
    missing = [name for name in names if not (HOME / f"{name}.made").exists()]
    if missing:
        reason = f"{', '.join(missing)}: not there; run `make servers`"
        if os.environ.get("REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


def program(name: str) -> str:
    """The path of a program that was built."""
    need_made(name)
    return str(HOME / "bin" / name)
