"""Shipping files: to the end, once, whatever happens in between."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from shipper.decode import FORMATS, Options
from shipper.lane.ship import Shipped, ship
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


def shipped(log: Path, store: Path) -> Shipped:
    sink = open_sink(f"sqlite:{store}")
    try:
        return ship(log, sink, FORMATS, Options(), lambda _: None)
    finally:
        sink.close()


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
