"""What `/metrics` says: names, accounting, and how much of it there can be."""

from __future__ import annotations

import re
import resource
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from clocks import FakeClock
from msgspec import structs
from observe.notices import delivery
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from servers import need

from shipper.counts import AuditCounts
from shipper.detect import Detector
from shipper.model import CONNECT, AuditRecord, Block, Span
from shipper.notices import (
    GAPS,
    REJECTIONS,
    Attempted,
    Delivered,
    Dropped,
    Filtered,
    Lost,
    Mended,
    Notice,
    Refused,
    Rejected,
    Rotated,
    Saved,
    Taken,
    Trouble,
    Truncated,
)
from shipper.observe.audit import Audited
from shipper.observe.families import FAMILIES, LEFT_OUT
from shipper.observe.metrics import DROPS, Metrics
from shipper.observe.pulled import Pending, Pulls
from shipper.sink.base import FAILURES, REFUSALS, Batch, Surroundings
from shipper.sink.counters import AuditCounters, Settings

# The names of the plan; a name may be left out only with a reason in LEFT_OUT.
PLANNED = Path(__file__).with_name("planned.txt").read_text(encoding="utf-8").split()


def made(pulls: Pulls | None = None) -> Metrics:
    metrics = Metrics(FakeClock(), pulls, version="1.0")
    metrics.expect("db", "index")
    return metrics


def told(*notices: Notice) -> Metrics:
    metrics = made()
    for notice in notices:
        metrics.hear(notice)
    return metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def counted(records: Iterable[AuditRecord], settings: Settings | None = None) -> AuditCounters:
    sink = AuditCounters(settings or Settings(), Surroundings(clock=FakeClock()))
    some = list(records)
    starts = list(range(0, 10 * len(some), 10))
    ends = [start + 10 for start in starts]
    sink.deliver(Batch("s", "audit.log", [Block(0, 10 * len(some), some, starts, ends, [])]))
    return sink


def test_every_planned_family_is_there_or_left_out_for_a_reason() -> None:
    missing = set(PLANNED) - set(FAMILIES)
    assert missing == set(LEFT_OUT) & set(PLANNED)
    assert not set(LEFT_OUT) & set(FAMILIES)


def test_what_is_exposed_is_what_the_table_says() -> None:
    metrics = made(Pulls(audited=lambda: [Audited("db", AuditCounts, Detector())]))
    exposed = {family.name: family for family in metrics.registry.collect()}
    for name, family in FAMILIES.items():
        found = exposed.pop(name.removesuffix("_total"))
        assert (found.type, found.documentation) == (family.type, family.help)
        labels = {frozenset(sample.labels) - {"le"} for sample in found.samples}
        assert labels <= {frozenset(family.labels)}, name
    # The client library's own, about the process.
    assert all(name.startswith("process_") for name in exposed)
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= exposed.keys()
    assert "process_start_time_seconds" in exposed  # the alert rules tell a new process by it


def test_promtool_finds_nothing_to_complain_about() -> None:
    promtool = need("promtool")
    detector = Detector()
    sink = counted([AuditRecord(kind=CONNECT, status=1045, user="bob", ip="10.0.0.9")])
    audited = [Audited("db", sink.view, detector)]
    metrics = made(Pulls(lambda: audited, lambda: [Pending("db", "index", 5)], lambda: 7))
    for notice in delivery():
        metrics.hear(notice)
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=generate_latest(metrics.registry),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_openmetrics_reads_back() -> None:
    text = generate_openmetrics(told(*delivery()).registry).decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert "audit_shipper_sink_records" in names
    assert not re.search(r"_created\b", text)


