"""The findings log as a source: shipped, kept as long as needed, removed also after a crash."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from clocks import FakeClock
from lane.world import FaultySink, Target

from shipper.app.source import RunningSource
from shipper.config import Config
from shipper.detection import Detection, Sample
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.source.findings import KEPT_FILES, Findings, FindingsSettings
from shipper.source.settings import FileSettings

COUNT = 40


def started(folder: Path, target: Target) -> RunningSource:
    findings = FindingsSettings(name="main.alerts", directory=str(folder / "findings"))
    sink = JsonlSettings(name="sink.alerts", path="-", exclude_accounts=("%@%",))
    config = Config(
        state=str(folder / "state"),
        sources=(FileSettings(path="audit.log"),),
        sinks=(sink,),
        instance="db1",
    )
    made = FaultySink(target, 1)
    return RunningSource(
        findings, [sink], config, FakeClock(), lambda _notice: None, make=lambda *_: made
    )


def ship(source: RunningSource) -> None:
    source.catalog.poll()
    while source.lanes[0].turn():
        pass
    source.catalog.poll()


def detected(folder: Path) -> int:
    """Fill some files; their number."""
    with closing(Findings(folder / "findings", file_bytes=1000)) as findings:
        for number in range(COUNT):
            findings.put(Detection("source_burst", Sample("s", number), 20, 5, 9, source="::1"))
        findings.save()
        return len(findings.segments())


def test_each_is_shipped_once_and_only_the_last_files_stay(tmp_path: Path) -> None:
    target = Target()
    assert detected(tmp_path) > KEPT_FILES
    with closing(started(tmp_path, target)) as source:
        ship(source)
        assert source.idle
    assert len(target.held) == COUNT
    assert len(list((tmp_path / "findings").iterdir())) == KEPT_FILES
    with closing(started(tmp_path, target)) as source:
        ship(source)
    assert sum(target.held.values()) == COUNT


def test_what_a_crash_left_is_removed_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, files = Target(), detected(tmp_path)
    with monkeypatch.context() as killed, closing(started(tmp_path, target)) as source:
        killed.setattr(source.findings, "remove", lambda _path: False)
        ship(source)
    assert len(list((tmp_path / "findings").iterdir())) == files
    with closing(started(tmp_path, target)):
        assert len(list((tmp_path / "findings").iterdir())) == KEPT_FILES
    assert sum(target.held.values()) == COUNT


def test_what_is_not_shipped_is_not_removed_though_a_name_was_used_before(tmp_path: Path) -> None:
    """Somebody emptied the folder, and the numbers of its files begin anew."""
    target = Target()
    detected(tmp_path)
    with closing(started(tmp_path, target)) as source:
        ship(source)
    for path in (tmp_path / "findings").iterdir():
        path.unlink()
    with closing(Findings(tmp_path / "findings", file_bytes=1000)) as findings:
        for number in range(COUNT, 2 * COUNT):
            findings.put(Detection("source_burst", Sample("s", number), 20, 5, 9, source="::1"))
        findings.save()
    with closing(started(tmp_path, target)) as source:
        ship(source)
    assert len(target.held) == 2 * COUNT
