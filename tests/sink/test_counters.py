"""The sink `metrics`: what it counts, once, over restarts, and what it shows of users."""

from __future__ import annotations

from typing import Any

import pytest
from clocks import FakeClock
from sink.blocks import SEGMENT, batch, defective, failed_login

from shipper.counts import AuditCounts
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    CONNECT,
    DISCONNECT,
    KINDS,
    QUERY,
    TABLE,
    AuditRecord,
    Marked,
)
from shipper.sink import make_sink
from shipper.sink.base import Batch, Receipt, Surroundings
from shipper.sink.counters import AuditCounters, Settings

BY_USER = "mysql_audit_connect_failures_by_account_total"
BY_SOURCE = "mysql_audit_connect_failures_by_source_total"


def counters(clock: FakeClock | None = None, **settings: Any) -> AuditCounters:
    around = Surroundings(clock=clock or FakeClock())
    sink = make_sink(Settings(**settings), around)
    assert isinstance(sink, AuditCounters)
    sink.prepare()
    return sink


def seen(*records: AuditRecord, **settings: Any) -> AuditCounts:
    sink = counters(**settings)
    sink.deliver(batch(*records))
    return sink.view()


def record(kind: str, status: int = 0, **fields: Any) -> AuditRecord:
    return AuditRecord(kind=kind, name=kind, format="percona-json", status=status, **fields)


def test_each_kind_where_it_belongs() -> None:
    counts = seen(
        record(CONNECT, timestamp="2026-11-23T10:00:00Z"),
        record(CONNECT, 1045, user="eve", ip="10.0.0.9"),
        record(CHANGE_USER, 1045, user="eve", ip="10.0.0.9"),
        record(CONNECT, 1158, user=""),
        record(DISCONNECT),
        record(QUERY, command_class="select"),
        record(QUERY, 1064, command_class="select"),
        record(QUERY, 9999, command_class="binlog"),
        record(TABLE, command_class="select"),
        record(QUERY, timestamp="2026-11-23T10:00:05Z"),
    )
    assert counts.connects == {CONNECT: 3, CHANGE_USER: 1}
    failures = {key: number for key, number in counts.connect_failures.items() if number}
    assert failures == {
        (CONNECT, "1045", "ER_ACCESS_DENIED_ERROR"): 1,
        (CHANGE_USER, "1045", "ER_ACCESS_DENIED_ERROR"): 1,
    }
    assert (counts.probes, counts.disconnects) == (1, 1)
    assert {name: number for name, number in counts.queries.items() if number} == {
        "select": 2,
        "other": 2,
    }
    assert counts.query_failures["select"] == counts.query_failures["other"] == 1
    assert counts.query_errors["1064"] == counts.query_errors["other"] == 1
    assert counts.by_account["eve"].count == counts.by_source["10.0.0.9"].count == 2
    assert sum(counts.records.values()) == 10
    assert counts.records == dict.fromkeys(KINDS, 0) | {
        CONNECT: 3,
        CHANGE_USER: 1,
        DISCONNECT: 1,
        QUERY: 4,
        TABLE: 1,
    }
    assert counts.newest == 1795428005


def test_a_full_server_is_nobodys_failure() -> None:
    counts = seen(record(CONNECT, 1040, user="app", ip="10.0.0.1"))
    assert counts.connect_failures[CONNECT, "1040", "ER_CON_COUNT_ERROR"] == 1
    assert counts.by_account == counts.by_source == {}


def test_an_error_number_means_what_its_server_says() -> None:
    counts = seen(
        AuditRecord(kind=CONNECT, format="mariadb", status=4151, user="a"),
        AuditRecord(kind=CONNECT, format="percona-json", status=4151, user="a"),
        AuditRecord(kind=CONNECT, format="percona-json", status=31337, user="a"),
    )
    assert counts.connect_failures[CONNECT, "4151", "ER_ACCOUNT_HAS_BEEN_LOCKED"] == 1
    assert counts.connect_failures[CONNECT, "other", "other"] == 2


def test_logging_is_on_until_the_server_says_that_it_ends() -> None:
    assert AuditCounts().logging is None
    assert seen(record(QUERY)).logging == 1
    assert seen(record(QUERY), record(AUDIT_STOP)).logging == 0
    counts = seen(record(AUDIT_STOP), record(AUDIT_START))
    assert (counts.logging, counts.stops, counts.starts) == (1, 1, 1)


