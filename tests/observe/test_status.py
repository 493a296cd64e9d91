"""The status page and its document, without a daemon."""

from __future__ import annotations

import json
from typing import Any

import pytest
from clocks import FakeClock
from report.failing import HOSTILE_NAMES

from shipper.detection import Detection, Sample
from shipper.model import CONNECT, QUERY, AuditRecord, Span
from shipper.notices import (
    Attempted,
    Delivered,
    Detected,
    Lost,
    Mended,
    Notice,
    Refused,
    Trouble,
    Waiting,
)
from shipper.observe import recent as recently
from shipper.observe.recent import BUCKET_SECONDS, BUCKETS, Recent
from shipper.observe.routes import Request
from shipper.observe.status import (
    LaneStatus,
    SegmentStatus,
    SourceStatus,
    Standing,
    make_document,
    status_routes,
)


def record(user: str = "root", status: int | None = 1045, kind: str = CONNECT) -> AuditRecord:
    return AuditRecord(
        kind=kind,
        name="Connect",
        format="percona-json",
        timestamp="2026-03-01T10:00:00Z",
        status=status,
        user=user,
        ip="203.0.113.9",
    )


def standing(**changes: Any) -> Standing:
    source = SourceStatus(
        **(
            {
                "name": "audit",
                "segments": [SegmentStatus("/var/audit.log", 100, 60, closed=False)],
                "lanes": [LaneStatus("search", 40)],
                "counted": True,
            }
            | changes
        )
    )
    return Standing("1.0", "db-1", [source])


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def recent(clock: FakeClock) -> Recent:
    return Recent(clock)


def page(recent: Recent, clock: FakeClock, **changes: Any) -> str:
    routes = status_routes(lambda: standing(**changes), recent, clock)
    return routes["/status"].answer(Request("/status", "")).body.decode()


def document(recent: Recent, clock: FakeClock, **changes: Any) -> Any:
    routes = status_routes(lambda: standing(**changes), recent, clock)
    return json.loads(routes["/status.json"].answer(Request("/status.json", "")).body)


def test_all_is_well(recent: Recent, clock: FakeClock) -> None:
    assert "All is well." in page(recent, clock)
    assert document(recent, clock)["problems"] == []


def test_both_need_the_password_that_metrics_need(recent: Recent, clock: FakeClock) -> None:
    assert not any(route.public for route in status_routes(standing, recent, clock).values())


def test_replies_forbid_everything_that_a_page_could_load(recent: Recent, clock: FakeClock) -> None:
    for route in status_routes(standing, recent, clock).values():
        headers = dict(route.answer(Request("", "")).headers)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_text_and_bounded(recent: Recent, clock: FakeClock, name: str) -> None:
    recent.see([record(name)], "audit")
    found = Detection("source_burst", Sample(name, 1), 20, 1, 2, user=name, source=name)
    recent.hear(Detected("audit", found))
    recent.hear(Trouble("audit", "search", name))
    recent.hear(Refused("audit", "search", "mapping", 1, name))
    text = page(recent, clock)
    assert "<script" not in text
    assert not set(text) & set("\x1b\x9b\u202e\u202c\ud800\r")
    assert len(text) < 40_000
    raw = status_routes(standing, recent, clock)["/status.json"].answer(Request("", "")).body
    assert not set(raw.decode()) & set("\x1b\x9b\u202e\u202c\r")
    assert json.loads(raw)["logins"]["refused"][0]["count"] == 1


def test_the_same_refusal_is_one_line_with_a_count(recent: Recent) -> None:
    recent.see([record(), record("app"), record()], "audit")
    assert [(one.user, one.count) for one in recent.refused()] == [("root", 2), ("app", 1)]


def test_only_refused_logins_are_refused_logins(recent: Recent) -> None:
    others = (record(status=0), record(kind=QUERY), record("", 1158))
    recent.see(others, "audit")
    assert recent.refused() == []
    assert sum(recent.refusals()) == 0


def test_memory_is_bounded_whatever_a_log_says(recent: Recent) -> None:
    for number in range(3 * recently.REFUSED_MAX):
        recent.see([record(f"user{number}")], "audit")
        found = Detection("source_burst", Sample("s", number), 20, 1, 2)
        recent.hear(Detected("audit", found))
        recent.hear(Trouble("audit", f"sink{number}", "x" * 10_000))
    assert len(recent.refused()) == recently.REFUSED_MAX
    assert len(recent.findings()) == recently.FINDINGS_MAX
    events = recent.events()
    assert len(events) == recently.TROUBLES_MAX
    assert max(len(one.text) for one in events) == recently.TEXT_MAX
    assert recent.refused()[0].user == f"user{3 * recently.REFUSED_MAX - 1}"


