"""The program's own log."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from clocks import FakeClock
from msgspec import structs

from shipper import notices
from shipper.detection import Detection, Sample
from shipper.notices import Delivered, Detected, Notice, Trouble, Waiting
from shipper.observe import logs
from shipper.observe.logs import LINES_MAX, Log

EVIL = "no\n2026 ERROR forged \x1b[2J"
SAMPLES = (Sample("s", 1), Sample("s", 9))
BURST = Detection(
    "source_burst", Sample("s", 9), 20, 5, 9, source="203.0.113.9\x1b", samples=SAMPLES
)


def written(*told: Notice, **how: Any) -> list[str]:
    lines: list[str] = []
    log = Log(lines.append, FakeClock(), **{"as_json": False, **how})
    for notice in told:
        log.hear(notice)
    return lines


def test_a_line_for_a_person() -> None:
    (line,) = written(Waiting("db", "index", "connection refused", 2.5, 3))
    assert line == (
        "2027-01-15T08:00:00.000Z WARNING waiting source=db sink=index connection refused"
        " seconds=2.5 attempt=3"
    )


def test_a_line_for_a_collector() -> None:
    (line,) = written(Trouble("db", "index", EVIL), as_json=True)
    assert line.isprintable()
    assert json.loads(line) == {
        "time": "2027-01-15T08:00:00.000Z",
        "level": "error",
        "event": "trouble",
        "source": "db",
        "sink": "index",
        "detail": EVIL,
    }


def test_nothing_of_a_log_moves_the_cursor_or_forges_a_line() -> None:
    for line in written(Trouble("db", "index", EVIL), Detected("db", BURST)):
        assert line.isprintable()


def test_a_finding() -> None:
    (line,) = written(Detected("db", BURST))
    assert "many refused logins from one address" in line
    pairs = dict(re.findall(r" (\w+)=(\S+)", line))
    assert (pairs["log"], pairs["count"], pairs["rule"]) == ("db", "20", "source_burst")
    assert pairs["first"] < pairs["last"]
    assert pairs["samples"] == ",".join(f"{at.segment}-{at.offset}" for at in BURST.samples)
    named = structs.replace(BURST, user="x rule=success_after_burst", sources=("a=b",))
    (line,) = written(Detected("db", named))
    assert line.count(" rule=") == 2  # the rule, and inside the quotes of `user`
    assert ' user="x rule=success_after_burst" ' in line
    (line,) = written(Detected("db", BURST), as_json=True)
    found = json.loads(line)
    assert (found["event.kind"], found["rule.name"]) == ("alert", "source_burst")
    assert found["mysql.audit.alert.count"] == 20


def test_a_storm_is_held_back_and_counted() -> None:
    clock, lines = FakeClock(), list[str]()
    levels: Counter[str] = Counter()
    log = Log(lines.append, clock, as_json=True, count=lambda level: levels.update([level]))
    for _ in range(1000):
        log.hear(Waiting("db", "index", "x", 1, 1))
        log.hear(Trouble("db", "index", "y"))
    assert len(lines) == 2 * LINES_MAX
    assert levels == {"warning": 1000, "error": 1000}
    clock.move(60)
    log.hear(Waiting("db", "index", "x", 1, 1))
    assert json.loads(lines[-1])["held_back"] == 1000 - LINES_MAX


def test_a_storm_about_one_lane_hides_nothing_of_another() -> None:
    lines: list[str] = []
    log = Log(lines.append, FakeClock(), as_json=True)
    for number in range(1000):
        log.hear(Trouble("main", "", f"cannot read archive {number}"))
    log.hear(Trouble("main", "sqlite", "cannot deliver"))
    log.hear(Trouble("other", "", "cannot read"))
    told = [(line["source"], line.get("sink")) for line in map(json.loads, lines[LINES_MAX:])]
    assert told == [("main", "sqlite"), ("other", None)]


def test_levels() -> None:
    delivered = Delivered("db", "index", 1, 0, 10, None)
    assert written(delivered) == []
    assert len(written(delivered, level="debug")) == 1
    assert written(Waiting("db", "index", "x", 1, 1), level="error") == []


def test_every_kind_of_notice_has_its_level() -> None:
    kinds = {each for each in vars(notices).values() if isinstance(each, type)}
    kinds = {each for each in kinds if issubclass(each, Notice)} - {Notice}
    assert kinds == set(logs._LEVELS)  # noqa: SLF001 the table itself
