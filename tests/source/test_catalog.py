"""The catalogue of segments where there are very many of them."""

from __future__ import annotations

import resource
from pathlib import Path

from lane.logs import json_row
from lane.world import Target, World

from shipper.notices import Lost
from shipper.source.looker import OPEN_MAX

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


def test_names_that_shift_under_files_that_are_not_open_lose_nothing(tmp_path: Path) -> None:
    """A server that rotates while more old logs wait than are kept open."""
    folder, count = tmp_path / "logs", OPEN_MAX + 20
    folder.mkdir()
    for number in range(1, count + 1):
        (folder / f"audit.log.{number:03}").write_text(json_row(count - number))
    (folder / "audit.log").write_text(json_row(count))
    target = Target()
    world = World(tmp_path, [target])
    for _ in range(2):  # every one counts as complete, none is read
        world.clock.move(60)
        world.source.catalog.poll()
    # Two rotations: what lies under a name now is another old log, or one that nobody knows.
    for fresh in (count + 1, count + 2):
        for number in range(fresh, 1, -1):
            older = folder / f"audit.log.{number:03}"
            (folder / f"audit.log.{number - 1:03}").rename(older)
        (folder / "audit.log").rename(folder / "audit.log.001")
        (folder / "audit.log").write_text(json_row(fresh))
    while world.source.lanes[0].turn():
        pass
    world.settle()
    assert world.told(Lost) == []
    assert sorted(filter(None, target.users)) == sorted(f"u{each}" for each in range(count + 3))
    assert max(target.held.values()) == 1
