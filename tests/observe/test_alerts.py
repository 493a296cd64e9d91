"""Findings as a file of JSON lines."""

from __future__ import annotations

import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from clocks import FakeClock

from shipper.detection import Detection, Sample
from shipper.errors import MisconfiguredError
from shipper.notices import Detected, Mended, Notice, Saved, Trouble
from shipper.observe.alerts import RETRY_SECONDS, AlertFile


def finding(offset: int) -> Detected:
    return Detected("db", Detection("source_burst", Sample("s", offset), 20, 5, 9, source="::1"))


def ids(path: Path) -> list[str]:
    return [orjson.loads(line)["event"]["id"] for line in path.read_bytes().splitlines()]


def test_a_line_a_finding_for_nobody_elses_eyes(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    alerts = AlertFile(str(path), FakeClock())
    alerts.hear(finding(1))
    alerts.hear(Mended("db", "index", "over"))
    alerts.hear(finding(2))
    assert ids(path) == ["s-1-source_burst", "s-2-source_burst"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_cannot_be_written_waits(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    path = folder / "alerts.jsonl"
    alerts = AlertFile(str(path), FakeClock())
    path.unlink()
    folder.rmdir()
    alerts.hear(finding(1))
    folder.mkdir()
    alerts.hear(finding(2))
    assert ids(path) == ["s-1-source_burst", "s-2-source_burst"]


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """The kernel takes no byte of a file beyond this: of a line across the border, a part."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_gets_full_takes_no_half_line_and_is_told(tmp_path: Path) -> None:
    path, clock, told = tmp_path / "alerts.jsonl", FakeClock(), list[Notice]()

    def tell(notice: Notice) -> None:  # as the daemon does: to everybody
        told.append(notice)
        alerts.hear(notice)

    alerts = AlertFile(str(path), clock, tell=tell)
    alerts.hear(finding(1))
    size = path.stat().st_size
    with full_disk(size + 100):
        alerts.hear(finding(2))
        alerts.hear(finding(3))
        assert path.stat().st_size == size
    assert [type(notice) for notice in told] == [Trouble]
    assert str(path) in repr(told[0])
    # Any notice is an occasion, but not each of a busy second.
    alerts.hear(Saved("db", "index", "s", 9))
    assert path.stat().st_size == size
    clock.move(RETRY_SECONDS)
    alerts.hear(Saved("db", "index", "s", 9))
    assert ids(path) == [f"s-{n}-source_burst" for n in (1, 2, 3)]
    assert [type(notice) for notice in told] == [Trouble, Mended]


def test_the_end_is_an_occasion_too(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    alerts = AlertFile(str(path), FakeClock())
    with full_disk(100):
        alerts.hear(finding(1))
    alerts.close()
    assert ids(path) == ["s-1-source_burst"]


def test_a_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="cannot write"):
        AlertFile(str(tmp_path / "nowhere" / "alerts.jsonl"), FakeClock())
