"""Lanes of one source stay together: what is read is decoded once, and nobody waits for long."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lane.logs import Log
from lane.world import FaultySink, Target, World

import shipper.lane.feed as feed_module
from shipper.lane.feed import Feed
from shipper.lane.reader import Reader, Step
from shipper.notices import Saved
from shipper.sink import Batch, Receipt

ROWS = 25_000  # some 2.5 MB: 20 blocks, so more than the cache holds
LONG = 60.0  # on any machine, the other lane moves within that
SHORT = 0.01


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where each block was decoded that a reader ever gave out."""
    taken: list[int] = []
    step = Reader.step

    def counted(reader: Reader) -> Step | None:
        begin = reader.position
        found = step(reader)
        if found is not None:
            taken.append(begin)
        return found

    monkeypatch.setattr(Reader, "step", counted)
    return taken


@pytest.fixture
def decoders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lanes that decoded a block, each time."""
    taken: list[str] = []
    take, step = Feed.take, Reader.step
    asking = threading.local()

    def named(feed: Feed, lane: str, *arguments: Any) -> Step | None:
        asking.lane = lane
        return take(feed, lane, *arguments)

    def counted(reader: Reader) -> Step | None:
        found = step(reader)
        if found is not None and found.block.records:
            taken.append(asking.lane)
        return found

    monkeypatch.setattr(Feed, "take", named)
    monkeypatch.setattr(Reader, "step", counted)
    return taken


def patience(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(feed_module, "PATIENCE_SECONDS", seconds)
    monkeypatch.setattr(feed_module, "BEGIN_SECONDS", seconds)


@contextmanager
def running(world: World) -> Iterator[None]:
    """Run the lanes as a daemon does, each in a thread."""
    world.source.catalog.poll()
    threads = [threading.Thread(target=lane.run) for lane in world.source.lanes]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        world.source.halt()
        for thread in threads:
            thread.join()


def until(true: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(LONG / SHORT)):
        if true():
            return
        pause.wait(SHORT)
    pytest.fail("it did not happen")


def test_each_block_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    patience(monkeypatch, LONG)
    targets = Target(), Target()
    world = World(tmp_path, targets)
    log = Log(world.log)
    log.write(ROWS)
    world.sinks[1].batch_bytes = 1024 * 1024  # one takes small batches, the other large ones
    with running(world):
        until(lambda: world.source.idle)
    assert [target.users for target in targets] == [log.users()] * 2
    assert len(steps) > feed_module.CACHE_BLOCKS
    assert len(steps) == len(set(steps))


def test_a_block_is_let_go_when_all_lanes_have_it(tmp_path: Path) -> None:
    others = _kept()  # of worlds before this one, which the collector of cycles has not met yet
    world = World(tmp_path, [Target(), Target()])
    Log(world.log).write(ROWS // 5)
    ahead, behind = world.source.lanes
    world.source.catalog.poll()
    ahead.turn()
    ahead.turn()
    assert len(_kept() - others) == 2
    behind.turn()
    assert len(_kept() - others) == 1
    world.ship()
    assert not _kept() - others


def _kept() -> set[int]:
    """Blocks of any log that are alive, by where they are."""
    steps = [each for each in gc.get_objects() if isinstance(each, Step)]
    return {id(each.block) for each in steps if each.block.records}


def test_a_lane_that_begins_late_finds_the_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    patience(monkeypatch, LONG)
    world = World(tmp_path, [Target(), Target()])
    log = Log(world.log)
    log.write(ROWS)
    ahead, late = world.source.lanes
    world.source.catalog.poll()
    threads = [threading.Thread(target=lane.run) for lane in (ahead, late)]
    threads[0].start()
    until(lambda: len(steps) == feed_module.CACHE_BLOCKS)
    threads[1].start()
    until(lambda: world.source.idle)
    world.source.halt()
    for thread in threads:
        thread.join()
    assert len(steps) == len(set(steps))


def test_a_dead_target_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience(monkeypatch, SHORT)
    targets, mended = (Target(), Target()), threading.Event()
    world = World(tmp_path, targets)
    log = Log(world.log)
    log.write(ROWS)

    def dead(_batch: Batch) -> None:
        mended.wait(LONG)

    world.sinks[1].before = [dead]
    with running(world):
        until(lambda: len(targets[0].users) == ROWS)
        assert targets[1].users == []
        mended.set()
        until(lambda: world.source.idle)
    assert targets[1].users == log.users()


def test_an_end_is_not_held_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second lane never begins; the first waits for it, and is told to stop."""
    patience(monkeypatch, LONG)
    world = World(tmp_path, [Target(), Target()])
    Log(world.log).write(ROWS)
    world.source.catalog.poll()
    thread = threading.Thread(target=world.source.lanes[0].run)
    thread.start()
    until(lambda: len(world.sinks[0].target.users) > 1)
    world.source.halt()
    thread.join(LONG)
    assert not thread.is_alive()


