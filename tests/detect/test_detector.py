"""The rules one by one, and what holds for all of them."""

from __future__ import annotations

import random
from functools import cache

import msgspec
import pytest
from detect.corpus import START, WIDTH, attacked, blocks, statement
from detect.score import (
    FALSE_ALARMS_PER_DAY_GOAL,
    RECALL_GOAL,
    measure,
    table,
)
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shipper.clock import rfc3339
from shipper.detect import Detector, Settings
from shipper.detect.settings import RuleName
from shipper.detection import RULES, Detection
from shipper.model import AUDIT_STOP, CHANGE_USER, CONNECT, AuditRecord

EVIL = "203.0.113.9"


def login(
    at: float,
    user: str = "root",
    ip: str = EVIL,
    status: int = 1045,
    kind: str = CONNECT,
) -> AuditRecord:
    moment = rfc3339(START + at)[:19] + "Z"
    return AuditRecord(
        kind=kind, name=kind, format="mariadb", timestamp=moment, user=user, ip=ip, status=status
    )


def see(records: list[AuditRecord], detector: Detector | None = None) -> list[Detection]:
    detector = detector or Detector()
    return [found for block in blocks(records) for found in detector.see(block, "s")]


def rules(found: list[Detection]) -> list[str]:
    return [one.rule for one in found]


def test_twenty_refused_logins_of_one_source_are_a_burst_and_nineteen_are_not() -> None:
    assert rules(see([login(second) for second in range(19)])) == []
    (found,) = see([login(second) for second in range(20)])
    assert (found.rule, found.source, found.count) == ("source_burst", EVIL, 20)
    assert (found.first, found.last, found.accounts) == (START, START + 19, 1)
    assert found.at == ("s", 19 * WIDTH)
    assert [sample.offset for sample in found.samples] == [1500, 1600, 1700, 1800, 1900]


