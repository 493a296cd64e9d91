"""The spool: four strategies, files on disk, what happens when there is no room."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from source.listening import Told, eventually

from shipper.app.own_files import SpoolNames
from shipper.errors import UnavailableError
from shipper.notices import Dropped, Mended, Trouble
from shipper.source import segments as segments_module
from shipper.source.spool import BUFFER_FULL, STOPPED, Drops, Spool, SpoolSettings, Strategy

STRATEGIES: tuple[Strategy, ...] = (
    "asynchronous",
    "performance",
    "semisynchronous",
    "synchronous",
)
WAITING: tuple[Strategy, ...] = ("asynchronous", "semisynchronous", "synchronous")
SMALL = {"buffer_size_bytes": 4096, "segment_bytes": 4096}
MB = 1024 * 1024
NEVER = threading.Event()


def line(number: int, size: int = 100) -> bytes:
    return (b"<14>%d " % number).ljust(size - 1, b".") + b"\n"


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


class Quick:
    """Waits at once, and tells that it was asked to."""

    def __init__(self) -> None:
        self.waits = 0

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        assert seconds > 0
        self.waits += 1
        return stop.wait(0.001)


@pytest.fixture(name="told")
def fixture_told() -> Told:
    return Told()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_line_is_in_the_files_in_order(strategy: Strategy, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", "in", SpoolSettings(strategy=strategy))
    lines = [line(number) for number in range(300)]
    for each in lines:
        assert spool.put(each, NEVER)
    spool.close()
    assert content(tmp_path / "spool") == b"".join(lines)
    assert spool.dropped == Drops()


@pytest.mark.parametrize("strategy", STRATEGIES[2:])
def test_writing_through_means_in_the_file_when_put_returns(
    strategy: Strategy, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, "in", SpoolSettings(strategy=strategy))
    spool.put(line(1), NEVER)
    assert content(tmp_path) == line(1)
    spool.close()


def test_synchronous_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def watched(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)
        fsync(fd)

    for strategy, size in (("semisynchronous", 0), ("synchronous", 100)):
        spool = Spool(tmp_path / strategy, "in", SpoolSettings(strategy=strategy))
        synced.clear()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", watched)
            spool.put(line(1), NEVER)
        assert sum(synced) == size
        spool.close()


def test_files_are_private_numbered_and_begin_with_a_record(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, "my.in", SpoolSettings(strategy="semisynchronous", **SMALL))
    for number in range(200):
        spool.put(line(number) + b"second line of the record\n", NEVER)
    names = [path.name for path in spool.segments()]
    assert names == [f"my.in.{number:010}.log" for number in range(1, len(names) + 1)]
    assert len(names) == 7
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in spool.segments():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.read_bytes().startswith(b"<14>")
        assert path.stat().st_size <= 4096 + 126
    spool.close()


def test_lines_that_look_like_no_record_end_a_file_at_twice_its_size(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "in", SpoolSettings(strategy="semisynchronous", **SMALL))
    for _ in range(200):
        spool.put(b"-" * 99 + b"\n", NEVER)
    assert [path.stat().st_size for path in spool.segments()] == [8200, 8200, 3600]
    spool.close()


@given(sizes=st.lists(st.integers(1, 3000), max_size=60), strategy=st.sampled_from(STRATEGIES))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_put_can_be_read_back(
    sizes: list[int], strategy: Strategy, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = Spool(folder, "in", SpoolSettings(strategy=strategy, **SMALL))
    lines = [line(number, size) for number, size in enumerate(sizes)]
    for each in lines:
        spool.put(each, NEVER)
    spool.close()
    read = content(folder)
    kept = [each for each in read.splitlines(keepends=True) if each in lines]
    assert b"".join(kept) == read
    missing = b"".join(lines).__len__() - len(read)
    assert missing == spool.dropped.size
    assert len(lines) - len(kept) == spool.dropped.records
    assert strategy == "performance" or missing == 0


# --- no room


def full_spool(folder: Path, strategy: Strategy, told: Told) -> Spool:
    """A spool whose files are at their limit."""
    options = SpoolSettings(
        strategy=strategy, buffer_size_bytes=4096, segment_bytes=MB // 4, size_bytes_max=MB
    )
    spool = Spool(folder, "in", options, tell=told)
    number = 0
    while spool.size + 4000 <= MB:
        before = spool.size
        spool.put(line(number, 4000), NEVER)
        number += 1
        eventually(lambda before=before: spool.size > before)
    return spool


@pytest.mark.parametrize("strategy", WAITING)
def test_a_full_spool_makes_its_sender_wait_and_goes_on_when_lanes_are_done(
    strategy: Strategy, tmp_path: Path, told: Told
) -> None:
    spool = full_spool(tmp_path, strategy, told)
    before = content(tmp_path)
    more = [line(-1 - number, 4000) for number in range(3)]
    sender = threading.Thread(target=lambda: [spool.put(each, NEVER) for each in more])
    sender.start()
    eventually(lambda: told.of(Trouble))
    assert sender.is_alive()
    assert "is full" in told.of(Trouble)[0].detail
    first, *_, last = spool.segments()
    assert last.stat().st_size == 0  # all that is there can be finished
    size = first.stat().st_size
    assert spool.remove(first)
    sender.join()
    spool.close()
    assert told.of(Mended)
    assert content(tmp_path) == before[size:] + b"".join(more)
    assert spool.dropped == Drops()


@pytest.mark.parametrize("strategy", WAITING)
def test_waiting_ends_with_stop_and_what_was_not_taken_is_counted(
    strategy: Strategy, tmp_path: Path, told: Told
) -> None:
    spool = full_spool(tmp_path, strategy, told)
    before = content(tmp_path)
    stop = threading.Event()
    results: list[bool] = []

    def send() -> None:
        results.extend(spool.put(line(number, 4000), stop) for number in range(5))

    sender = threading.Thread(target=send)
    sender.start()
    eventually(lambda: told.of(Trouble))
    stop.set()
    sender.join()
    spool.close(seconds=0)
    assert not results[-1]
    assert content(tmp_path) == before
    assert spool.dropped == Drops(5, 20_000)
    assert sum(drop.records for drop in told.of(Dropped)) == 5
    assert {drop.reason for drop in told.of(Dropped)} == {STOPPED}


def test_performance_never_waits_and_counts_each_line(tmp_path: Path, told: Told) -> None:
    spool = full_spool(tmp_path, "performance", told)
    before = content(tmp_path)
    for number in range(100):
        assert spool.put(line(number, 1000) * 2, NEVER)
    spool.close(seconds=0)
    assert content(tmp_path) == before
    assert spool.dropped == Drops(200, 200_000)
    assert sum(drop.records for drop in told.of(Dropped)) == 200
    assert {drop.reason for drop in told.of(Dropped)} == {BUFFER_FULL, STOPPED}


def test_performance_drops_a_line_larger_than_the_buffer(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "in", SpoolSettings(strategy="performance", **SMALL))
    spool.put(line(1, 4097), NEVER)
    spool.close()
    assert content(tmp_path) == b""
    assert spool.dropped == Drops(1, 4097)


def test_drops_are_told_in_sums(tmp_path: Path, told: Told) -> None:
    spool = Spool(tmp_path, "in", SpoolSettings(strategy="performance", **SMALL), tell=told)
    for _ in range(1000):
        spool.put(line(1, 5000), NEVER)
    spool.close()
    assert sum(drop.records for drop in told.of(Dropped)) == 1000
    assert sum(drop.size or 0 for drop in told.of(Dropped)) == spool.dropped.size
    assert len(told.of(Dropped)) < 1000


def test_asynchronous_takes_a_line_larger_than_the_buffer(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "in", SpoolSettings(strategy="asynchronous", **SMALL))
    lines = [line(1), line(2, 10_000), line(3)]
    for each in lines:
        spool.put(each, NEVER)
    spool.close()
    assert content(tmp_path) == b"".join(lines)


# --- the disk says no


class Failing:
    """os.write or os.fsync that fails some times, perhaps after doing half of it."""

    def __init__(self, times: int, number: int, *, half: bool = False) -> None:
        self.left = times
        self.error = OSError(number, os.strerror(number))
        self.half = half
        self._write, self._fsync = os.write, os.fsync

    def write(self, fd: int, data: memoryview) -> int:
        if self.left > 0:
            self.left -= 1
            if self.half and self.left % 2:
                return self._write(fd, data[: len(data) // 2])
            raise self.error
        return self._write(fd, data)

    def fsync(self, fd: int) -> None:
        if self.left > 0 and stat.S_ISREG(os.fstat(fd).st_mode):
            self.left -= 1
            raise self.error
        self._fsync(fd)


class _Os:
    """The module `os` with some functions replaced, for one module of ours."""

    def __init__(self, failing: Failing) -> None:
        self.write, self.fsync = failing.write, failing.fsync

    def __getattr__(self, name: str) -> object:
        return getattr(os, name)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("number", "half"), [(errno.ENOSPC, True), (errno.EIO, False)])
def test_a_disk_that_refuses_for_a_while_loses_and_repeats_nothing(
    *,
    strategy: Strategy,
    number: int,
    half: bool,
    tmp_path: Path,
    told: Told,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Quick()
    spool = Spool(tmp_path, "in", SpoolSettings(strategy=strategy), clock=clock, tell=told)
    spool.put(line(1), NEVER)
    eventually(lambda: spool.size == 100)
    monkeypatch.setattr(segments_module, "os", _Os(Failing(6, number, half=half)))
    spool.put(line(2), NEVER)
    spool.put(line(3), NEVER)
    spool.close()
    assert content(tmp_path) == line(1) + line(2) + line(3)
    assert clock.waits >= 3
    assert os.strerror(number) in told.of(Trouble)[0].detail
    assert told.of(Mended)


def test_a_disk_that_cannot_sync_gets_another_file(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SpoolSettings(strategy="synchronous")
    spool = Spool(tmp_path, "in", options, clock=Quick(), tell=told)
    spool.put(line(1), NEVER)
    monkeypatch.setattr(segments_module, "os", _Os(Failing(1, errno.EIO)))
    monkeypatch.setattr(segments_module.os, "write", os.write)
    spool.put(line(2), NEVER)
    assert [path.read_bytes() for path in spool.segments()] == [line(1), line(2)]
    spool.close()


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError, match="cannot use the spool"):
        Spool(tmp_path / "file" / "spool", "in")


# --- from one process to the next


def test_the_next_process_begins_a_file_and_leaves_a_torn_one_alone(tmp_path: Path) -> None:
    (tmp_path / "in.0000000007.log").write_bytes(line(1) + b"<14>to")
    (tmp_path / "in.0000000008.log").write_bytes(b"")
    (tmp_path / "other.0000000099.log").write_bytes(line(9))
    spool = Spool(tmp_path, "in", SpoolSettings(strategy="semisynchronous"))
    spool.put(line(2), NEVER)
    assert [path.name for path in spool.segments()] == ["in.0000000007.log", "in.0000000009.log"]
    assert spool.size == 206
    assert spool.segments()[0].read_bytes() == line(1) + b"<14>to"
    spool.close()


def test_only_complete_files_of_its_own_are_removed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "in", SpoolSettings(strategy="semisynchronous", **SMALL))
    (tmp_path / "other.0000000001.log").write_bytes(line(9))
    for number in range(50):
        spool.put(line(number), NEVER)
    first, second = spool.segments()
    assert not spool.remove(second)
    assert not spool.remove(tmp_path / "other.0000000001.log")
    assert spool.remove(first)
    assert not spool.remove(first)
    assert spool.size == second.stat().st_size
    spool.close()


WRITER = """
import sys, threading
from pathlib import Path
from shipper.source.spool import Spool, SpoolSettings