def test_closed_label_sets_are_there_before_anything_happens() -> None:
    metrics = made(Pulls(audited=lambda: [Audited("db", AuditCounts, Detector())]))
    zero = [
        ("mysql_audit_connects_total", {"event": "change_user"}),
        ("mysql_audit_detections_total", {"rule": "password_spray"}),
        ("mysql_audit_state_changes_total", {"state": "noaudit"}),
        ("audit_shipper_log_messages_total", {"level": "error"}),
        ("audit_shipper_sink_records_total", {"sink": "index"}),
    ]
    labels = {"event": "connect", "error_code": "1045", "error": "ER_ACCESS_DENIED_ERROR"}
    zero.append(("mysql_audit_connect_failures_total", labels))
    for reason in FAILURES:
        pair = {"sink": "index", "reason": reason}
        zero.append(("audit_shipper_sink_request_failures_total", pair))
    for reason in REFUSALS:
        pair = {"sink": "index", "reason": reason}
        zero.append(("audit_shipper_sink_dead_lettered_records_total", pair))
    for reason in GAPS:
        triple = {"source": "db", "sink": "index", "reason": reason}
        zero.append(("audit_shipper_source_gaps_total", triple))
    # The spool drops before any lane: no alert would see a series that begins with what was lost.
    dropped = "audit_shipper_sink_dropped_records_total"
    zero.extend((dropped, {"sink": "", "reason": reason}) for reason in DROPS)
    for name, wanted in zero:
        assert value(metrics, name, **wanted) == 0, (name, wanted)


@pytest.mark.parametrize(
    ("notice", "name", "labels"),
    [
        (Filtered("db", "index", "since", 3), "records_filtered_total", {"filter": "since"}),
        (Filtered("db", "index", "new", 3), "records_filtered_total", {"filter": "other"}),
        (
            Refused("db", "index", "mapping", 3, "x"),
            "sink_dead_lettered_records_total",
            {"reason": "mapping"},
        ),
        (Dropped("db", "index", "y", 3), "sink_dropped_records_total", {"reason": "other"}),
    ],
)
def test_records_that_do_not_arrive(notice: Notice, name: str, labels: dict[str, str]) -> None:
    metrics = told(Taken("db", "index", 5, 0, 100), notice)
    assert value(metrics, f"audit_shipper_{name}", sink="index", **labels) == 3
    assert value(metrics, "audit_shipper_sink_pending_records", sink="index") == 2


def test_attempts_and_their_failures() -> None:
    metrics = told(
        Attempted("db", "index", 0.2, "timeout", 1), Attempted("db", "index", 0.2, "novel", 2)
    )
    assert value(metrics, "audit_shipper_sink_requests_total", sink="index") == 2
    assert value(metrics, "audit_shipper_sink_retries_total", sink="index") == 1
    for reason in ("timeout", "other"):
        name = "audit_shipper_sink_request_failures_total"
        assert value(metrics, name, sink="index", reason=reason) == 1
    assert value(metrics, "audit_shipper_sink_up", sink="index") == 0
    metrics.hear(Attempted("db", "index", 0.2, None, 3))
    assert value(metrics, "audit_shipper_sink_up", sink="index") == 1
    metrics.hear(Trouble("db", "index", "cannot deliver", down=True))
    assert value(metrics, "audit_shipper_sink_up", sink="index") == 0


def test_a_target_is_not_down_for_what_is_only_worth_knowing() -> None:
    """No retention, an archive without a password: with nothing to deliver, that was down."""
    metrics = told(Trouble("", "index", "setup: no plugin"))
    assert value(metrics, "audit_shipper_sink_up", sink="index") is None
    metrics.hear(Attempted("db", "index", 0.2, None, 1))
    metrics.hear(Trouble("db", "index", "cannot read audit.log.gz"))
    assert value(metrics, "audit_shipper_sink_up", sink="index") == 1


def test_a_target_that_can_be_prepared_again_is_up_before_anything_is_delivered() -> None:
    metrics = told(Trouble("db", "index", "cannot prepare the target", down=True))
    metrics.hear(Mended("db", "index", "can prepare the target again", down=True))
    assert value(metrics, "audit_shipper_sink_up", sink="index") == 1


def test_a_target_that_refused_is_unknown_when_it_is_asked_anew() -> None:
    metrics = told(Trouble("db", "index", "wrong password", down=True))
    metrics.expect("db", "index")
    assert value(metrics, "audit_shipper_sink_up", sink="index") is None


def test_what_happens_to_files() -> None:
    metrics = told(
        Rotated("db", "audit.log"),
        Truncated("db", "audit.log", 1, 2),
        Lost("db", "index", "s", Span(10, 30), "truncated_unread"),
        Saved("db", "index", "s", 40),
    )
    assert value(metrics, "audit_shipper_source_rotations_total", source="db") == 1
    assert value(metrics, "audit_shipper_source_truncations_total", source="db") == 1
    where = {"source": "db", "sink": "index"}
    assert value(metrics, "audit_shipper_source_gap_bytes_total", **where) == 20
    assert (
        value(metrics, "audit_shipper_checkpoint_timestamp_seconds", **where) == FakeClock().now()
    )


