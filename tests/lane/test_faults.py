"""Disks and clocks that misbehave: nothing is lost, nothing ends, and it is told."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from lane.logs import Log
from lane.world import PackingSink, Target, World

from shipper.notices import Mended, Trouble


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def world(tmp_path: Path, target: Target) -> World:
    return World(tmp_path, [target])


def failing_reads(monkeypatch: pytest.MonkeyPatch, begun: Callable[[], bool]) -> list[int]:
    """Let the first two reads fail once `begun`; give the offsets of those that did."""
    real, failed = os.pread, list[int]()

    def failing(fd: int, size: int, offset: int) -> bytes:
        if begun() and len(failed) < 2:
            failed.append(offset)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd, size, offset)

    monkeypatch.setattr(os, "pread", failing)
    return failed


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_log_on_a_disk_that_does_not_answer_for_a_while(
    number: int, world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(world.log)
    log.write(3)
    world.ship()

    def failing(*_arguments: object) -> bytes:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing)
        log.write(3)
        world.ship()  # looking at it does not work
        world.source.catalog.segments()[0].size = world.log.stat().st_size
        world.ship()  # nor does reading
        world.ship()
    assert target.users == ["u0", "u1", "u2"]
    (trouble,) = world.told(Trouble)
    assert os.strerror(number) in trouble.detail
    log.write(1)
    world.ship()
    assert target.users == log.users()
    assert len(world.told(Mended)) == 1


def test_a_disk_that_does_not_answer_when_a_letter_is_written(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(world.log)
    log.write(1)
    world.ship()
    log.write_text("no record\n")
    log.write(2)
    # Delivered, and its letter not written.
    failed = failing_reads(monkeypatch, lambda: target.deliveries == 2)
    world.ship()
    assert len(failed) == 2
    assert target.users == log.users()
    assert set(target.held.values()) == {1}
    (letter,) = world.source.dead_letters.read()
    assert letter.bytes == "no record\n"


def test_a_disk_that_does_not_answer_when_a_refused_record_is_read_again(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its letter waits for the record: without it, nobody could deliver it later."""
    world = World(tmp_path, [target], kinds=[PackingSink])
    log = Log(world.log)
    world.sinks[0].refuse = lambda record: record.user == "u1"
    log.write(3)
    failed = failing_reads(monkeypatch, lambda: target.deliveries > 0)
    world.ship()
    assert len(failed) == 2
    (letter,) = world.source.dead_letters.read()
    assert (letter.audit_record().user, letter.document) == ("u1", None)
    assert target.users == ["u0", "u2"]


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, world: World, target: Target) -> None:
    log = Log(world.log)
    for seconds in (-10 * 86400.0, 86400.0 * 365, -1.0):
        log.write(5)
        world.ship()
        world.clock.set(seconds)
        log.rename_and_flush(f"audit.log.{log.number}")
        log.write(5)
        world.ship()
    world.settle()
    assert target.users == log.users()
    assert world.source.remaining() == []
    world.crash()
    again = World(tmp_path, [target], world.clock)
    again.settle()
    assert len(target.users) == log.number


def test_a_held_segment_is_given_up_also_where_a_crash_came_before(
    tmp_path: Path, world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()
    log.rename_and_flush("audit.log.1")
    log.number = 100
    log.write(3)
    held = tmp_path / "state" / "held" / "main"
    monkeypatch.setattr(world.source.catalog, "finish", lambda _segment: None)
    world.settle()
    assert len(target.users) == 6
    assert len(list(held.iterdir())) == 2
    world.crash()
    again = World(tmp_path, [target], world.clock)
    again.settle()
    # Only what may still grow is held: the live log.
    (kept,) = held.iterdir()
    assert kept.samefile(world.log)
    assert len(target.users) == 6


def test_links_that_cannot_be_removed_end_nothing(
    tmp_path: Path, world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()

    def refused(_path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002, ARG001
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    log.rename_and_flush("audit.log.1")
    log.write(3)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refused)
        world.settle()
    assert target.users == log.users()
    world.crash()
    World(tmp_path, [target], world.clock).settle()
    assert len(list((tmp_path / "state" / "held" / "main").iterdir())) == 1