class Counting(FaultySink):
    """A sink whose count is saved with the position."""

    count = 0
    urgent = False
    finds = False  # something with every delivery

    def deliver(self, batch: Batch) -> Receipt:
        self.count += batch.count
        self.urgent = self.finds
        return super().deliver(batch)

    def dump(self) -> bytes:
        return b"%d" % self.count

    def load(self, state: bytes) -> None:
        self.count = int(state)


def counting(folder: Path) -> tuple[World, Counting]:
    world = World(folder, [Target()], kinds=[Counting])
    (sink,) = world.sinks
    assert isinstance(sink, Counting)
    return world, sink


def test_counts_are_committed_when_there_is_nothing_more_to_read(tmp_path: Path) -> None:
    world, sink = counting(tmp_path)
    Log(world.log).write(ROWS)
    world.ship()
    assert sink.count == ROWS
    assert sink.target.deliveries > 10
    assert len(world.told(Saved)) == 1
    assert world.source.idle


@pytest.mark.parametrize("turns", [1, 7, 15])
def test_what_was_counted_and_not_committed_is_counted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """The process dies at any moment: the count is that of the committed position."""
    monkeypatch.setattr("shipper.lane.run.COMMIT_BYTES", 300_000)
    world, _ = counting(tmp_path)
    Log(world.log).write(ROWS)
    world.source.catalog.poll()
    for _ in range(turns):
        world.source.lanes[0].turn()
    world.crash()
    after, sink = counting(tmp_path)
    assert sink.count < ROWS
    after.ship()
    assert sink.count == ROWS


def test_a_delivery_in_which_something_was_found_is_committed_at_once(tmp_path: Path) -> None:
    """The findings log knows again what one delivery brought, and no more than that."""
    world, sink = counting(tmp_path)
    sink.finds = True
    Log(world.log).write(ROWS)
    world.ship()
    assert len(world.told(Saved)) >= sink.target.deliveries > 10
    assert not sink.urgent


def test_a_lane_that_only_counts_follows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: list[str]
) -> None:
    """Blocks are decoded by the lane that encodes them."""
    patience(monkeypatch, LONG)
    monkeypatch.setattr(feed_module, "FOLLOW_SECONDS", LONG)
    world = World(tmp_path, [Target(), Target()], kinds=[Counting, FaultySink])
    log = Log(world.log)
    log.write(ROWS)
    with running(world):
        until(lambda: world.source.idle)
    assert set(decoders) == {world.source.lanes[1].name}
    counting = world.sinks[0]
    assert isinstance(counting, Counting)
    assert counting.count == ROWS


def test_a_lane_that_stands_still_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience(monkeypatch, SHORT)
    monkeypatch.setattr(feed_module, "FOLLOW_SECONDS", SHORT)
    world = World(tmp_path, [Target(), Target()], kinds=[Counting, FaultySink])
    Log(world.log).write(ROWS)
    mended = threading.Event()

    def dead(_batch: Batch) -> None:
        mended.wait(LONG)

    world.sinks[1].before = [dead]
    counting = world.sinks[0]
    assert isinstance(counting, Counting)
    with running(world):
        until(lambda: counting.count == ROWS)
        assert not world.sinks[1].target.users
        mended.set()
        until(lambda: world.source.idle)
