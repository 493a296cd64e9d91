"""The embedded store."""

from __future__ import annotations

import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sink.blocks import SEGMENT, batch, defective, failed_login
from sqlalchemy.dialects.sqlite import dialect as sqlite_dialect

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.model import QUERY, AuditRecord
from shipper.sink.base import Receipt
from shipper.sink.sql_tables import SQLITE, failed_logins
from shipper.sink.sqlite import Settings, SqliteStore
from shipper.sink.sqlite_reader import SqliteReader

# What the page of the store says, to the letter: the article's query in SQLite's words.
PAGE = Path(__file__).parents[2] / "docs" / "store.md"
(ARTICLE,) = re.findall(
    r"In SQLite:\n\n```sql\n(SELECT .*?;)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def opened(path: Path) -> SqliteStore:
    store = SqliteStore(Settings(path=str(path)))
    store.prepare()
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def test_the_articles_query_finds_failed_logins_and_nothing_else(path: Path) -> None:
    now = datetime.now(UTC)
    today, old = (f"{now - timedelta(days=age):%Y-%m-%dT%H:%M:%SZ}" for age in (0, 3))
    succeeded = failed_login("app", today)
    succeeded.status = 0
    store = opened(path)
    failed = failed_login("o'brien", today)
    query = AuditRecord(kind=QUERY, name="QUERY", status=1, timestamp=today)
    store.deliver(batch(failed, succeeded, failed_login("bob", old), query))
    store.close()
    assert rows(path, ARTICLE) == [(f"o'brien@web1 - {today}",)]


def test_a_batch_delivered_again_adds_nothing(path: Path) -> None:
    store = opened(path)
    assert store.deliver(batch(failed_login(), failed_login())) == Receipt(new=2)
    assert store.deliver(batch(failed_login(), failed_login())) == Receipt(new=0, duplicates=2)
    assert store.deliver(batch(failed_login(), start=10)) == Receipt(new=0, duplicates=1)
    store.close()
    assert rows(path, "SELECT count(*) FROM audit_data") == [(2,)]


def test_the_same_offset_of_another_segment_is_another_record(path: Path) -> None:
    store = opened(path)
    store.deliver(batch(failed_login()))
    assert store.deliver(batch(failed_login(), segment="ff" * 16)).new == 1
    store.close()


def test_the_position_is_kept_and_never_goes_back(path: Path) -> None:
    store = opened(path)
    assert store.position(SEGMENT) == 0
    store.deliver(batch(failed_login(), failed_login()))
    store.deliver(batch(failed_login()))
    store.close()
    again = opened(path)
    assert again.position(SEGMENT) == 20
    again.close()


def test_records_and_position_stand_or_fall_together(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(path)
    monkeypatch.setattr("shipper.sink.sqlite._INSERT_DEFECTS", "INSERT INTO nowhere VALUES (?)")
    mixed = defective(start=20)
    mixed.blocks[0].records.append(failed_login())
    mixed.blocks[0].starts.append(25)
    mixed.blocks[0].ends.append(35)
    with pytest.raises(UnavailableError, match="cannot write to the store"):
        store.deliver(mixed)
    assert store.position(SEGMENT) == 0
    store.close()
    assert rows(path, "SELECT count(*) FROM audit_data") == [(0,)]


def test_defects_are_kept_with_their_place(path: Path) -> None:
    store = opened(path)
    store.deliver(defective(start=40))
    store.deliver(defective(start=40))
    store.close()
    assert rows(path, 'SELECT "offset", "end", reason, excerpt FROM audit_defects') == [
        (40, 45, "cut", "\\xff\x1b[2J")
    ]


def test_failed_logins_come_in_order_of_time_and_from_a_time_on(path: Path) -> None:
    store = opened(path)
    late, early = failed_login("b", "2026-11-23T11:00:00Z"), failed_login("a")
    store.deliver(batch(late, early, AuditRecord(kind=QUERY, status=1045)))
    with closing(SqliteReader(str(path))) as reader:
        assert [row[1] for row in reader.failed_logins()] == ["a", "b"]
        assert [row[1] for row in reader.failed_logins("2026-11-23T10:30:00Z")] == ["b"]
        assert reader.newest() == "2026-11-23T11:00:00Z"
    store.close()


def test_a_reader_changes_nothing_and_leaves_nothing(path: Path) -> None:
    store = opened(path)
    store.deliver(batch(failed_login()))
    store.close()
    before = path.read_bytes()
    with closing(SqliteReader(str(path))) as reader:
        assert len(list(reader.failed_logins())) == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("statement", [None, "CREATE TABLE x (a)"])
def test_a_file_that_is_no_store_is_no_store_after_reading_either(
    path: Path, statement: str | None
) -> None:
    path.touch()
    if statement:
        rows(path, statement)
    before = path.read_bytes()
    with pytest.raises(MisconfiguredError, match="is not a store: it has no table audit_data"):
        SqliteReader(str(path))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_reader_finds_a_file_with_any_name(tmp_path: Path) -> None:
    path = tmp_path / "a?mode=rw#%41 b.db"
    opened(path).close()
    SqliteReader(str(path)).close()


def test_the_report_reads_an_index_not_the_table(path: Path) -> None:
    opened(path).close()
    for since in ("2026", None):
        for query in failed_logins(SQLITE, since):
            text = query.compile(dialect=sqlite_dialect(), compile_kwargs={"literal_binds": True})
            plan = str(rows(path, f"EXPLAIN QUERY PLAN {text}"))
            assert "audit_data_failed_logins" in plan
            assert "TEMP B-TREE" not in plan


def test_the_store_is_private(path: Path) -> None:
    store = opened(path)
    store.deliver(batch(failed_login()))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    store.close()


def test_a_table_of_somebody_else_is_left_alone(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE audit_data (id INTEGER, info JSON)")
    connection.close()
    with pytest.raises(MisconfiguredError, match="not ours: it lacks at, failed_at, format"):
        opened(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="does not exist"):
        opened(tmp_path / "no" / "audit.db")


def test_a_file_that_is_no_database_is_named(path: Path) -> None:
    path.write_bytes(b"this is a text file, not a database\n" * 100)
    with pytest.raises(MisconfiguredError, match="not a database"):
        opened(path)


def test_lanes_that_share_a_store_keep_each_others_locks(tmp_path: Path) -> None:
    """Whoever reads the store meanwhile, in another process, must not take its log away.

    A process that closes any descriptor of a file loses all its locks on it. Then a reader that
    closes takes itself for the last one, and removes the write-ahead log that is written to.
    """
    path = tmp_path / "audit.db"
    one, two = (SqliteStore(Settings(path=str(path))) for _ in range(2))
    count = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); "
    count += "print(db.execute('SELECT count(*) FROM audit_data').fetchone()[0]); db.close()"

    def held() -> int:
        command = [sys.executable, "-c", count, str(path)]
        return int(subprocess.run(command, check=True, capture_output=True).stdout)

    with closing(one), closing(two):
        one.prepare()
        one.deliver(batch(failed_login()))
        two.prepare()
        assert held() == 1
        one.deliver(batch(failed_login(), start=10))
        two.deliver(batch(failed_login(), start=20))
        assert held() == 3