def places(found: Detection) -> list[int]:
    """Which records the samples are, counted from 0."""
    return sorted(sample.offset // WIDTH for sample in found.samples)


def test_samples_are_records_of_the_finding_and_not_older_ones() -> None:
    """A service with a wrong password tries once an hour for days; then somebody guesses."""
    now_and_then = [login(3600 * n) for n in range(72)]
    burst = [login(72 * 3600 + second) for second in range(20)]
    (found,) = see([*now_and_then, *burst])
    assert places(found) == [87, 88, 89, 90, 91]
    assert found.first == START + 72 * 3600
    # What was read last need not belong to it where records are unordered.
    later = [login(500 + n) for n in range(4)]
    (found,) = see([*[login(10 * n) for n in range(19)], *later, login(195)])
    assert (found.first, found.last) == (START, START + 195)
    assert places(found) == [23]


def test_a_state_of_before_samples_had_times_is_read() -> None:
    records = [login(second) for second in range(20)]
    detector = Detector()
    see(records[:10], detector)
    state = msgspec.msgpack.decode(detector.dump())
    for name in ("sources", "accounts", "spread"):
        for window in state[name].values():
            assert len(window.pop()) == 5
    other = Detector()
    assert other.load(msgspec.msgpack.encode(state))
    (found,) = [one for block in blocks(records) for one in other.see(block, "s")]
    assert places(found) == [15, 16, 17, 18, 19]


def test_the_window_is_half_open() -> None:
    spread = [login(second) for second in (*range(19), 300)]
    assert rules(see(spread)) == []
    assert rules(see([*spread[:-1], login(299)])) == ["source_burst"]


def test_a_burst_is_told_once_and_again_after_a_day() -> None:
    long = [login(minute * 60 + second) for minute in range(26 * 60) for second in (0, 9, 21, 40)]
    first, second = see(long)
    assert not first.again
    assert second.again
    assert 86400 <= second.last - first.last <= 86460
    assert second.count > 5000


def test_a_burst_after_an_hour_of_quiet_is_a_new_one() -> None:
    found = see([login(second) for second in (*range(30), *range(4000, 4030))])
    assert rules(found) == ["source_burst", "source_burst"]
    assert len({one.id for one in found}) == 2


def test_records_out_of_order_and_late_ones_count_where_they_belong() -> None:
    records = [login(second * 14) for second in range(20)]
    random.Random(1).shuffle(records)
    assert rules(see(records)) == ["source_burst"]
    late = [login(0), *[login(600 + n, "bob", "10.0.0.1", 0) for n in range(9)]]
    late += [login(second) for second in range(1, 20)]
    assert rules(see(late)) == ["source_burst"]


def test_a_log_that_begins_anew_in_the_past_is_judged_by_itself() -> None:
    future = login(10 * 86400)
    assert rules(see([future, *[login(second) for second in range(20)]])) == ["source_burst"]


def test_one_account_from_several_sources() -> None:
    records = [login(second, ip=f"198.51.100.{second % 4}") for second in range(20)]
    (found,) = see(records)
    assert (found.rule, found.user, found.source) == ("account_burst", "root", None)
    assert found.addresses == 4
    assert found.sources == tuple(f"198.51.100.{n}" for n in range(4))


def test_a_finding_about_an_account_says_from_where_most_often_first_and_bounded() -> None:
    known = login(0, "app", "10.42.1.1", 0)
    stale = [login(10 + n / 9, "app", f"10.42.3.{n % 12 or 7}") for n in range(400)]
    (found,) = see([known, *stale])
    assert (found.rule, found.addresses, len(found.sources)) == ("account_burst", 11, 10)
    assert found.sources[0] == "10.42.3.7"  # twice as often as the others
    proxy = Settings(trusted_proxies=(EVIL,))
    (found,) = see([login(second) for second in range(20)], Detector(proxy))
    assert (found.addresses, found.sources) == (1, (EVIL,))


def test_what_one_episode_explains_does_not_begin_another() -> None:
    records = [login(second, ip=f"198.51.100.{second % 4}") for second in range(500)]
    assert rules(see(records)) == ["account_burst"]
    assert rules(see([login(second) for second in range(500)])) == ["source_burst"]


def test_five_accounts_from_one_source_are_a_spray() -> None:
    assert see([login(second * 60, f"user{second}") for second in range(4)]) == []
    (found,) = see([login(second * 60, f"user{second}") for second in range(5)])
    assert (found.rule, found.source, found.accounts) == ("password_spray", EVIL, 5)
    assert found.severity == "critical"


def test_one_account_from_five_networks_is_distributed() -> None:
    slow = [login(170 * n, ip=f"198.51.{n % 5}.7") for n in range(20)]
    (found,) = see(slow)
    assert (found.rule, found.user, found.networks) == ("distributed_burst", "root", 5)
    assert (found.addresses, found.sources) == (5, tuple(f"198.51.{n}.7" for n in range(5)))
    # Also where it is so fast that it is a burst of that account: one attack, one finding.
    fast = [login(n, ip=f"198.51.{n % 9}.7") for n in range(60)]
    assert rules(see(fast)) == ["distributed_burst"]
    near = [login(170 * n, ip=f"10.42.{n % 5}.7") for n in range(20)]
    assert see(near) == []


def test_a_login_that_succeeds_after_many_refused_ones() -> None:
    guesses = [login(second * 30) for second in range(10)]
    (found,) = see([*guesses, login(310, status=0)])
    assert (found.rule, found.source, found.user) == ("success_after_burst", EVIL, "root")
    assert found.count == 10
    assert see([*guesses[:9], login(310, status=0)]) == []
    assert see([*guesses, login(1200, status=0)]) == []


def test_the_success_may_be_read_before_the_failures() -> None:
    hit = login(310, status=0)
    (found,) = see([hit, *[login(second * 30) for second in range(10)]])
    assert found.rule == "success_after_burst"
    assert places(found) == [0, 7, 8, 9, 10]  # the login that worked is one of them
    assert see([login(0, status=0), *[login(1 + second * 30) for second in range(10)]]) == []


def test_a_success_from_elsewhere_after_an_account_was_guessed() -> None:
    records = [login(second, ip=f"198.51.{second % 9}.7") for second in range(40)]
    found = see([*records, login(60, ip="192.0.2.1", status=0)])
    assert rules(found)[-1] == "success_after_burst"
    assert len(found[-1].samples) == 5


def test_an_account_that_is_known_there_has_an_old_password() -> None:
    known = login(0, "app", "10.42.1.1", 0)
    stale = [login(10 + n, "app", f"10.42.{n % 9}.3") for n in range(150)]
    assert see([known, *stale, login(200, "app", "10.42.3.3", 0)]) == []
    many = [login(10 + n / 2, "app", f"10.42.{n % 9}.3") for n in range(500)]
    (found,) = see([known, *many])
    assert (found.rule, found.user) == ("account_burst", "app")
    assert rules(see([known, *[login(10 + n, "root", "10.42.1.1") for n in range(20)]])) == [
        "source_burst"
    ]


def test_change_user_guesses() -> None:
    guesses = [login(second * 50, kind=CHANGE_USER) for second in range(5)]
    (found,) = see(guesses)
    assert (found.rule, found.source) == ("change_user_guessing", EVIL)


def test_the_end_of_auditing_is_told_at_once() -> None:
    stop = AuditRecord(kind=AUDIT_STOP, name="NoAudit", timestamp="2026-09-01T00:00:00Z")
    (found,) = see([statement(), stop])
    assert (found.rule, found.severity) == ("audit_switched_off", "critical")


def test_an_error_code_is_new_when_the_log_is_known_for_a_week() -> None:
    early = [login(0, status=0), login(10, status=1045)]
    assert see(early) == []
    (found,) = see([*early, login(8 * 86400, status=3118), login(8 * 86400 + 9, status=3118)])
    assert (found.rule, found.error_code) == ("new_error_code", 3118)


def test_probes_full_servers_and_ignored_accounts_do_not_count() -> None:
    probes = [login(second, "", status=1158) for second in range(100)]
    full = [login(second, status=1040) for second in range(100)]
    settings = Settings(
        ignore_accounts=("exporter@10.0.0.0/8", "pmm"), ignore_sources=("192.0.2.0/24",)
    )
    ignored = [login(n, "exporter", "10.1.1.1") for n in range(100)]
    ignored += [login(n, "pmm") for n in range(100)]
    ignored += [login(n, "root", "192.0.2.8") for n in range(100)]
    assert see([*probes, *full]) == []
    assert see(ignored, Detector(settings)) == []
    # Not even as a reason that is new: a scanner of one's own tries all of them.
    strange = login(8 * 86400, "root", "192.0.2.8", 1251), login(8 * 86400, "pmm", status=3118)
    assert see([login(0, "app", "10.0.0.1", 0), *strange], Detector(settings)) == []
    guessed = [login(n, "exporter") for n in range(20)]
    assert rules(see(guessed, Detector(settings))) == ["source_burst"]


def test_a_trusted_proxy_is_nobodys_address() -> None:
    settings = Settings(trusted_proxies=("203.0.113.0/24",))
    spray = [login(second, f"user{second}") for second in range(100)]
    assert see(spray, Detector(settings)) == []
    burst = [login(second) for second in range(20)]
    assert rules(see(burst, Detector(settings))) == ["account_burst"]


def test_ipv4_inside_ipv6_is_the_same_source() -> None:
    records = [login(n, ip=(EVIL, f"::ffff:{EVIL}")[n % 2]) for n in range(20)]
    assert rules(see(records)) == ["source_burst"]


@cache
def everything() -> list[AuditRecord]:
    return attacked(3).records()


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_can_be_switched_off(rule: RuleName) -> None:
    found = set(rules(see(everything(), Detector(Settings(off=(rule,))))))
    assert found == set(RULES) - {rule}


def test_a_replay_does_not_detect_twice() -> None:
    records = [login(second) for second in range(60)]
    detector = Detector()
    assert rules(see(records, detector)) == ["source_burst"]
    assert see(records, detector) == []
    again = Detector()
    assert again.load(detector.dump())
    assert see(records, again) == []
    assert again.counts["source_burst"] == 1


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6), st.booleans())
@hypothesis_settings(max_examples=8, deadline=None)
def test_cuts_and_restarts_change_nothing(sizes: list[int], restart: bool) -> None:  # noqa: FBT001
    log = LOG
    detector, found, at = Detector(), [], 0
    while at < len(log):
        for size in sizes:
            for block in blocks(log[at : at + size], size, at * WIDTH):
                found += detector.see(block, "s")
            at += size
            if restart and at % 5 == 0:
                saved, detector = detector.dump(), Detector()
                assert detector.load(saved)
    assert found == EXPECTED


