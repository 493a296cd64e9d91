"""Old records of the SQL stores are deleted in small pieces: SQLite, and a real MariaDB."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sink.blocks import batch, failed_login
from sink.rigs.files import SqliteRig, sqlite
from sink.rigs.sql import ACCOUNT, SqlRig, on_mariadb

from shipper.clock import rfc3339, seconds_of
from shipper.config import load
from shipper.errors import ConfigError
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
def server(tmp_path: Path) -> Iterator[SqlRig]:
    with on_mariadb(tmp_path) as rig:
        yield rig


@pytest.fixture(params=[sqlite, on_mariadb])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlRig | SqliteRig]:
    with request.param(tmp_path) as rig:
        yield rig


def offsets(rig: SqlRig | SqliteRig) -> list[int]:
    return sorted(offset for _, offset in rig.held())


def old(days: float) -> AuditRecord:
    return failed_login(at=rfc3339(seconds_of(NOW) - days * DAY))


def test_only_what_is_older_goes(rig: SqlRig | SqliteRig) -> None:
    recent = [old(6.9), old(0)]
    clock = Clock()
    with closing(rig.sink(Surroundings(clock), retention_seconds=7 * DAY)) as store:
        store.prepare()
        clock.seconds += REST_SECONDS
        store.deliver(batch(old(100), old(7.1), *recent))
    assert offsets(rig) == [20, 30]


def test_an_archive_that_comes_late_takes_no_undated_record_along(rig: SqlRig | SqliteRig) -> None:
    undated = old(0)
    undated.timestamp = None
    clock = Clock()
    with closing(rig.sink(Surroundings(clock), retention_seconds=7 * DAY)) as store:
        store.prepare()
        for records, start in (([old(0), undated], 0), ([old(2000), old(1999)], 100)):
            clock.seconds += REST_SECONDS
            store.deliver(batch(*records, start=start))
    assert offsets(rig) == [0, 10]


def test_a_backlog_goes_in_pieces_at_twice_the_pace_of_new_records(rig: SqlRig | SqliteRig) -> None:
    clock = Clock()
    with closing(rig.sink(Surroundings(clock))) as store:
        store.prepare()
        store.deliver(batch(*(old(30) for _ in range(2 * PIECE_ROWS + 500))))
    with closing(rig.sink(Surroundings(clock), retention_seconds=DAY)) as store:
        store.prepare()
        assert len(offsets(rig)) == PIECE_ROWS + 500
        store.deliver(batch(old(0), start=50_000))
        assert len(offsets(rig)) == 501
        store.deliver(batch(old(0), start=50_010))
        assert len(offsets(rig)) == 2


def test_after_the_last_it_rests(rig: SqlRig | SqliteRig) -> None:
    clock = Clock()
    with closing(rig.sink(Surroundings(clock), retention_seconds=DAY)) as store:
        store.prepare()
        store.deliver(batch(old(2)))
        assert len(offsets(rig)) == 1
        clock.seconds += REST_SECONDS
        store.deliver(batch(old(0), start=10))
        assert len(offsets(rig)) == 1


def test_a_missing_right_is_told_once_and_hinders_no_delivery(server: SqlRig) -> None:
    clock, told = Clock(), list[Notice]()
    with closing(server.sink(Surroundings(clock, told.append), retention_seconds=DAY)) as store:
        store.prepare()
        server.root(f"REVOKE DELETE ON {server.database}.* FROM {ACCOUNT}")
        store.close()
        for start in (0, 10):
            clock.seconds += REST_SECONDS
            assert store.deliver(batch(old(2), start=start)).new == 1
        (trouble,) = told
        assert isinstance(trouble, Trouble)
        assert "DELETE command denied" in trouble.detail
        server.root(f"GRANT DELETE ON {server.database}.* TO {ACCOUNT}")
        store.close()
        clock.seconds += REST_SECONDS
        store.deliver(batch(old(0), start=20))
        assert isinstance(told[-1], Mended)
        assert server.count() == 1


def test_old_records_are_found_by_an_index(server: SqlRig) -> None:
    with closing(server.sink()) as store:
        store.prepare()
        store.deliver(batch(*(old(n / 100) for n in range(2000))))
    server.root("ANALYZE TABLE audit_data")
    plan = server.explain(
        "SELECT id FROM audit_data WHERE at < '2026-11-03T11:00:00Z' ORDER BY at LIMIT 1000"
    )
    assert (plan["type"], plan["key"]) == ("range", "audit_data_at")


def test_sqlite_finds_old_records_by_an_index(tmp_path: Path) -> None:
    with sqlite(tmp_path) as rig, closing(rig.sink()) as store:
        store.prepare()
        query = "SELECT id FROM audit_data WHERE at < '2026-11-03' ORDER BY at LIMIT 1000"
        with closing(sqlite3.connect(rig.path)) as connection:
            plan = connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
    assert ["audit_data_at" in step[3] for step in plan] == [True]


def test_a_store_that_keeps_its_rows_hinders_no_delivery(tmp_path: Path) -> None:
    clock, told = Clock(), list[Notice]()
    trigger = "BEFORE DELETE ON audit_data BEGIN SELECT RAISE(ABORT, 'an archive'); END"
    with sqlite(tmp_path) as rig:
        around = Surroundings(clock, told.append)
        with closing(rig.sink(around, retention_seconds=DAY)) as store:
            store.prepare()
            clock.seconds += REST_SECONDS
            with closing(sqlite3.connect(rig.path)) as connection:
                connection.execute(f"CREATE TRIGGER keep {trigger}")
                assert store.deliver(batch(old(2))).new == 1
                connection.execute("DROP TRIGGER keep")
            (trouble,) = told
            assert isinstance(trouble, Trouble)
            assert trouble.detail == "old records cannot be deleted: an archive"
            clock.seconds += REST_SECONDS
            store.deliver(batch(old(0), start=20))
            assert isinstance(told[-1], Mended)
            assert offsets(rig) == [20]


@pytest.mark.parametrize(
    "more", [{"type": "sqlite", "path": "a.db"}, {"type": "sql", "url": "mysql://a@127.0.0.1/b"}]
)
def test_a_mistaken_unit_is_refused(more: dict[str, str]) -> None:
    sink = {**more, "retention_seconds": 1}
    config = {"state": "/s", "sources": [{"type": "file", "path": "/a.log"}], "sinks": [sink]}
    with pytest.raises(ConfigError, match="retention_seconds must be 60 or more"):
        load(json.dumps(config), {}, lambda _path: "")
