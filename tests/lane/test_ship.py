"""Shipping files: to the end, once, whatever happens in between."""

from __future__ import annotations

import gzip
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import orjson
import pytest

from shipper.decode import FORMATS, Options
from shipper.errors import UsageError
from shipper.lane.ship import OneShot, Shipped
from shipper.sink import open_sink

ROW = "20261123 10:00:{:02},db1,{},web1,{},0,{},,,{}\n"
XML_QUIT = """<AUDIT_RECORD>
  <NAME>Quit</NAME>
  <RECORD>{0}_2014-04-28T11:02:54</RECORD>
  <TIMESTAMP>2014-04-28T11:02:59 UTC</TIMESTAMP>
  <CONNECTION_ID>{0}</CONNECTION_ID>
  <STATUS>0</STATUS>
  <USER>{1}</USER>
  <PRIV_USER></PRIV_USER>
  <OS_LOGIN></OS_LOGIN>
  <PROXY_USER></PROXY_USER>
  <HOST></HOST>
  <IP></IP>
  <DB></DB>
</AUDIT_RECORD>
"""


def rows(count: int, start: int = 0) -> str:
    return "".join(
        ROW.format(index % 60, f"user{index}", index, "FAILED_CONNECT", 1045)
        for index in range(start, start + count)
    )


def shipped(log: Path, store: Path, *, instance: str = "", final: bool = False) -> Shipped:
    with closing(open_sink(f"sqlite:{store}")) as sink:
        shipping = OneShot(sink, FORMATS, Options(), instance=instance, final=final)
        return shipping.ship(log, lambda _: None)


def users(store: Path) -> list[str]:
    connection = sqlite3.connect(store)
    try:
        return [user for (user,) in connection.execute("SELECT user FROM audit_data ORDER BY id")]
    finally:
        connection.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "audit.db"


def test_again_adds_nothing_and_growth_adds_what_grew(log: Path, store: Path) -> None:
    log.write_text(rows(5))
    assert shipped(log, store).records == 5
    assert shipped(log, store).records == 0
    log.write_text(rows(7))
    assert shipped(log, store).records == 2
    assert users(store) == [f"user{index}" for index in range(7)]


def test_a_renamed_log_is_known_by_its_content(log: Path, store: Path) -> None:
    log.write_text(rows(5))
    shipped(log, store)
    rotated = log.rename(log.with_suffix(".log.1"))
    log.write_text(rows(3, start=100))
    assert shipped(rotated, store).records == 0
    assert shipped(log, store).records == 3


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_row_that_is_still_being_written_waits(log: Path, store: Path, cut: int) -> None:
    # Without its last bytes `,1045` reads as the errors 1, 10 or 104: never believe it.
    whole = rows(3)
    log.write_text(whole[:-cut])
    first = shipped(log, store)
    assert (first.records, first.defects) == (2, 0)
    assert first.left == len(whole) // 3 - cut
    log.write_text(whole)
    assert shipped(log, store).records == 1
    assert users(store) == ["user0", "user1", "user2"]


def test_a_record_that_is_still_being_written_waits_in_xml(log: Path, store: Path) -> None:
    whole = XML_QUIT.format(1, "a") + XML_QUIT.format(2, "b")
    log.write_text(whole[:-5])
    assert shipped(log, store).records == 1
    log.write_text(whole)
    assert shipped(log, store).records == 1
    assert users(store) == ["a", "b"]


def test_a_quit_is_joined_to_a_connect_that_was_shipped_before(log: Path, store: Path) -> None:
    connect = XML_QUIT.format(36, "app").replace("Quit", "Connect")
    log.write_text(connect)
    shipped(log, store)
    log.write_text(connect + XML_QUIT.format(36, ""))
    shipped(log, store)
    assert users(store) == ["app", "app"]


def test_damage_is_counted_once_and_the_rest_is_shipped(log: Path, store: Path) -> None:
    log.write_text(rows(2) + "garbage\n" + rows(2, start=2))
    assert shipped(log, store).defects == 1
    assert shipped(log, store).defects == 0
    assert users(store) == ["user0", "user1", "user2", "user3"]


def test_an_empty_log_is_done(log: Path, store: Path) -> None:
    log.write_text("")
    assert shipped(log, store) == Shipped(log)


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_footer_that_the_server_takes_back_hides_no_record(log: Path, kind: str) -> None:
    one, two = XML_QUIT.format(1, "a"), XML_QUIT.format(2, "b")
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
    with closing(open_sink(f"{kind}:{log.parent}/target")) as sink:
        for content, new in (
            (f"{head}{one}</AUDIT>\n", 1),
            (f"{head}{one}</AUDIT>\n", 0),
            (f"{head}{one}", 0),
            (f"{head}{one}{two}</AUDIT>\n", 1),
        ):
            log.write_text(content)
            found = OneShot(sink, FORMATS, Options()).ship(log, lambda _: None)
            assert (found.records, found.left) == (new, 0)


def test_a_file_may_have_any_name(tmp_path: Path, store: Path) -> None:
    log = tmp_path / os.fsdecode(b"b\xff?d.log")
    log.write_text(rows(2))
    assert shipped(log, store).records == 2
    assert shipped(log, store).records == 0


def test_an_archive_is_the_same_log_as_the_plain_file(log: Path, store: Path) -> None:
    log.write_text(rows(5))
    shipped(log, store)
    archive = log.with_suffix(".log.1.gz")
    archive.write_bytes(gzip.compress(rows(3).encode()) + gzip.compress(rows(4, start=3).encode()))
    log.unlink()
    found = shipped(archive, store)
    assert (found.records, found.seen, found.left) == (2, 7, 0)
    assert users(store) == [f"user{index}" for index in range(7)]


