"""Nothing lost and nothing twice when the daemon is killed; `make crash` kills it more often."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from crash.crash import complaints, story
from crash.many import renamed
from crash.outage import outage

KILLS = 25


@pytest.mark.timeout(1500)
def test_kills_at_random_moments_lose_nothing(tmp_path: Path) -> None:
    outcome = story(tmp_path, KILLS, seed=20261126)
    assert complaints(outcome) == []
    assert outcome.rotations.total() > 5
    shutil.rmtree(tmp_path)


@pytest.mark.timeout(1500)
def test_a_state_that_lost_its_last_writes_loses_no_record(tmp_path: Path) -> None:
    outcome = story(tmp_path, 10, seed=11, power_loss=True)
    assert complaints(outcome, power_loss=True) == []
    shutil.rmtree(tmp_path)


@pytest.mark.timeout(600)
def test_many_renames_two_of_them_between_two_looks_lose_nothing(tmp_path: Path) -> None:
    found = renamed(tmp_path, records=60_000, renames=22)
    assert (found.lost, found.twice, found.status) == (0, 0, 0)
    assert (found.written, found.renames) == (60_000, 22)
    shutil.rmtree(tmp_path)


def test_an_hour_without_a_target_costs_disk_and_no_memory(tmp_path: Path) -> None:
    found = outage(tmp_path, rate=20, seconds=3600)
    assert found.written == found.delivered == 72_000
    assert found.attempts > 60
    # One delivery waits, and what Python keeps of it; the log meanwhile grew by 5 MB.
    assert found.grown_bytes < 3_000_000