def delivered(records: int, newest: str | None = None) -> Notice:
    return Delivered("audit", "search", records, 0, 100, newest)


def test_lag_is_the_age_of_the_newest_where_something_waits(
    recent: Recent, clock: FakeClock
) -> None:
    (lane,) = document(recent, clock)["sources"][0]["lanes"]
    assert (lane["behind_seconds"], lane["tried"]) == (None, False)
    newest = recently.seconds_of("2026-03-01T10:00:00Z")
    recent.hear(Attempted("audit", "search", 0.1, None, 1))
    recent.hear(delivered(3, "2026-03-01T10:00:00Z"))
    recent.hear(delivered(2, "2026-03-01T09:00:00Z"))
    made = make_document(standing(), recent, newest + 90)
    (lane,) = made["sources"][0]["lanes"]
    assert (lane["behind_seconds"], lane["records"]) == (90, 5)
    assert made["problems"] == []
    late = make_document(standing(), recent, newest + 301)["problems"]
    assert late == [{"level": "warn", "text": "search is 301 s behind audit"}]
    made = make_document(standing(lanes=[LaneStatus("search", 0)]), recent, newest + 90)
    assert made["sources"][0]["lanes"][0]["behind_seconds"] == 0


def test_a_failure_is_a_problem_until_it_is_over(recent: Recent, clock: FakeClock) -> None:
    recent.hear(Attempted("audit", "search", 0.1, "timeout", 1))
    recent.hear(Waiting("audit", "search", "it does not answer", 3.0, 1))
    (problem,) = document(recent, clock)["problems"]
    assert problem == {"level": "bad", "text": "search takes nothing from audit: timeout"}
    recent.hear(Attempted("audit", "search", 0.1, None, 2))
    assert document(recent, clock)["problems"] == []
    recent.hear(Trouble("audit", "search", "no right to write"))
    assert document(recent, clock)["problems"] != []
    recent.hear(Mended("audit", "search", "it works"))
    recent.hear(Attempted("audit", "search", 0.1, None, 3))
    assert document(recent, clock)["problems"] == []
    assert [one["kind"] for one in document(recent, clock)["events"]] == [
        "mended",
        "trouble",
        "waiting",
    ]


def test_a_thread_that_ended_and_a_loss_are_shown(recent: Recent, clock: FakeClock) -> None:
    recent.hear(Lost("audit", "search", "s", Span(10, 30), "rotated_file_missing"))
    text = page(recent, clock, failed=["the disk is on fire"])
    assert "audit: the disk is on fire" in text
    assert "20 bytes lost (rotated_file_missing)" in text


def test_a_finding_is_a_problem_for_an_hour(recent: Recent, clock: FakeClock) -> None:
    recent.hear(Detected("audit", Detection("password_spray", Sample("s", 1), 9, 1, 2)))
    assert [one["level"] for one in document(recent, clock)["problems"]] == ["bad"]
    clock.move(3601)
    assert document(recent, clock)["problems"] == []
    assert len(document(recent, clock)["findings"]) == 1


def test_rates_move_with_the_clock(recent: Recent, clock: FakeClock) -> None:
    recent.hear(delivered(3))
    assert recent.rate("audit", "search")[-1] == 3
    clock.move(2 * BUCKET_SECONDS)
    recent.hear(delivered(4))
    assert recent.rate("audit", "search")[-3:] == [3, 0, 4]
    clock.move(BUCKETS * BUCKET_SECONDS)
    assert sum(recent.rate("audit", "search")) == 0


def test_what_is_not_counted_is_said_to_be_so(recent: Recent, clock: FakeClock) -> None:
    assert "a sink of type metrics" in page(recent, clock, counted=False)


def test_segments_are_bounded_and_their_number_told(recent: Recent, clock: FakeClock) -> None:
    many = [SegmentStatus(f"/var/audit.log.{n}", 10, 10, closed=True) for n in range(200)]
    text = page(recent, clock, segments=many)
    assert "and 150 older ones" in text
    assert "/var/audit.log.199" in text