def _short_log() -> list[AuditRecord]:
    log = [login(n * 10, f"app{n % 3}", f"10.42.0.{n % 5}", 0) for n in range(200)]
    log += [login(2000 + n, f"u{n % 30}", f"198.51.{n % 40}.{n % 3}") for n in range(400)]
    log += [login(2450 + n, f"w{n}", "192.0.2.44") for n in range(8)]
    log += [login(2500 + n * 2, "root") for n in range(60)] + [login(2700, "root", status=0)]
    return log


def _days() -> list[AuditRecord]:
    """Make a log in which what is familiar is forgotten again and again, in the midst of blocks."""
    log, day = [], 86_400
    for number in range(1500):
        at = number * 300 - (number % 7 == 0) * 40_000  # some late by half a day
        log.append(login(at, f"app{number % 4}", f"10.{number % 3}.0.1", status=0))
        if number % 250 > 220:  # guesses, a hit, and guesses before it that are read afterwards
            log += [login(at + n, "root") for n in range(9)] + [login(at + 20, status=0)]
            log += [login(at + 8 + n, f"u{n}") for n in range(9)] + [login(at + 21, status=0)]
    return [*log, *(login(6 * day + n, "app1", "10.1.0.1") for n in range(300))]


@pytest.mark.parametrize("size", [7, 300, 5000])
def test_what_is_familiar_does_not_depend_on_the_cuts(size: int) -> None:
    """The state, familiar logins and all, is that of a detector which sees one record at a time."""
    one, other = Detector(), Detector()
    single = [found for block in blocks(_days(), 1) for found in one.see(block, "s")]
    cut = [found for block in blocks(_days(), size) for found in other.see(block, "s")]
    assert cut == single
    assert {"success_after_burst", "source_burst"} <= set(rules(single))
    assert other.dump() == one.dump()


