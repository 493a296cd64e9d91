"""The catalogue of segments where there are very many of them."""

from __future__ import annotations

import resource
from pathlib import Path

from lane.logs import json_row
from lane.world import Target, World

ARCHIVES = 1500  # more than the usual limit of descriptors


def test_more_old_logs_than_descriptors_are_all_shipped(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for number in range(ARCHIVES):
        name = f"audit.log.{100_000 + number}"
        (tmp_path / "logs" / name).write_text(json_row(number))
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
    try:
        target = Target()
        world = World(tmp_path, [target])
        (tmp_path / "logs" / "audit.log").write_text(json_row(ARCHIVES))
        try:
            world.settle()
        finally:
            world.crash()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(target.users) == ARCHIVES + 1
    assert max(target.held.values()) == 1
