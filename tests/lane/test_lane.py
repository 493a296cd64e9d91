"""What a lane promises: nothing lost, nothing twice, whatever the target and the disk do."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from lane.logs import XML_HEADER, Log, json_row
from lane.world import FaultySink, PackingSink, Target, World, unavailable

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.lane.dead_letters import DeadLetters, Letter
from shipper.lane.retry import Backoff
from shipper.lane.state import State
from shipper.model import AuditRecord
from shipper.notices import Mended, Refused, Trouble, Waiting
from shipper.sink import Batch


@pytest.fixture
def target() -> Target:
    return Target()


@pytest.fixture(params=[FaultySink, PackingSink])
def world(tmp_path: Path, target: Target, request: pytest.FixtureRequest) -> World:
    return World(tmp_path, [target], kinds=[request.param])


def test_an_outage_is_waited_out_and_told_once(world: World, target: Target) -> None:
    log = Log(world.log)
    world.sinks[0].before = [unavailable] * 7
    log.write(3)
    world.ship()
    assert target.users == log.users()
    waits = [notice.seconds for notice in world.told(Waiting)]
    assert len(waits) == 7
    assert waits[0] <= 0.5
    assert waits[6] >= 16
    assert len(world.told(Trouble)) == 1
    assert len(world.told(Mended)) == 1


def test_waits_double_up_to_a_minute_and_respect_the_target() -> None:
    backoff = Backoff(lambda: 1.0)
    waits = [backoff.failed() for _ in range(9)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.failed(retry_after=90) == 90
    assert backoff.failed(retry_after=9999) == 300
    backoff.worked()
    assert Backoff(lambda: 0.0).failed() == 0.25


def test_a_wrong_configuration_of_the_target_ends_the_lane(world: World) -> None:
    def refuse(_batch: Batch) -> None:
        raise MisconfiguredError("no such index")

    Log(world.log).write(1)
    world.sinks[0].before = [refuse]
    with pytest.raises(MisconfiguredError, match="no such index"):
        world.ship()


def test_a_target_that_is_down_delays_no_other(tmp_path: Path) -> None:
    down, up = Target(), Target()
    world = World(tmp_path, [down, up])
    log = Log(world.log)
    log.write(300)
    world.source.catalog.poll()
    while world.source.lanes[1].turn():
        pass
    assert up.users == log.users()
    assert down.users == []
    world.ship()
    assert down.users == log.users()


def test_refused_records_lie_in_the_dead_letters_and_their_neighbours_are_delivered(
    world: World, target: Target
) -> None:
    log = Log(world.log)
    world.sinks[0].refuse = lambda record: record.user in {"u2", "u5"}
    log.write(7)
    world.ship()
    assert target.users == ["u0", "u1", "u3", "u4", "u6"]
    letters = list(world.source.dead_letters.read())
    assert [letter.bytes for letter in letters] == [json_row(2), json_row(5)]
    assert {(each.sink, each.reason, each.detail) for each in letters} == {
        ("sink0", "mapping", "no such field")
    }
    assert isinstance(letters[0].audit_record(), AuditRecord)
    assert letters[0].audit_record().user == "u2"
    assert [(notice.records, notice.reason) for notice in world.told(Refused)] == [(2, "mapping")]
    cursor = world.source.state.cursors()["sink0"].popitem()[1]
    assert (cursor.records, cursor.refused) == (5, 2)


def test_a_refused_record_is_read_again_with_the_sessions_of_its_time(
    tmp_path: Path, target: Target
) -> None:
    """The end of a session does not say whose it was; by then another has its number."""
    world = World(tmp_path, [target], kinds=[PackingSink])
    log = Log(world.log)
    log.write(3)
    world.ship()
    world.sinks[0].refuse = lambda record: record.name == "Quit"
    log.write_text(
        "".join(
            json_row(1).replace('"u1"', user).replace('"Connect"', name)
            for user, name in (('""', '"Quit"'), ('"eve"', '"Connect"'), ('""', '"Quit"'))
        )
    )
    world.ship()
    letters = list(world.source.dead_letters.read())
    assert [letter.audit_record().user for letter in letters] == ["u1", "eve"]
    assert [letter.document for letter in letters] == [None, None]


def test_what_was_refused_is_kept_even_where_the_log_is_cut_away_meanwhile(
    tmp_path: Path, target: Target
) -> None:
    world = World(tmp_path, [target], kinds=[PackingSink])
    log = Log(world.log)
    world.sinks[0].refuse = lambda record: record.user == "u2"
    world.sinks[0].before = [lambda _batch: log.truncate()]
    log.write(4)
    world.ship()
    (letter,) = world.source.dead_letters.read()
    assert (letter.record, letter.document) == (None, {"who": "u2"})


def test_a_crash_between_delivery_and_commit_repeats_no_more_than_that_delivery(
    tmp_path: Path, target: Target
) -> None:
    world = World(tmp_path, [target])
    log = Log(world.log)
    log.write(10)
    world.ship()
    log.write(5)
    real = world.source.state.commit

    def killed(*_arguments: Any, **_more: Any) -> None:
        raise KeyboardInterrupt  # as good as SIGKILL: nothing after it runs

    world.source.state.commit = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        world.ship()
    world.source.state.commit = real  # type: ignore[method-assign]
    world.crash()
    World(tmp_path, [target], world.clock).ship()
    assert set(target.users) == set(log.users())
    assert target.users == [*log.users(), *log.users()[-5:]]


def test_a_full_disk_under_the_state_stops_and_loses_nothing(world: World, target: Target) -> None:
    log = Log(world.log)
    log.write(3)
    real, failures = world.source.state.commit, [1, 2, 3]

    def full(*arguments: Any, **more: Any) -> None:
        if failures:
            failures.pop()
            raise UnavailableError("cannot write the state: database or disk is full")
        real(*arguments, **more)

    world.source.state.commit = full  # type: ignore[method-assign]
    world.ship()
    assert target.users == log.users()
    assert target.deliveries == 1
    assert world.source.remaining() == []
    assert any("disk is full" in str(notice) for notice in world.told(Trouble))


def test_stopping_interrupts_a_wait_and_keeps_the_position(tmp_path: Path, target: Target) -> None:
    world = World(tmp_path, [target])
    log = Log(world.log)
    log.write(3)

    def stop(_batch: Batch) -> None:
        world.source.stop.set()
        raise UnavailableError("no answer")

    world.sinks[0].before = [stop]
    world.source.catalog.poll()
    world.source.lanes[0].turn()
    world.source.lanes[0].turn()
    assert world.source.remaining() != []
    world.crash()
    World(tmp_path, [target], world.clock).ship()
    assert target.users == log.users()


def test_several_in_flight_commit_only_what_arrived_without_a_gap(
    tmp_path: Path, target: Target
) -> None:
    gate = threading.Event()
    world = World(tmp_path, [target], in_flight=3)
    log = Log(world.log)

    def wait(_batch: Batch) -> None:
        assert gate.wait(30)

    world.sinks[0].batch_bytes = 4096
    world.sinks[0].before = [wait]
    log.write(2000)  # many pieces of 128 KiB
    world.source.catalog.poll()
    lane = world.source.lanes[0]
    lane.turn()
    lane.turn()
    segment = world.source.catalog.segments()[0]
    assert lane.position(segment) == 0  # later parcels may have arrived, the first has not
    gate.set()
    world.ship()
    assert sorted(target.users, key=str) == sorted(log.users())
    assert lane.position(segment) == log.path.stat().st_size


def test_sessions_are_joined_across_a_restart(tmp_path: Path) -> None:
    seen: list[tuple[str | None, str | None]] = []
    target = Target()

    log = Log((tmp_path / "logs").mkdir() or tmp_path / "logs" / "audit.log")
    log.write_text(XML_HEADER)
    connect = (
        '<AUDIT_RECORD\n  NAME="Connect"\n  RECORD="1_2014-04-28T11:02:54"\n'
        '  TIMESTAMP="2014-04-28T11:02:59 UTC"\n  CONNECTION_ID="7"\n  STATUS="0"\n'
        '  USER="bob"\n  PRIV_USER="bob"\n  OS_LOGIN=""\n  PROXY_USER=""\n  HOST="web1"\n'
        '  IP="10.0.0.1"\n  DB=""\n/>\n'
    )
    quit_ = connect.replace("Connect", "Quit").replace("1_2014", "2_2014")
    for word in ("bob", "web1", "10.0.0.1"):
        quit_ = quit_.replace(f'"{word}"', '""')
    log.write_text(connect)
    world = World(tmp_path, [target])
    world.ship()
    world.crash()
    log.write_text(quit_)
    again = World(tmp_path, [target], world.clock)
    again.sinks[0].refuse = lambda record: bool(seen.append((record.name, record.user)))
    again.ship()
    assert seen == [("Quit", "bob")]


def test_record_numbers_tell_whether_something_is_missing(tmp_path: Path, target: Target) -> None:
    world = World(tmp_path, [target])
    log = Log(world.log)
    log.write(50)
    log.number += 3  # three records that the server numbered and nobody wrote
    log.write(50)
    log.write_text(json_row(200).replace('10:00:00"', '11:11:11"', 1))
    world.ship()
    world.crash()
    sequences = State(tmp_path / "state" / "main.db", read_only=True)
    known = sequences.lane("sink0").sequences
    sequences.close()
    assert sum(gap.missing for gap in known.open_gaps()) == 3


def test_a_lost_state_directory_ships_again_and_says_nothing_is_missing(
    tmp_path: Path, target: Target
) -> None:
    world = World(tmp_path, [target])
    log = Log(world.log)
    log.write(4)
    world.ship()
    world.crash()
    for path in (tmp_path / "state").glob("main.db*"):
        path.unlink()
    World(tmp_path, [target], world.clock).ship()
    assert set(target.users) == set(log.users())
    assert max(target.held.values()) == 2  # the same identity: a store with a key has it once


def test_the_state_of_another_instance_is_refused(tmp_path: Path) -> None:
    State(tmp_path / "a.db", instance="db1").close()
    with pytest.raises(MisconfiguredError, match="instance 'db1', and now it is 'db2'"):
        State(tmp_path / "a.db", instance="db2")


def test_a_state_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"not a database at all, but long enough to look at " * 50)
    with pytest.raises(MisconfiguredError, match="Move it away"):
        State(path)


def test_the_state_is_private_and_synchronous(tmp_path: Path) -> None:
    state = State(tmp_path / "a.db")
    assert (tmp_path / "a.db").stat().st_mode & 0o777 == 0o600
    pragmas = ("PRAGMA synchronous", "PRAGMA journal_mode")
    assert [state._db.execute(each).fetchone()[0] for each in pragmas] == [2, "wal"]  # noqa: SLF001
    state.close()


def letter(offset: int, detail: str = "") -> Letter:
    return Letter(
        at="2026-11-23T10:00:00.000Z",
        sink="s",
        reason="mapping",
        detail=detail,
        source="main",
        path="audit.log",
        segment="ff",
        span=(offset, offset + 10),
    )


def test_dead_letters_have_a_limit_that_is_told(tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path / "x.dead-letters.ndjson", bytes_max=1000)
    letters.add([letter(0)])
    with pytest.raises(UnavailableError, match="are full"):
        letters.add([letter(10, "x" * 1000)])
    assert [each.span for each in letters.read()] == [(0, 10)]
    assert (tmp_path / "x.dead-letters.ndjson").stat().st_mode & 0o777 == 0o600


def test_a_letter_that_a_crash_wrote_twice_or_cut_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "x.dead-letters.ndjson"
    letters = DeadLetters(path)
    letters.add([letter(0), letter(10)])
    letters.add([letter(10), letter(20)])
    path.write_bytes(path.read_bytes()[:-20])
    assert [each.span[0] for each in letters.read()] == [0, 10]
    # The delivery is repeated after a crash: its letters do not go on in the line that was cut.
    letters.add([letter(20), letter(30)])
    assert [each.span[0] for each in letters.read()] == [0, 10, 20, 30]
