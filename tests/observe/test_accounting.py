"""The books balance: at every scrape of a run with faults, for each sink."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from clocks import FakeClock
from lane.logs import Log
from lane.world import SETTLE, Target, World, unavailable

from shipper.model import AuditRecord
from shipper.notices import Notice, Taken
from shipper.observe.metrics import Metrics

TAKEN = "audit_shipper_sink_taken_records_total"
LEFT = (
    "audit_shipper_records_filtered_total",
    "audit_shipper_sink_records_total",
    "audit_shipper_sink_duplicate_records_total",
    "audit_shipper_sink_dead_lettered_records_total",
    "audit_shipper_sink_dropped_records_total",
    "audit_shipper_sink_returned_records_total",
    "audit_shipper_sink_pending_records",
)


def books(metrics: Metrics) -> dict[str, Counter[str]]:
    """By sink, the sum of each family."""
    found: dict[str, Counter[str]] = {}
    for family in metrics.collect():
        for sample in family.samples:
            if sample.name in (TAKEN, *LEFT):
                found.setdefault(sample.labels["sink"], Counter())[sample.name] += int(sample.value)
    return found


def assert_balanced(metrics: Metrics) -> None:
    for sink, sums in books(metrics).items():
        assert sums[TAKEN] == sum(sums[name] for name in LEFT), (sink, sums)
        assert sums["audit_shipper_sink_pending_records"] >= 0


def _odd(record: AuditRecord) -> bool:
    return record.user is not None and record.user.endswith("7")


def test_every_scrape_of_a_run_with_faults_adds_up(tmp_path: Path) -> None:
    targets = [Target(), Target()]
    chance = random.Random(4)
    clock, metrics = FakeClock(), Metrics(FakeClock())
    (tmp_path / "logs").mkdir()
    log = Log(tmp_path / "logs" / "audit.log")
    heard = 0

    def listen(world: World) -> None:
        """Scrape after every single notice, as a scrape may come at any moment."""
        nonlocal heard
        for notice in world.notices:
            metrics.hear(notice)
            assert_balanced(metrics)
            heard += 1
        world.notices.clear()

    for _life in range(4):
        world = World(tmp_path, targets, clock)
        for index in range(len(targets)):
            metrics.expect("main", f"sink{index}")
            assert_balanced(metrics)
        for sink in world.sinks:
            sink.refuse = _odd
            sink.before = [unavailable] * chance.randint(0, 3)
        for _step in range(5):
            log.write(chance.randint(1, 60))
            if chance.random() < 0.3:
                log.rotate_by_size()
            world.ship()
            listen(world)
        world.crash()
    world = World(tmp_path, targets, clock)
    for index in range(len(targets)):
        metrics.expect("main", f"sink{index}")
    world.ship()
    clock.move(3 * SETTLE)
    world.settle()
    listen(world)

    assert heard > 100
    for index, target in enumerate(targets):
        sums = books(metrics)[f"sink{index}"]
        assert sums["audit_shipper_sink_pending_records"] == 0
        assert sums["audit_shipper_sink_dead_lettered_records_total"] > 0
        assert sums["audit_shipper_sink_records_total"] == len(target.held)
        assert (
            sums["audit_shipper_sink_records_total"]
            + sums["audit_shipper_sink_dead_lettered_records_total"]
            == log.number
        )


def test_pending_is_what_was_taken_and_not_yet_told() -> None:
    metrics = Metrics(FakeClock())
    notice: Notice = Taken("db", "index", 3, 0, 10)
    metrics.hear(notice)
    assert_balanced(metrics)
    assert books(metrics)["index"]["audit_shipper_sink_pending_records"] == 3
