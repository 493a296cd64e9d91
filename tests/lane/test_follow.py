"""Following a live log through everything that happens to files."""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from collections import Counter
from pathlib import Path

import pytest
from lane.logs import XML_HEADER, Log, json_row, xml_row
from lane.world import SETTLE, Target, World
from source.archives import PASSWORD, openssl

from shipper.model import Span
from shipper.notices import Endangered, Finished, Lost, Trouble, Truncated
from shipper.source import passwords
from shipper.source.gunzip import Gunzip
from shipper.source.looker import SCAN_SECONDS
from shipper.source.passwords import Key, PasswordSettings, derive


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture
def world(tmp_path: Path, target: Target) -> World:
    return World(tmp_path, [target])


def complete(world: World, target: Target, log: Log) -> None:
    """Everything written was shipped, in order, once, and nothing is reported lost."""
    world.settle()
    assert target.users == log.users()
    assert set(target.held.values()) <= {1}
    assert world.told(Lost) == []
    assert world.source.remaining() == []


def test_a_file_that_does_not_exist_yet_is_waited_for(world: World, target: Target) -> None:
    world.ship()
    log = Log(world.log)
    world.ship()
    log.write(3)
    complete(world, target, log)


@pytest.mark.parametrize("form", ["json", "xml", "mariadb"])
def test_appended_records_are_shipped_as_they_come(tmp_path: Path, form: str) -> None:
    target = Target()
    world = World(tmp_path, [target])
    log = Log(world.log, form)
    for count in (1, 5, 2):
        log.write(count)
        world.ship()
        assert target.users == log.users()
    rest = log.write_part()
    world.ship()
    assert target.users == log.users()[:-1]
    log.write_text(rest)
    complete(world, target, log)


@pytest.mark.timeout(60)  # a lane that gets nowhere turns for ever
def test_a_record_that_comes_in_many_parts_to_several_lanes(tmp_path: Path) -> None:
    targets = [Target(), Target()]
    world = World(tmp_path, targets)
    log = Log(world.log)
    log.write(2)
    text = log.row(log.number)
    log.number += 1
    for start in range(0, len(text), 40):
        log.write_text(text[start : start + 40])
        world.ship()
    for target in targets:
        assert target.users == log.users()


@pytest.mark.parametrize("form", ["json", "xml", "mariadb"])
@pytest.mark.parametrize("polls", [0, 1])
def test_size_rotation_even_twice_between_two_looks(tmp_path: Path, form: str, polls: int) -> None:
    target = Target()
    world = World(tmp_path, [target])
    log = Log(world.log, form)
    log.write(3)
    world.ship()
    for _ in range(2):
        log.write(2)
        log.rotate_by_size()
        log.write(2)
        for _ in range(polls):
            world.ship()
    complete(world, target, log)
    assert len(world.told(Finished)) == 2


def test_manual_rename_and_flush(world: World, target: Target) -> None:
    log = Log(world.log, "xml")
    log.write(3)
    world.ship()
    log.path.rename(log.path.with_name("audit.log.old"))
    log.write(2)  # the server does not know yet
    world.settle()
    assert target.users == log.users()
    log.flush()
    log.write(2)
    complete(world, target, log)


def test_a_footer_that_is_taken_back_is_no_truncation(world: World, target: Target) -> None:
    log = Log(world.log, "xml")
    log.write(2)
    log.write_text("</AUDIT>\n")
    world.ship()
    os.truncate(log.path, log.path.stat().st_size - len("</AUDIT>\n"))
    log.reopen()
    world.ship()
    log.write(2)
    world.ship()
    log.write_text("</AUDIT>\n")
    world.ship()
    # Cut and written on between two looks: the file never looked shorter.
    os.truncate(log.path, log.path.stat().st_size - len("</AUDIT>\n"))
    log.reopen()
    log.write(1)
    complete(world, target, log)
    assert world.told(Truncated) == []


