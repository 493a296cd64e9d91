"""The JSON lines file: it is its own memory."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

import orjson
import pytest
from sink.blocks import SEGMENT, batch, defective, failed_login

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.sink.jsonl import JsonLines, Settings


def opened(path: Path) -> JsonLines:
    sink = JsonLines(Settings(path=str(path)))
    sink.prepare()
    return sink


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def test_lines_hold_the_flat_document_and_the_segment(path: Path) -> None:
    sink = opened(path)
    sink.deliver(batch(failed_login("<\n>")))
    sink.deliver(defective(start=10))
    sink.close()
    record, defect = map(orjson.loads, path.read_bytes().splitlines())
    assert (record["user"], record["segment"], record["span"]) == ("<\n>", SEGMENT, [0, 10])
    assert (defect["defect"], defect["span"]) == ("cut", [10, 15])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_positions_are_read_from_the_file(path: Path) -> None:
    sink = opened(path)
    sink.deliver(batch(failed_login(), failed_login()))
    sink.deliver(batch(failed_login(), segment="ff" * 16))
    sink.close()
    again = opened(path)
    positions = (again.position(SEGMENT), again.position("ff" * 16), again.position("00" * 16))
    again.close()
    assert positions == (20, 10, 0)


def test_a_line_that_a_crash_cut_is_taken_off(path: Path) -> None:
    sink = opened(path)
    sink.deliver(batch(failed_login(), failed_login()))
    sink.close()
    whole = path.read_bytes()
    for cut in (1, 30, len(whole) // 2 - 1):
        path.write_bytes(whole[:-cut])
        again = opened(path)
        assert again.position(SEGMENT) == 10
        again.deliver(batch(failed_login(), start=10))
        again.close()
        assert path.read_bytes() == whole


def test_a_file_of_something_else_is_left_alone(path: Path) -> None:
    path.write_text("this is\nnot ours\n")
    sink = opened(path)
    with pytest.raises(MisconfiguredError, match="not a file of ours"):
        sink.position(SEGMENT)
    sink.close()
    assert path.read_text() == "this is\nnot ours\n"


def test_a_failed_write_leaves_whole_lines_and_no_half_batch(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(path)
    sink.deliver(batch(failed_login()))
    before = path.read_bytes()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("shipper.sink.jsonl.os.fsync", full)
        with pytest.raises(UnavailableError, match="No space left"):
            sink.deliver(batch(failed_login("eve"), start=10))
    assert path.read_bytes() == before
    sink.deliver(batch(failed_login("eve"), start=10))
    assert [orjson.loads(line)["user"] for line in path.read_bytes().splitlines()] == ["bob", "eve"]
    sink.close()
