"""A short run of the crash story; `make crash` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash.opensearch import run
from servers.opensearch import shared
from sink.rigs.opensearch import OpenSearchRig


@pytest.mark.timeout(300)
def test_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    rig = OpenSearchRig(shared("core"))
    try:
        outcome = run(rig.server, tmp_path, kills=4, restarts=0, seed=1, base=rig.base)
    finally:
        rig.remove()
    assert outcome.written > 500
    assert (outcome.lost, outcome.strange) == (set(), set())
    assert outcome.documents == outcome.written
