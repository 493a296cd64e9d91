"""Nothing lost and nothing twice when the daemon is killed; `make crash` kills it more often."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from crash.crash import complaints, story

KILLS = 25


@pytest.mark.timeout(600)
def test_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    outcome = story(tmp_path, KILLS, seed=20261126)
    assert complaints(outcome) == []
    assert outcome.rotations.total() > 5
    shutil.rmtree(tmp_path)


@pytest.mark.timeout(600)
def test_a_state_that_lost_its_last_writes_loses_no_record(tmp_path: Path) -> None:
    outcome = story(tmp_path, 10, seed=11, power_loss=True)
    assert complaints(outcome, power_loss=True) == []
    shutil.rmtree(tmp_path)
