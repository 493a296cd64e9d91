"""A log that is not there is told, once, and when it comes."""

from __future__ import annotations

from pathlib import Path

from clocks import FakeClock

from shipper.app.absent import PATIENCE_SECONDS, Absent
from shipper.notices import Mended, Notice, Trouble


def test_a_wrong_path_is_told_after_a_while_and_once(tmp_path: Path) -> None:
    clock, told = FakeClock(), list[Notice]()
    path = tmp_path / "audit.log"
    absent = Absent("main", str(path), clock, told.append)
    absent.look()
    assert told == []
    clock.move(PATIENCE_SECONDS)
    absent.look()
    absent.look()
    (trouble,) = told
    assert isinstance(trouble, Trouble)
    assert str(path) in trouble.detail
    path.touch()
    absent.look()
    assert isinstance(told[-1], Mended)
    path.unlink()  # what comes after is the catalogue's
    absent.look()
    assert len(told) == 2


def test_a_server_that_starts_a_little_later_is_no_trouble(tmp_path: Path) -> None:
    clock, told = FakeClock(), list[Notice]()
    absent = Absent("main", str(tmp_path / "audit.log"), clock, told.append)
    (tmp_path / "audit.log").touch()
    clock.move(PATIENCE_SECONDS)
    absent.look()
    assert told == []


def test_a_log_whose_name_ends_in_its_passwords_id_is_there(tmp_path: Path) -> None:
    """As the servers name an encrypted log while they write it."""
    clock, told = FakeClock(), list[Notice]()
    absent = Absent("main", str(tmp_path / "audit.log"), clock, told.append)
    (tmp_path / "audit.log.20260101T000000-1.enc").touch()
    clock.move(PATIENCE_SECONDS)
    absent.look()
    assert told == []