def test_unreadable_ranges_are_counted_by_reason() -> None:
    sink = counters()
    assert sink.deliver(defective()).new == 0
    assert sink.view().defects["cut"] == 1


def test_a_batch_delivered_again_is_not_counted_again() -> None:
    sink = counters()
    assert sink.deliver(batch(failed_login(), failed_login())).new == 2
    receipt = sink.deliver(batch(failed_login(), failed_login(), failed_login()))
    assert (receipt.new, receipt.duplicates) == (1, 2)
    assert sink.view().connects[CONNECT] == 3


def test_a_record_in_the_place_of_a_footer_that_was_taken_back_counts() -> None:
    sink, first = counters(), batch(failed_login())
    first.blocks[0].end += 9  # the footer
    sink.deliver(first)
    assert sink.deliver(batch(failed_login(), start=10)).new == 1
    assert sink.view().connects[CONNECT] == 2


@pytest.mark.parametrize("saved_after", [0, 1, 2])
def test_a_restart_neither_loses_nor_repeats(saved_after: int) -> None:
    """The process dies at any moment; the lane delivers again from its last commit."""
    batches = [batch(failed_login(f"u{n}"), start=10 * n) for n in range(4)]
    first = counters()
    for one in batches[:saved_after]:
        first.deliver(one)
    saved = first.dump()
    first.deliver(batches[saved_after])  # counted, not committed
    second = counters()
    second.load(saved)
    for one in batches[saved_after:]:
        second.deliver(one)
    whole = counters()
    for one in batches:
        whole.deliver(one)
    assert second.view() == whole.view()


def test_a_state_of_an_older_program_gets_what_is_new() -> None:
    sink = counters()
    sink.deliver(batch(failed_login()))
    del sink._counts.queries["select"]  # noqa: SLF001 as if the list had been shorter
    newer = counters()
    newer.load(sink.dump())
    assert newer.view().queries["select"] == 0
    assert newer.view().connects[CONNECT] == 1


def test_a_state_that_cannot_be_read_says_what_to_do() -> None:
    with pytest.raises(MisconfiguredError, match="Rename the sink"):
        counters().load(b"\x00what")


def test_the_watcher_sees_each_record_once_and_is_kept() -> None:
    class Watcher:
        seen = 0

        def see(self, marked: Marked, batch: Batch, end: int) -> None:
            assert (batch.segment, end) == (SEGMENT, 20)
            assert len(marked.records) == len(marked.starts)
            self.seen += len(marked.records)

        def settle(self) -> bool:
            return False

        def dump(self) -> bytes:
            return b"%d" % self.seen

        def load(self, saved: bytes) -> bool:
            self.seen = int(saved)
            return True

    first, sink = Watcher(), counters()
    sink.watch(first)
    sink.deliver(batch(failed_login(), failed_login()))
    sink.deliver(batch(failed_login(), failed_login()))
    assert first.seen == 2
    second, sink = Watcher(), counters()
    sink.watch(second)
    sink.load(counters_with(first).dump())
    assert second.seen == 2


def test_a_batch_whose_findings_cannot_be_kept_counts_once_and_is_not_acknowledged() -> None:
    class FullDisk:
        seen = 0
        full = True

        def see(self, records: Any, _batch: Batch, _end: int) -> None:
            self.seen += len(list(records))

        def settle(self) -> bool:
            if self.full:
                raise UnavailableError("no space left on device")
            return True

        def dump(self) -> bytes:
            return b""

    watcher = FullDisk()
    sink = counters_with(watcher)
    for _ in range(3):
        with pytest.raises(UnavailableError):
            sink.deliver(batch(failed_login(), failed_login()))
    watcher.full = False
    # As new: the attempts before were no delivery.
    assert not sink.urgent
    assert sink.deliver(batch(failed_login(), failed_login())) == Receipt(2)
    assert sink.urgent
    assert sink.deliver(batch(failed_login(), failed_login())) == Receipt(0, 2)
    assert sink.view().connects["connect"] == watcher.seen == 2


def counters_with(watcher: Any) -> AuditCounters:
    sink = counters()
    sink.watch(watcher)
    return sink