LOG = _short_log()
EXPECTED = see(LOG)


def test_the_log_for_cutting_has_something_to_find() -> None:
    assert {"source_burst", "password_spray", "success_after_burst"} <= set(rules(EXPECTED))


def test_a_state_of_another_version_is_not_read() -> None:
    detector = Detector()
    assert not detector.load(b"\x00nonsense")
    assert not detector.load(b"\x81\xa7version\x63")
    assert rules(see([login(second) for second in range(20)], detector)) == ["source_burst"]


def test_invented_names_do_not_grow_the_state_or_hide_an_attack() -> None:
    settings = Settings(keys_max=256)
    flood = [login(n / 15, f"\ud800{n}" + "x" * 300, f"2001:db8:{n:x}::1") for n in range(6_000)]
    attack = [login(n * 2, "root", EVIL) for n in range(190)]
    records = sorted([*flood, *attack], key=lambda record: record.timestamp or "")
    detector = Detector(settings)
    found = see(records, detector)
    assert ("source_burst", EVIL) in {(one.rule, one.source) for one in found}
    assert len(detector.dump()) < 512 * 1024


def test_a_record_without_time_or_user_is_no_stumbling_block() -> None:
    bare = AuditRecord(kind=CONNECT, status=1045)
    (found,) = see([bare] * 20)
    assert (found.source, found.first) == ("(socket)", 0)


def test_gauge_of_accounts_tried_by_source() -> None:
    detector = Detector()
    see([login(n, f"u{n % 7}") for n in range(20)] + [login(30, ip="192.0.2.1")], detector)
    assert detector.failed_accounts() == [(EVIL, 7)]
    (later,) = blocks([login(86400, "bob", "10.0.0.1", 0)], start=100_000)
    detector.see(later, "s")
    assert detector.failed_accounts() == []


def test_the_gauge_falls_also_where_nobody_new_logs_in() -> None:
    detector, pool = Detector(), login(0, "app", "10.0.0.1", 0)
    see([pool] + [login(n, f"u{n % 7}") for n in range(20)], detector)
    assert detector.failed_accounts(elapsed=1700) == [(EVIL, 7)]
    assert detector.failed_accounts(elapsed=1900) == []
    (later,) = blocks([login(7200, "app", "10.0.0.1", 0)], start=100_000)
    detector.see(later, "s")  # known, and from the same address
    assert detector.failed_accounts() == []


def test_who_logs_in_daily_stays_familiar() -> None:
    daily = [login(day * 86400, "app", "10.0.0.1", 0) for day in range(40)]
    stale = [login(40 * 86400 + n, "app", "10.0.0.1") for n in range(30)]
    assert rules(see([*daily, *stale])) == ["new_error_code"]


def test_a_success_of_a_neighbour_that_guessed_at_others() -> None:
    """A network is familiar, not each address in it."""
    known = login(0, "app", "10.42.0.2", 0)
    guesses = [login(100 + n, f"user{n % 6}", "10.42.7.9") for n in range(60)]
    found = see([known, *guesses, login(200, "app", "10.42.7.9", 0)])
    assert (found[-1].rule, found[-1].source, found[-1].user) == (
        "success_after_burst",
        "10.42.7.9",
        "app",
    )
    assert "success_after_burst" not in rules(
        see([known, *guesses, login(200, "app", "10.42.0.2", 0)])
    )