def test_a_late_batch_does_not_move_the_acknowledged_time_back() -> None:
    older = Delivered("db", "index", 1, 0, 10, "2026-11-23T09:00:00Z")
    metrics = told(*delivery(), older)
    name = "audit_shipper_sink_acked_record_timestamp_seconds"
    assert value(metrics, name, sink="index") == 1795428000


def test_a_time_that_is_not_known_is_not_1970() -> None:
    text = generate_latest(made().registry).decode()
    assert 'audit_shipper_sink_acked_record_timestamp_seconds{sink="index"}' not in text


def test_records_pending_when_a_lane_stops_are_returned() -> None:
    metrics = told(Taken("db", "index", 7, 0, 100))
    metrics.expect("db", "index")
    assert value(metrics, "audit_shipper_sink_returned_records_total", sink="index") == 7
    assert value(metrics, "audit_shipper_sink_pending_records", sink="index") == 0


def test_senders_that_were_sent_away() -> None:
    metrics = told(Rejected("db", "novel", 3, "x"), Rejected("db", REJECTIONS[0], 2, "x"))
    name = "audit_shipper_source_rejections_total"
    assert value(metrics, name, source="db", reason="other") == 3
    assert value(metrics, name, source="db", reason=REJECTIONS[0]) == 2


def test_a_reload() -> None:
    metrics = made()
    metrics.reloaded(good=False)
    assert value(metrics, "audit_shipper_config_last_reload_successful") == 0


def test_several_sources_add_up() -> None:
    sinks = [counted([AuditRecord(kind=CONNECT, status=1045, user="bob", ip="::1")])] * 2
    metrics = made(Pulls(audited=lambda: [Audited(f"db{n}", s.view) for n, s in enumerate(sinks)]))
    name = "mysql_audit_connect_failures_by_account_total"
    assert value(metrics, name, user="bob") == 2


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _million() -> Iterable[list[AuditRecord]]:
    at = 0
    while at < 1_000_000:
        yield [
            AuditRecord(
                kind=CONNECT,
                status=1045,
                timestamp="2026-11-23T10:00:00Z",
                user=f"user{number}" if number else "",
                ip=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            )
            for number in range(at, at + 10_000)
        ]
        at += 10_000


@pytest.mark.timeout(600)  # ten seconds on a quiet machine
def test_a_million_users_and_addresses_are_few_series_and_little_memory() -> None:
    # At worst: all families full, our own words among them, and addresses that try two accounts.
    settings = Settings(trusted_proxies=("10.0.0.0/29",))
    sink, detector = AuditCounters(settings, Surroundings(clock=FakeClock())), Detector()
    metrics = made(Pulls(audited=lambda: [Audited("db", sink.view, detector)]))
    twice = [
        structs.replace(each, user=user) for each in next(iter(_million()))[:99] for user in "ab"
    ]
    offsets = list(range(len(twice)))
    detector.see(Block(0, len(twice), twice, offsets, [each + 1 for each in offsets], []))
    sizes, resident, offset = [], [], 0
    for records in _million():
        starts = list(range(offset, offset + len(records)))
        ends = [start + 1 for start in starts]
        offset += len(records)
        sink.deliver(Batch("s", "a", [Block(starts[0], offset, records, starts, ends, [])]))
        if offset % 100_000 == 0:
            sizes.append(len(sink.dump()))
            resident.append(_resident_bytes())
    series = [line for line in generate_latest(metrics.registry).splitlines() if line[:1] != b"#"]
    assert len(series) <= 500
    assert max(sizes) - sizes[0] < 200
    # After the first 200,000 all memos are full.
    assert resident[-1] - resident[1] < 8 * 1024 * 1024
    table = sink.view().by_account
    assert sum(tally.count for tally in table.values()) == 1_000_000
    assert {"__other__", "__none__"} < set(table)
    assert {"__other__", "__proxy__"} < set(sink.view().by_source)
    untracked = sink.view().untracked
    rest = 1_000_000 - settings.series_max - 1
    assert untracked["mysql_audit_connect_failures_by_account_total", "max_series"] == rest