settings = SpoolSettings(strategy=sys.argv[2], buffer_size_bytes=4096, segment_bytes=8192)
spool = Spool(Path(sys.argv[1]), "in", settings)
number = 0
while True:
    number += 1
    spool.put(b"<14>%d %s\\n" % (number, b"." * (number * 7919 % 300)), threading.Event())
    if sys.argv[2] != "asynchronous":
        print(number, flush=True)
"""


@pytest.fixture(name="killed")
def fixture_killed(tmp_path: Path) -> list[int]:
    """Numbers that a writer of synchronous lines had been promised when it was killed."""
    command = [sys.executable, "-c", WRITER, str(tmp_path), "semisynchronous"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as writer:
        assert writer.stdout is not None
        try:
            promised = [int(writer.stdout.readline()) for _ in range(300)]
        finally:
            writer.send_signal(signal.SIGKILL)
        promised += [int(each) for each in writer.stdout.read().splitlines()]
    return promised


def test_a_killed_writer_loses_nothing_that_was_promised(killed: list[int], tmp_path: Path) -> None:
    spool = Spool(tmp_path, "in")
    whole = [
        int(each.split()[0].removeprefix(b"<14>"))
        for path in spool.segments()
        for each in path.read_bytes().splitlines(keepends=True)
        if each.endswith(b"\n")
    ]
    spool.close()
    assert whole == list(range(1, len(whole) + 1))
    assert len(whole) >= len(killed)


def test_sizes_that_do_not_fit_are_mistakes() -> None:
    options = SpoolSettings(segment_bytes=8192, size_bytes_max=MB)
    assert [problem.split()[0] for problem in options.problems()] == ["buffer_size_bytes"]
    options = SpoolSettings(segment_bytes=MB, size_bytes_max=2 * MB)
    assert [problem.split()[0] for problem in options.problems()] == ["size_bytes_max"]
    assert list(SpoolSettings().problems()) == []


def test_deleted_files_are_left_and_make_room(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    spool = Spool(folder, "in", SpoolSettings(strategy="semisynchronous", **SMALL))
    names = SpoolNames(spool)
    for number in range(100):
        spool.put(line(number), NEVER)
    deleted = spool.segments()
    assert len(deleted) > 1
    for path in deleted:
        path.unlink()
    assert names.live() == str(deleted[-1])
    assert names.older() == []
    spool.put(line(100), NEVER)
    # What comes now can be found, and what was deleted takes no room once lanes are done with it.
    assert content(folder) == line(100)
    assert names.live() == str(spool.segments()[-1]) != str(deleted[-1])
    for path in deleted:
        spool.remove(path)
    assert spool.size == len(line(100))
    for path in spool.segments():
        path.unlink()
    folder.rmdir()
    assert names.older() == []
    spool.put(line(101), NEVER)
    assert content(folder) == line(101)
    spool.close()