def test_first_come_first_served_and_idle_ones_make_room() -> None:
    clock = FakeClock()
    sink = counters(clock, series_max=2)
    at = 0
    for user in ("a", "b", "c", "a"):
        sink.deliver(batch(failed_login(user), start=at))
        at += 10
    shown = {value: tally.count for value, tally in sink.view().by_account.items()}
    assert shown == {"a": 2, "b": 1, "__other__": 1}
    assert sink.view().untracked[BY_USER, "max_series"] == 1
    clock.move(4000)
    sink.deliver(batch(failed_login("c"), start=at))
    shown = {value: tally.count for value, tally in sink.view().by_account.items()}
    assert shown == {"c": 1, "__other__": 1}


@pytest.mark.parametrize(
    ("user", "shown", "reason"),
    [
        ("", "__none__", None),
        ("__other__", "__other__", "reserved"),
        ("x" * 200, None, "too_long"),
        ("bad\udcff", "bad\\udcff", "invalid_utf8"),
        ("a\x1b[2Jb\n", "a\\x1b[2Jb\\n", None),
        ("Zoë", "Zoë", None),
    ],
)
def test_hostile_and_odd_names(user: str, shown: str | None, reason: str | None) -> None:
    counts = seen(failed_login(user))
    ((value, tally),) = counts.by_account.items()
    assert shown in (None, value)
    assert tally.count == 1
    assert len(value.encode()) <= 64
    untracked = {key: number for key, number in counts.untracked.items() if number}
    assert untracked == ({} if reason is None else {(BY_USER, reason): 1})


def test_two_long_names_are_not_the_same() -> None:
    assert len(seen(failed_login("x" * 200), failed_login("x" * 201)).by_account) == 2


def test_modes() -> None:
    login = failed_login("bob")
    assert seen(login, users="off", addresses="off").by_account == {}
    hashed = seen(login, users="hash", hash_key="k", addresses="hash")
    other = seen(login, users="hash", hash_key="l")
    assert "bob" not in hashed.by_account
    assert set(hashed.by_account) != set(other.by_account)
    assert "10.0.0.9" not in hashed.by_source
    listed = seen(login, failed_login("eve"), users="allow", users_allowed=("bob",))
    assert set(listed.by_account) == {"bob", "__other__"}
    near = seen(login, addresses="allow", addresses_allowed=("10.0.0.0/8",))
    assert set(near.by_source) == {"10.0.0.9"}


@pytest.mark.parametrize(
    ("settings", "users", "sources"),
    [
        ({}, {"bob", "eve", "__none__"}, {"10.0.0.9", "192.0.2.7"}),
        ({"users": "off"}, set(), {"10.0.0.9", "192.0.2.7"}),
        ({"users": "hash", "addresses": "hash", "hash_key": "k"}, {"__none__"}, set()),
        (
            {"users": "allow", "users_allowed": ("bob",)},
            {"bob", "__none__"},
            {"10.0.0.9", "192.0.2.7"},
        ),
        (
            {"addresses": "allow", "addresses_allowed": ("10.0.0.0/8",)},
            {"bob", "eve", "__none__"},
            {"10.0.0.9"},
        ),
        ({"trusted_proxies": ("10.0.0.0/8",)}, {"bob", "eve", "__none__"}, {"192.0.2.7"}),
    ],
)
def test_what_may_not_be_shown_any_more_is_gone_after_the_restart(
    settings: dict[str, Any], users: set[str], sources: set[str]
) -> None:
    """Somebody finds passwords among the names, and says `users: hash`."""
    before = counters()
    eve = record(CONNECT, status=1045, user="eve", ip="192.0.2.7")
    before.deliver(batch(failed_login("bob"), eve))
    before.deliver(batch(failed_login(""), start=1000))
    after = counters(**settings)
    after.load(before.dump())
    counts = after.view()
    assert (set(counts.by_account), set(counts.by_source)) == (users, sources)
    assert counts.connects == before.view().connects
    # And what these settings make stays from now on.
    after.deliver(batch(failed_login("bob"), start=2000))
    again = counters(**settings)
    again.load(after.dump())
    assert again.view() == after.view()


def test_a_proxy_does_not_look_like_one_attacker() -> None:
    counts = seen(failed_login(), trusted_proxies=("10.0.0.0/24",))
    assert set(counts.by_source) == {"__proxy__"}


@pytest.mark.parametrize(
    "settings",
    [
        {"trusted_proxies": ("nowhere",)},
        {"users": "allow"},
        {"addresses": "allow", "addresses_allowed": ("10.0.0.0/99",)},
    ],
)
def test_settings_that_disagree_are_told(settings: dict[str, Any]) -> None:
    assert list(Settings(**settings).problems())
