"""Old records of the SQL sink are deleted in small pieces, on a real MariaDB."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sink.blocks import batch, failed_login
from sink.rigs.sql import ACCOUNT, SqlRig, on_mariadb

from shipper.clock import rfc3339, seconds_of
from shipper.model import AuditRecord
from shipper.notices import Mended, Notice, Trouble
from shipper.sink import Surroundings
from shipper.sink.sql_retention import PIECE_ROWS, REST_SECONDS

NOW = "2026-11-23T10:00:00Z"
DAY = 86400.0


class Clock:
    """Stands still until it is told to move."""

    def __init__(self) -> None:
        self.seconds = seconds_of(NOW)

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, _stop: threading.Event, _seconds: float) -> bool:
        raise AssertionError("sinks do not wait")


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SqlRig]:
    with on_mariadb(tmp_path) as rig:
        yield rig


def old(days: float) -> AuditRecord:
    return failed_login(at=rfc3339(seconds_of(NOW) - days * DAY))


def test_only_what_is_older_goes(rig: SqlRig) -> None:
    undated = old(0)
    undated.timestamp = None
    recent = [undated, old(6.9), old(0)]
    clock = Clock()
    with closing(rig.sink(Surroundings(clock), retention_seconds=7 * DAY)) as store:
        store.prepare()
        clock.seconds += REST_SECONDS
        store.deliver(batch(undated, old(100), old(7.1), *recent))
    # The first undated one came before records that were deleted; the other did not.
    assert rig.root("SELECT `offset` FROM audit_data ORDER BY id") == [(30,), (40,), (50,)]


def test_a_backlog_goes_in_pieces_at_twice_the_pace_of_new_records(rig: SqlRig) -> None:
    clock = Clock()
    with closing(rig.sink(Surroundings(clock))) as store:
        store.prepare()
        store.deliver(batch(*(old(30) for _ in range(2 * PIECE_ROWS + 500))))
    with closing(rig.sink(Surroundings(clock), retention_seconds=DAY)) as store:
        store.prepare()
        assert rig.count() == PIECE_ROWS + 500
        store.deliver(batch(old(0), start=50_000))
        assert rig.count() == 501
        store.deliver(batch(old(0), start=50_010))
        assert rig.count() == 2


def test_after_the_last_it_rests(rig: SqlRig) -> None:
    clock = Clock()
    with closing(rig.sink(Surroundings(clock), retention_seconds=DAY)) as store:
        store.prepare()
        store.deliver(batch(old(2)))
        assert rig.count() == 1
        clock.seconds += REST_SECONDS
        store.deliver(batch(old(0), start=10))
        assert rig.count() == 1


def test_a_missing_right_is_told_once_and_hinders_no_delivery(rig: SqlRig) -> None:
    clock, told = Clock(), list[Notice]()
    with closing(rig.sink(Surroundings(clock, told.append), retention_seconds=DAY)) as store:
        store.prepare()
        rig.root(f"REVOKE DELETE ON {rig.database}.* FROM {ACCOUNT}")
        store.close()
        for start in (0, 10):
            clock.seconds += REST_SECONDS
            assert store.deliver(batch(old(2), start=start)).new == 1
        (trouble,) = told
        assert isinstance(trouble, Trouble)
        assert "DELETE command denied" in trouble.detail
        rig.root(f"GRANT DELETE ON {rig.database}.* TO {ACCOUNT}")
        store.close()
        clock.seconds += REST_SECONDS
        store.deliver(batch(old(0), start=20))
        assert isinstance(told[-1], Mended)
        assert rig.count() == 1


def test_old_records_are_found_by_an_index(rig: SqlRig) -> None:
    with closing(rig.sink()) as store:
        store.prepare()
        store.deliver(batch(*(old(n / 100) for n in range(2000))))
    rig.root("ANALYZE TABLE audit_data")
    plan = rig.explain(
        "SELECT id FROM audit_data WHERE at < '2026-11-03T11:00:00Z' ORDER BY at LIMIT 1000"
    )
    assert (plan["type"], plan["key"]) == ("range", "audit_data_at")