def test_a_new_service_with_a_wrong_password_beside_one_that_works_is_no_break_in() -> None:
    known = login(0, "app", "10.42.0.2", 0)
    refused = [login(100 + n, "report", "10.42.7.9") for n in range(15)]
    assert rules(see([known, *refused, login(200, "app", "10.42.7.9", 0)])) == []


def test_findings_about_a_source_name_the_accounts() -> None:
    tried = ["root"] * 9 + ["admin"] * 8 + ["x"] * 3
    (burst,) = see([login(n, user) for n, user in enumerate(tried)])
    assert (burst.accounts, burst.users) == (3, ("root", "admin", "x"))
    (spray,) = see([login(n, f"u{n}") for n in range(5)])
    assert spray.users == ("u0", "u1", "u2", "u3", "u4")
    many = see([login(n, f"u{n}") for n in range(20)], Detector(Settings(off=("password_spray",))))
    assert (many[0].accounts, len(many[0].users)) == (20, 10)


def test_the_detector_knows_every_rule_by_name() -> None:
    assert set(RuleName.__args__) == set(RULES)
    assert set(Detector().counts) == set(RULES)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (Settings(trusted_proxies=("10.0.0.0/33",)), "trusted_proxies"),
        (Settings(ignore_sources=("here",)), "ignore_sources"),
        (Settings(ignore_accounts=("a@10.0.0.0/99",)), "ignore_accounts"),
        (Settings(ignore_accounts=("exporter@%",)), "exporter@%"),
        (Settings(ignore_accounts=("'exporter'@'10.0.0.1'",)), "quotes"),
        (Settings(ignore_accounts=("exporter@10.0.0.*",)), "10.0.0.*"),
        (Settings(spray_accounts=65), "spray_accounts"),
        (Settings(burst_failures=1), "burst_failures"),
        (Settings(slow_window_seconds=10), "slow_window_seconds"),
        # Rules that could never find anything, and one that would tell each failure.
        (Settings(burst_window_seconds=0), "burst_window_seconds"),
        (Settings(spray_window_seconds=0.5), "spray_window_seconds"),
        (Settings(distributed_window_seconds=0), "distributed_window_seconds"),
        (Settings(change_user_window_seconds=0), "change_user_window_seconds"),
        (Settings(repeat_seconds=0), "repeat_seconds"),
    ],
)
def test_settings_that_disagree_are_told(settings: Settings, word: str) -> None:
    assert any(word in problem for problem in settings.problems())


def saving(records: list[AuditRecord], settings: Settings) -> list[Detection]:
    """What is found where the state is saved, and so what is old forgotten, after each record."""
    detector, found = Detector(settings), []
    for block in blocks(records, 1):
        found += detector.see(block, "s")
        saved, detector = detector.dump(), Detector(settings)
        assert detector.load(saved)
    return found


def test_long_windows_are_as_long_as_they_say() -> None:
    """Somebody tries an account every four hours, for whom a day is the window."""
    slow = [login(n * 14_400, f"user{n}") for n in range(5)]
    assert rules(saving(slow, Settings(spray_window_seconds=86_400))) == ["password_spray"]
    changes = [login(n * 14_400, kind=CHANGE_USER) for n in range(5)]
    settings = Settings(change_user_window_seconds=86_400, off=("success_after_burst",))
    assert rules(saving(changes, settings)) == ["change_user_guessing"]


def test_a_long_quiet_is_as_long_as_it_says() -> None:
    burst = [*(login(n) for n in range(20)), login(20_000, "bob", "10.0.0.1", 0)]
    later = [login(40_000 + n) for n in range(20)]
    assert len(saving([*burst, *later], Settings(quiet_seconds=86_400))) == 1
    assert len(saving([*burst, *later], Settings())) == 2


def test_recall_and_false_alarms_meet_the_goals() -> None:
    under_attack, quiet = measure(instances=2, days=14)
    assert under_attack.recall >= RECALL_GOAL, table(under_attack, quiet)
    for score in (under_attack, quiet):
        assert score.false_alarms.total() <= FALSE_ALARMS_PER_DAY_GOAL * score.days, table(
            under_attack, quiet
        )