def test_an_archive_that_is_whole_ends_with_a_whole_row(log: Path, store: Path) -> None:
    log.write_bytes(gzip.compress(rows(3).removesuffix("\n").encode()))
    assert shipped(log, store).records == 3


def test_an_archive_that_is_cut_waits_for_its_rest(log: Path, store: Path) -> None:
    whole = gzip.compress(rows(300).encode())
    log.write_bytes(whole[:-20])
    first = shipped(log, store)
    assert first.cut_short
    assert 0 < first.records < 300
    log.write_bytes(whole)
    assert not shipped(log, store).cut_short
    assert users(store) == [f"user{index}" for index in range(300)]


def test_what_stands_before_damage_is_shipped(log: Path, store: Path) -> None:
    good = gzip.compress(rows(5).encode())
    log.write_bytes(good + b"no gzip at all")
    first = shipped(log, store)
    assert "no gzip at byte" in first.damage
    assert len(users(store)) == 5


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_another_log_that_begins_alike_is_refused(tmp_path: Path, kind: str) -> None:
    one, two = tmp_path / "db1.log", tmp_path / "db2.log"
    one.write_text(rows(2))
    two.write_text(rows(1) + rows(1, start=7))
    with closing(open_sink(f"{kind}:{tmp_path}/target")) as sink:
        shipping = OneShot(sink, FORMATS, Options())
        assert shipping.ship(one, lambda _: None).records == 2
        with pytest.raises(UsageError, match=r"they differ at byte \d+\. .*--instance NAME"):
            shipping.ship(two, lambda _: None)
        named = OneShot(sink, FORMATS, Options(), instance="db2")
        assert named.ship(two, lambda _: None).records == 2


def test_another_log_is_refused_by_what_the_store_knows(log: Path, store: Path) -> None:
    log.write_text(rows(2))
    shipped(log, store)
    two = log.with_suffix(".2")
    two.write_text(rows(1) + rows(3, start=7))
    with pytest.raises(UsageError, match="is another log"):
        shipped(two, store)
    assert shipped(two, store, instance="db2").records == 4


def test_a_log_that_ends_before_what_the_store_has_is_refused(log: Path, store: Path) -> None:
    log.write_text(rows(5))
    shipped(log, store)
    log.write_text(rows(4))
    with pytest.raises(UsageError, match=r"ends at byte \d+, but the target has"):
        shipped(log, store)


def test_a_copy_and_a_new_log_under_the_old_name_are_no_other_log(log: Path, store: Path) -> None:
    log.write_text(rows(5))
    shipped(log, store)
    copy = log.with_suffix(".copy")
    copy.write_text(rows(6))
    assert shipped(copy, store).records == 1
    copy.rename(log.with_suffix(".log.1"))
    log.write_text(rows(2, start=50))
    assert shipped(log.with_suffix(".log.1"), store).records == 0
    assert shipped(log, store).records == 2


def test_the_end_of_a_finished_log_is_taken_when_told(log: Path, store: Path) -> None:
    log.write_text(rows(3).removesuffix("\n"))
    assert shipped(log, store).records == 2
    last = shipped(log, store, final=True)
    assert (last.records, last.left) == (1, 0)
    log.write_text(rows(3))
    assert shipped(log, store).records == 0
    log.write_text(rows(5))
    assert shipped(log, store).records == 2
    assert users(store) == [f"user{index}" for index in range(5)]


def test_a_row_that_was_taken_too_early_is_never_completed_in_silence(
    log: Path, store: Path
) -> None:
    log.write_text(rows(3)[:-3])  # error 10 instead of 1045
    assert shipped(log, store, final=True).records == 3
    log.write_text(rows(5))
    with pytest.raises(UsageError, match=r"inside of a record .* with --final"):
        shipped(log, store)


@pytest.mark.parametrize("tail", ["<AUDIT_RECORD>\n  <NAME>Quit</NAME>\n", "junk\0\1"])
def test_a_cut_end_is_kept_as_a_defect_when_told(log: Path, store: Path, tail: str) -> None:
    log.write_text(rows(2) + tail)
    assert shipped(log, store).left == len(tail)
    last = shipped(log, store, final=True)
    assert (last.defects, last.left) == (1, 0)


def test_a_log_of_junk_waits_and_is_a_defect_when_told(log: Path, store: Path) -> None:
    log.write_bytes(b"\1junk" * 100)
    assert shipped(log, store).left == 500
    assert shipped(log, store, final=True).defects == 1


@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_killed_at_any_moment_it_completes_without_duplicates(
    log: Path, tmp_path: Path, kind: str
) -> None:
    count = 60_000
    log.write_text(rows(count))
    target = tmp_path / "target"
    command = [sys.executable, "-m", "shipper", "ship", str(log), "--to", f"{kind}:{target}"]
    chance = random.Random(11)
    kills = 0
    for _ in range(12):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=chance.uniform(0.3, 1.2))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    assert kills, "the log is too short to be killed in the middle of"
    assert subprocess.run(command, check=True, stderr=subprocess.DEVNULL).returncode == 0
    expected = [f"user{index}" for index in range(count)]
    if kind == "sqlite":
        assert users(target) == expected
    else:
        assert [orjson.loads(line)["user"] for line in target.read_bytes().splitlines()] == expected
