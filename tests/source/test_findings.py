"""The findings log: kept before anybody goes on, once, and not longer than needed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from app.disks import fill, small_disk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shipper.detection import Detection, Sample, to_line
from shipper.errors import UnavailableError
from shipper.source.findings import FILE_BYTES, Findings

SMALL = 1000  # bytes of a file: twelve findings
SIZE = len(to_line(Detection("source_burst", Sample("s", 100), 20, 5, 9, source="::1")))


def found(number: int) -> Detection:
    return Detection("source_burst", Sample("s", 100 + number), 20, 5, 9, source="::1")


def lines(numbers: range) -> bytes:
    return b"".join(to_line(found(number)) for number in numbers)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def content(folder: Path) -> bytes:
    return b"".join(files(folder).values())


def store(findings: Findings, numbers: range) -> None:
    for number in numbers:
        findings.put(found(number))
    findings.save()


def test_what_was_saved_is_there_for_nobody_elses_eyes(tmp_path: Path) -> None:
    folder = tmp_path / "findings" / "main"
    with closing(Findings(folder)) as findings:
        findings.put(found(1))
        assert content(folder) == b""
        findings.save()
        assert content(folder) == lines(range(1, 2))
        assert findings.segments() == [findings.current]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(findings.current.stat().st_mode) == 0o600


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)
@given(
    rounds=st.lists(st.tuples(st.integers(1, 12), st.booleans(), st.integers(0, 300))),
    data=st.data(),
)
def test_the_same_findings_give_the_same_files_whatever_was_killed_when(
    tmp_path_factory: pytest.TempPathFactory,
    rounds: list[tuple[int, bool, int]],
    data: st.DataObject,
) -> None:
    """A process that is killed finds again what its last delivery had found, and some before."""
    folder = tmp_path_factory.mktemp("killed")
    findings = Findings(folder, file_bytes=SMALL)
    at = 0
    for count, killed, torn in rounds:
        store(findings, range(at, at + count))
        if killed:
            findings.close()
            # The last line was not whole yet, or not on the disk.
            end = findings.current.stat().st_size
            os.truncate(findings.current, max(0, end - min(torn, SIZE)))
            findings = Findings(folder, file_bytes=SMALL)
            again = data.draw(st.integers(at, at + count - 1)) if torn == 0 else at
            store(findings, range(again, at + count))
        at += count
    findings.close()
    whole = tmp_path_factory.mktemp("whole")
    with closing(Findings(whole, file_bytes=SMALL)) as other:
        store(other, range(at))
    assert files(folder) == files(whole)
    assert content(folder) == lines(range(at))


def test_what_was_shipped_goes_but_for_what_may_be_found_again(tmp_path: Path) -> None:
    with closing(Findings(tmp_path, file_bytes=SMALL)) as findings:
        store(findings, range(55))
        paths = findings.segments()
        assert len(paths) == 5
        assert [findings.remove(path) for path in paths] == [True, True, True, False, False]
        assert findings.segments() == paths[3:]
        # Younger ones have taken their place.
        store(findings, range(55, 75))
        assert findings.remove(tmp_path / "no such file")
        assert findings.segments()[0] == paths[4]
    with closing(Findings(tmp_path, file_bytes=SMALL)) as findings:
        store(findings, range(70, 76))
    assert content(tmp_path) == lines(range(48, 76))


def test_a_target_that_is_away_for_long_stops_the_finding_until_it_is_back(tmp_path: Path) -> None:
    with closing(Findings(tmp_path, file_bytes=SMALL, bytes_max=4 * SMALL)) as findings:
        with pytest.raises(UnavailableError, match="a sink with `alerts` has taken none"):
            store(findings, range(100))
        with pytest.raises(UnavailableError, match="has taken none"):
            findings.save()
        assert len(content(tmp_path)) <= 4 * SMALL
        seen = b""
        for _ in range(20):
            for path in findings.segments()[:-1]:
                seen += path.read_bytes() if path.read_bytes() not in seen else b""
                findings.remove(path)
            try:
                findings.save()
            except UnavailableError:
                continue
            break
        rest = (path.read_bytes() for path in findings.segments())
        assert seen + b"".join(each for each in rest if each not in seen) == lines(range(100))


def test_one_delivery_fits_into_the_files_that_are_kept() -> None:
    """A megabyte of the shortest records of which each is a finding, and the size of one."""
    shortest = len(b'{"audit_record":{"name":"NoAudit","record":"1_2026","timestamp":"2026"}}')
    one = Detection("audit_switched_off", Sample("f" * 32, 2**40), 1, 2**31, 2**31, user="root",
                    samples=(Sample("f" * 32, 2**40),))  # fmt: skip
    assert (1024 * 1024 // shortest) * len(to_line(one)) < FILE_BYTES


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def test_a_full_disk_loses_nothing_and_doubles_nothing(disk: Path) -> None:
    with closing(Findings(disk / "findings")) as findings:
        store(findings, range(3))
        fill(disk)
        with pytest.raises(UnavailableError, match="No space left on device"):
            store(findings, range(3, 80))
        with pytest.raises(UnavailableError):
            findings.save()
        (disk / "filler").unlink()
        findings.save()
        assert content(disk / "findings") == lines(range(80))


def test_what_the_disk_refused_to_keep_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed fsync the kernel takes its pages for clean: asking again proves nothing."""
    wrote: list[bytes] = []
    pwrite, broken = os.pwrite, [True]

    def fsync(_fd: int) -> None:
        if broken:
            broken.pop()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def writing(fd: int, data: Any, offset: int) -> int:
        wrote.append(bytes(data))
        return pwrite(fd, data, offset)

    with closing(Findings(tmp_path)) as findings:
        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "pwrite", writing)
        with pytest.raises(UnavailableError, match="Input/output error"):
            store(findings, range(2))
        findings.save()
        assert wrote[-1] == content(tmp_path) == lines(range(2))
        findings.save()
        assert len(wrote) == 3


def test_a_log_that_somebody_deletes_is_no_place_to_keep_anything(tmp_path: Path) -> None:
    folder = tmp_path / "findings"
    with closing(Findings(folder)) as findings:
        store(findings, range(2))
        findings.current.unlink()
        folder.rmdir()
        assert findings.segments() == []
        with pytest.raises(UnavailableError, match="No such file"):
            store(findings, range(2, 3))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnavailableError, match="cannot write the findings"):
        Findings(tmp_path / "file" / "findings")