def test_headers_and_footers_in_mid_file(world: World, target: Target) -> None:
    log = Log(world.log, "xml")
    for _ in range(3):
        log.write(2)
        log.flush()
        world.ship()
    complete(world, target, log)


def test_copytruncate_reads_the_rest_from_the_copy(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(3)
    world.ship()
    log.write(2)
    log.copy_truncate("audit.log.1")
    log.write(2)
    complete(world, target, log)
    assert len(world.told(Truncated)) == 1


def test_copytruncate_that_grew_past_the_old_end_is_noticed(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(2)
    world.ship()
    log.write(1)
    log.copy_truncate("audit.log.1")
    log.write(9)
    complete(world, target, log)


def test_copytruncate_between_a_look_and_the_reading(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(2)
    world.source.catalog.poll()
    log.copy_truncate("audit.log.1")
    log.write(2)  # as many bytes as were there: no look at the size would show it
    world.source.lanes[0].turn()
    complete(world, target, log)
    assert len(world.told(Truncated)) == 1


def test_a_log_that_is_written_anew_as_long_as_it_was_is_noticed(
    world: World, target: Target
) -> None:
    log = Log(world.log)
    log.write(2)
    world.ship()
    log.copy_truncate("audit.log.1")
    log.write(2)
    complete(world, target, log)


def test_what_a_server_adds_to_a_shipped_file_is_read_from_what_it_is_compressed_to(
    world: World, target: Target, tmp_path: Path
) -> None:
    log = Log(world.log)
    log.write(2)
    world.ship()
    log.rename_and_flush("audit.log.1")
    log.write(1)
    world.settle()
    older = world.log.with_name("audit.log.1")
    with older.open("a") as file:
        file.write(json_row(3))
    world.clock.move(SCAN_SECONDS)
    world.source.catalog.poll()
    older.with_name("audit.log.1.gz").write_bytes(gzip.compress(older.read_bytes()))
    older.unlink()
    world.crash()
    world = World(tmp_path, [target], world.clock)
    world.settle()
    assert sorted(filter(None, target.users)) == ["u0", "u1", "u2", "u3"]
    assert set(target.held.values()) == {1}
    assert (world.told(Lost), world.source.remaining()) == ([], [])


def test_a_copy_that_was_seen_before_the_log_was_truncated(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(50)
    world.source.catalog.poll()
    log.copy("audit.log.1")
    world.source.catalog.poll()  # two files hold the same
    log.truncate()
    log.write(3)
    complete(world, target, log)


def test_the_copy_of_a_truncated_log_is_held_in_its_place(
    world: World, target: Target, tmp_path: Path
) -> None:
    log = Log(world.log)
    log.write(9)
    world.source.catalog.poll()
    log.copy_truncate("audit.log.1")
    log.write(1)
    world.source.catalog.poll()
    log.path.with_name("audit.log.1").unlink()
    world.crash()
    world = World(tmp_path, [target], world.clock)
    complete(world, target, log)
    [link] = (tmp_path / "state" / "held" / "main").iterdir()
    assert link.samefile(log.path)


def test_a_copy_that_is_still_being_written_is_waited_for(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()
    text = log.path.read_bytes()
    copy = log.path.with_name("audit.log.1")
    copy.touch()
    log.truncate()
    log.write(1)
    world.source.catalog.poll()  # the copy is empty, and the folder will not change any more
    world.clock.move(SETTLE / 2)
    copy.write_bytes(text)
    world.source.catalog.poll()
    complete(world, target, log)


def test_truncation_without_a_copy_is_an_alarm_with_the_bytes_lost(
    world: World, target: Target
) -> None:
    log = Log(world.log)
    log.write(2)
    world.ship()
    read = log.path.stat().st_size
    log.write(1)
    world.source.catalog.poll()  # seen, but not read
    size = log.path.stat().st_size
    log.truncate()
    log.write(2)
    world.settle()
    assert target.users == ["u0", "u1", "u3", "u4"]
    assert [notice.span for notice in world.told(Lost)] == [Span(read, size)]
    assert [loss.span for loss in world.source.state.losses()] == [Span(read, size)]


def test_a_deleted_log_is_read_to_its_end(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()
    log.path.unlink()
    log.write(2)
    world.ship()
    log.reopen()
    log.write(1)
    complete(world, target, log)


def test_rotated_segments_are_held_against_pruning_also_over_a_restart(
    tmp_path: Path, target: Target
) -> None:
    world = World(tmp_path, [target])
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()
    log.rotate_by_size()
    log.write(1)
    world.source.catalog.poll()
    world.crash()
    log.path.with_name("audit.log.1").unlink()
    again = World(tmp_path, [target], world.clock)
    complete(again, target, log)
    assert list((tmp_path / "state" / "held" / "main").iterdir()) != []  # the live log
    log.rotate_by_size()
    log.write(1)
    complete(again, target, log)
    assert len(list((tmp_path / "state" / "held" / "main").iterdir())) == 1


def test_what_is_beyond_the_limit_is_announced_while_it_exists(
    tmp_path: Path, target: Target
) -> None:
    world = World(tmp_path, [target], hold_bytes_max=100)
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()
    log.rotate_by_size()
    log.write(1)
    world.source.catalog.poll()
    [told] = world.told(Endangered)
    assert told.unshipped == log.path.with_name("audit.log.1").stat().st_size
    complete(world, target, log)


def test_what_is_shipped_is_not_in_danger_where_no_link_can_be_made(
    tmp_path: Path, target: Target
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "held").touch()  # in the way of the folder, as another file system is
    world = World(tmp_path, [target])
    log = Log(world.log)
    for _ in range(2):
        log.write(3)
        world.source.catalog.poll()
        log.rotate_by_size()
        log.write(1)
        complete(world, target, log)
    assert world.told(Endangered) == []
    log.write(3)
    log.rotate_by_size()
    log.write(1)
    for _ in range(2):  # no lane works, and the time goes by
        world.clock.move(SETTLE + 1)
        world.source.catalog.poll()
    [told] = world.told(Endangered)
    assert told.path == str(log.path.with_name("audit.log.1"))


def test_everything_that_lies_there_comes_oldest_first(world: World, target: Target) -> None:
    log = Log(world.log)
    for _ in range(3):
        log.write(2)
        log.rotate_by_size()
    log.write(2)
    oldest = log.path.with_name("audit.log.3")
    oldest.with_name("audit.log.3.gz").write_bytes(gzip.compress(oldest.read_bytes()))
    oldest.unlink()
    complete(world, target, log)


def test_compressing_a_shipped_segment_ships_nothing_again(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(3)
    log.rotate_by_size()
    log.write(1)
    world.settle()
    rotated = log.path.with_name("audit.log.1")
    rotated.with_name("audit.log.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    world.ship()
    rotated.unlink()
    complete(world, target, log)


def test_compressing_while_it_is_being_read_goes_on_in_the_archive(
    tmp_path: Path, target: Target
) -> None:
    world = World(tmp_path, [target], hold_bytes_max=1)
    log = Log(world.log)
    log.write(40)
    world.source.catalog.poll()
    log.rotate_by_size()
    log.write(1)
    world.source.catalog.poll()
    world.source.lanes[0].turn()
    world.crash()
    rotated = log.path.with_name("audit.log.1")
    rotated.with_name("audit.log.1.gz").write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    again = World(tmp_path, [target], world.clock)
    complete(again, target, log)


def test_another_format_after_a_restart_of_the_server(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(2)
    world.ship()
    log.write_text(XML_HEADER + xml_row(log.number))
    log.number += 1
    world.ship()
    replaced = Log(log.path.with_name("fresh"), "xml")
    replaced.number = log.number
    replaced.write(2)
    replaced.path.replace(log.path)
    world.settle()
    assert target.users == replaced.users()


def test_a_symbolic_link_that_is_swapped(tmp_path: Path, target: Target) -> None:
    world = World(tmp_path, [target])
    first = Log(tmp_path / "first")
    world.log.symlink_to(first.path)
    first.write(2)
    world.ship()
    second = Log(tmp_path / "second")
    second.number = 2
    second.write(2)
    world.log.unlink()
    world.log.symlink_to(second.path)
    complete(world, target, second)


def test_a_log_that_cannot_be_read_for_a_while(
    world: World, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(world.log)
    log.write(2)
    real = os.open

    def refused(path: str, *arguments: int, **more: int) -> int:
        if str(path) == str(log.path):
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr("shipper.source.finder.os.open", refused)
        world.settle()
    assert target.users == []
    assert any("Permission denied" in str(notice) for notice in world.notices)
    complete(world, target, log)
    assert any("can be read again" in str(notice) for notice in world.notices)


def test_names_of_enterprise_and_filter_archives(world: World, target: Target) -> None:
    log = Log(world.log)
    for name in (
        "audit.20180115T140633.log",
        "audit.20250401T120000-1.log",
        "audit.log.15159344437726520.xml",
        "audit.log-20260102",
    ):
        log.write(2)
        log.rename_and_flush(name)
        world.ship()
    log.write(1)
    complete(world, target, log)


def test_the_end_of_a_cut_rotated_file_is_a_defect_once_it_is_settled(
    world: World, target: Target
) -> None:
    log = Log(world.log)
    log.write(2)
    log.write_part()
    world.ship()
    log.rotate_by_size()
    log.write(1)
    world.settle()
    assert target.users == ["u0", "u1", "u3"]
    [letter] = world.source.dead_letters.read()
    assert (letter.reason, letter.sink) == ("malformed", "")
    assert letter.bytes is not None
    assert letter.bytes.startswith('{"audit_record"')


def test_twenty_renames_of_many_records_lose_nothing(tmp_path: Path) -> None:
    targets = [Target(), Target()]
    world = World(tmp_path, targets)
    log = Log(world.log, "mariadb")
    for round_ in range(22):
        log.write(997)
        if round_ % 3:
            world.ship()
        log.rename_and_flush(f"audit.log.{round_ + 100}")
    log.write(5)
    world.settle()
    for target in targets:
        assert Counter(target.users) == Counter(log.users())
    assert world.told(Lost) == []


def test_start_at_the_end_ships_only_what_comes(tmp_path: Path, target: Target) -> None:
    log = Log((tmp_path / "logs").mkdir() or tmp_path / "logs" / "audit.log")
    log.write(3)
    log.rotate_by_size()
    log.write(2)
    world = World(tmp_path, [target], start="end")
    world.ship()
    assert target.users == []
    log.write(2)
    world.settle()
    assert target.users == log.users()[-2:]
    world.crash()
    log.write(1)
    World(tmp_path, [target], world.clock, start="end").settle()
    assert target.users == log.users()[-3:]


def test_start_since_a_time(tmp_path: Path, target: Target) -> None:
    log = Log((tmp_path / "logs").mkdir() or tmp_path / "logs" / "audit.log")
    for _ in range(3):
        log.write(4)
        log.rotate_by_size()
    log.write(4)
    world = World(tmp_path, [target], start="since", since="2026-11-23T10:00:06Z")
    world.settle()
    assert target.users == log.users()[6:]


def test_a_long_way_into_an_archive_keeps_nobody_from_looking(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path / "audit.log")
    log.write(200)
    old = tmp_path / "logs" / "audit.log.1.gz"
    old.parent.mkdir()
    old.write_bytes(gzip.compress(log.path.read_bytes()))
    world = World(tmp_path, [target])
    segment = world.source.catalog.segments()[0]
    inflating, go_on = threading.Event(), threading.Event()
    read = Gunzip.read

    def slow(stream: Gunzip, offset: int, size: int) -> bytes:
        inflating.set()
        assert go_on.wait(60)
        return read(stream, offset, size)

    monkeypatch.setattr(Gunzip, "read", slow)
    got: list[bytes] = []
    reader = threading.Thread(
        target=lambda: got.append(world.source.catalog.read(segment, 0, 100)), daemon=True
    )
    reader.start()
    assert inflating.wait(60)
    # Looking, finding the live log, and even giving up the file do not wait for the reader, whose
    # file stays open until it is through.
    fresh = Log(world.log)
    fresh.number = 1000
    fresh.write(3)
    world.source.catalog.poll()
    assert len(world.source.catalog.segments()) == 2
    world.source.catalog.close()
    go_on.set()
    reader.join(60)
    assert got == [log.path.read_bytes()[:100]]
    assert segment.stream is None
    assert segment.retired == []


def test_a_held_log_that_was_truncated_in_place_waits_for_its_first_record(
    world: World, target: Target
) -> None:
    log = Log(world.log)
    log.write(3)
    world.source.catalog.poll()  # from now on a link holds the file, which stays the live one
    log.truncate()
    rest = log.write_part()
    world.settle()
    log.write_text(rest)
    log.write(2)
    world.settle()
    assert target.users == ["u3", "u4", "u5"]
    assert max(target.held.values()) == 1
    assert len(target.held) == 3
    log.rename_and_flush("audit.log.20260101")
    world.crash()
    again = World(world.log.parents[1], [target])
    again.settle()
    assert len(target.held) == 3
    assert log.number == 6


class GzipWriter:
    """A server that compresses while it writes, and flushes at each record."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._begin()

    def _begin(self) -> None:
        self._packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)

    def write(self, numbers: range) -> None:
        for number in numbers:
            self._file.write(self._packer.compress(json_row(number).encode()))
            self._file.write(self._packer.flush(zlib.Z_SYNC_FLUSH))

    def end_member(self) -> None:
        self._file.write(self._packer.flush())
        self._begin()

    def close(self) -> None:
        self.end_member()
        self._file.close()


@pytest.mark.parametrize("name", ["audit.log", "audit.log.20260101T000000-1.gz"])
def test_an_archive_that_is_still_written_is_followed(
    world: World, target: Target, name: str
) -> None:
    writer = GzipWriter(world.log.with_name(name))
    for start in (0, 10, 20):
        writer.write(range(start, start + 10))
        world.ship()
        assert target.users == [f"u{number}" for number in range(start + 10)]
    writer.close()
    world.settle()
    assert set(target.held.values()) == {1}


def test_a_live_archive_whose_writer_ends_its_members_is_not_at_its_end(
    tmp_path: Path, world: World, target: Target
) -> None:
    writer = GzipWriter(world.log)
    for start in (0, 10):
        writer.write(range(start, start + 10))
        writer.end_member()
        world.settle()
        assert target.users == [f"u{number}" for number in range(start + 10)]
    world.crash()
    again = World(tmp_path, [target])
    writer.write(range(20, 30))
    writer.close()
    again.settle()
    assert target.users == [f"u{number}" for number in range(30)]


@pytest.mark.parametrize("restart", ["none", "before it is seen", "before it is shipped"])
def test_a_server_that_writes_on_into_a_shipped_file_is_read_on(
    tmp_path: Path, restart: str
) -> None:
    """Percona's server does after a size rotation and a flush, until 8.0.31 (formats.md 1.9)."""
    targets = [Target(), Target()]
    world = World(tmp_path, targets)
    log = Log(world.log)
    log.write(10)
    log.rotate_by_size()
    log.write(5)
    world.settle()
    assert len(world.told(Finished)) == 2
    rotated = log.path.with_name("audit.log.1")
    for _ in range(2):
        if restart == "before it is seen":
            world.crash()
        with rotated.open("a") as file:
            file.write("".join(map(json_row, range(log.number, log.number + 7))))
        log.number += 7
        if restart == "before it is shipped":
            world.clock.move(SETTLE + 1)
            world.source.catalog.poll()  # which puts it into the ledger
            world.crash()
        if restart != "none":
            world = World(tmp_path, targets, world.clock)
        world.settle()
        for target in targets:
            assert sorted(filter(None, target.users)) == sorted(log.users())
    assert world.source.remaining() == []


def test_a_link_that_leads_to_itself_is_waited_for(world: World, target: Target) -> None:
    world.log.symlink_to(world.log.name)
    world.ship()
    world.log.unlink()
    log = Log(world.log)
    log.write(3)
    complete(world, target, log)


def test_a_sink_that_is_added_later_gets_what_still_lies_there(tmp_path: Path) -> None:
    first, second = Target(), Target()
    world = World(tmp_path, [first])
    log = Log(world.log)
    for _ in range(3):
        log.write(2)
        log.rotate_by_size()
    log.write(2)
    world.settle()
    world.crash()
    log.path.with_name("audit.log.3").unlink()
    again = World(tmp_path, [first, second], world.clock)
    again.settle()
    assert first.users == log.users()
    assert second.users == log.users()[2:]
    assert again.told(Lost) == []
    assert again.source.remaining() == []
    assert len(again.source.catalog.segments()) == 1


def test_archives_with_a_wrong_password_cost_once_and_hold_up_nobody(
    tmp_path: Path, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets, count = tmp_path / "secrets", 70
    secrets.mkdir()
    settings = PasswordSettings(directory=str(secrets))
    world = World(tmp_path, [target], passwords=settings)
    made: list[int] = []

    def slow(password: str, salt: bytes, iterations: int | None) -> Key:
        if iterations is not None:
            made.append(iterations)
            world.clock.move(0.4)  # as half a million rounds take
        return derive(password, salt, iterations)

    monkeypatch.setattr(passwords, "derive", slow)
    for number in range(count):
        id_ = f"20260101T000000-{number + 1}"
        (secrets / id_).write_text('{"password":"wrong","iterations":1000}')
        archive = openssl(json_row(number).encode(), "-pbkdf2", "-iter", "1000")
        (world.log.parent / f"audit.log.{id_}.enc").write_bytes(archive)
    log = Log(world.log)
    log.number = count
    log.write(1)
    world.ship()
    assert target.users == [f"u{count}"]  # though most archives were not asked yet
    assert len(made) < 10
    for _ in range(3 * count):
        world.clock.move(5)
        world.ship()
    assert len(made) == 2 * count  # as Percona's, and as openssl's own
    told = [notice.detail for notice in world.told(Trouble)]
    assert len(told) == len(set(told)) == count
    assert f"{secrets}/20260101T000000-1 and passwords.default: what is there does not" in told[0]
    assert told[0].count("audit.log.20260101T000000-1.enc") == 1
    for each in secrets.iterdir():
        each.write_text(f'{{"password":"{PASSWORD}","iterations":1000}}')
    for _ in range(3 * count):
        world.clock.move(5)
        world.ship()
    assert sorted(filter(None, target.users)) == sorted(log.users())


@pytest.mark.parametrize("name", ["audit.log", "audit.log.20260101T000000-1.gz"])
def test_a_live_archive_can_be_begun_at_its_end(tmp_path: Path, target: Target, name: str) -> None:
    (tmp_path / "logs").mkdir()
    writer = GzipWriter(tmp_path / "logs" / name)
    writer.write(range(20))
    (tmp_path / "logs" / "audit.log.9.gz").write_bytes(
        gzip.compress(json_row(0).replace("u0", "old").encode())
    )
    os.utime(tmp_path / "logs" / "audit.log.9.gz", (0, 0))
    world = World(tmp_path, [target], start="end")
    world.ship()
    writer.write(range(20, 30))
    world.settle()
    writer.close()
    assert target.users == [f"u{number}" for number in range(20, 30)]


def test_a_pipe_under_a_logs_name_is_told_and_ends_nothing(world: World, target: Target) -> None:
    os.mkfifo(world.log)
    world.settle()
    [told] = world.told(Trouble)
    assert told.detail == f"{world.log} is no file, but a pipe, device or folder"
    world.log.unlink()
    log = Log(world.log)
    log.write(2)
    complete(world, target, log)
