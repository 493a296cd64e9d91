"""Findings as a file of JSON lines."""

from __future__ import annotations

import stat
from pathlib import Path

import orjson
import pytest
from clocks import FakeClock

from shipper.detection import Detection, Sample
from shipper.errors import MisconfiguredError
from shipper.notices import Detected, Mended
from shipper.observe.alerts import AlertFile


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


def test_a_file_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(MisconfiguredError, match="cannot write"):
        AlertFile(str(tmp_path / "nowhere" / "alerts.jsonl"), FakeClock())
