"""The analysis of failed logins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from report.failing import HOSTILE_NAMES, at, row

from shipper.errors import UsageError
from shipper.report import groups
from shipper.report.failed_logins import NAMES_MAX, FailedLogin, analyse
from shipper.report.result import FailedLoginReport, Line, Peak, Section


def line(section: Section[str], key: str) -> Line[str]:
    (found,) = [each for each in section.lines if each.key == key]
    return found


def keys(section: Section[str]) -> list[str]:
    return [each.key for each in section.lines]


def numbers(report: FailedLoginReport) -> list[int | None]:
    return [each.key.status for each in report.by_error.lines]


def test_attempts_are_counted_by_user_source_and_error() -> None:
    report = analyse(
        [
            row(0, "root", "10.0.0.1"),
            row(1, "root", "10.0.0.2"),
            row(2, "app", "10.0.0.2", status=1044),
            row(300, "root", "10.0.0.1", status=1049),
        ]
    )
    assert (report.attempts, report.users, report.sources) == (4, 2, 2)
    assert (report.first, report.last) == (at(0), at(300))
    assert report.by_user.lines == [
        Line(
            key="root",
            attempts=3,
            sources=2,
            first=at(0),
            last=at(300),
            peak=Peak(2, at(0), burst=False),
        ),
        Line(
            key="app",
            attempts=1,
            sources=1,
            first=at(2),
            last=at(2),
            peak=Peak(1, at(2), burst=False),
        ),
    ]
    assert [(each.key, each.attempts, each.users) for each in report.by_source.lines] == [
        ("10.0.0.1", 2, 1),
        ("10.0.0.2", 2, 2),
    ]
    assert [
        (each.key.status, each.attempts, each.users, each.sources) for each in report.by_error.lines
    ] == [
        (1045, 2, 1, 2),
        (1044, 1, 1, 1),
        (1049, 1, 1, 1),
    ]
    assert report.by_error.lines[0].key.symbol == "ER_ACCESS_DENIED_ERROR"


def test_no_rows_give_an_empty_report() -> None:
    report = analyse([])
    assert (report.attempts, report.users, report.sources, report.first) == (0, 0, 0, None)
    assert report.by_user == Section([], None)
    assert report.probes.count == 0


def test_a_source_is_the_address_else_the_host_else_the_socket() -> None:
    report = analyse(
        [
            row(0, ip="10.0.0.1", host="web1"),
            row(1, ip="", host="web1"),
            row(2, ip=None, host="web1"),
            row(3, ip="", host=""),
            row(4, ip=None, host=None),
        ]
    )
    assert {each.key: each.attempts for each in report.by_source.lines} == {
        "10.0.0.1": 1,
        "web1": 2,
        "(socket)": 2,
    }


def test_the_threshold_makes_a_burst() -> None:
    four = [row(second) for second in (0, 10, 20, 30)]
    assert line(analyse(four).by_user, "root").peak == Peak(4, at(0), burst=False)
    five = [*four, row(59)]
    assert line(analyse(five).by_user, "root").peak == Peak(5, at(0), burst=True)


def test_an_attempt_sixty_seconds_after_the_first_is_in_the_next_window() -> None:
    rows = [row(second) for second in (0, 10, 20, 30, 60)]
    assert line(analyse(rows).by_user, "root").peak == Peak(4, at(0), burst=False)


def test_a_burst_later_in_the_log_tells_when_it_began() -> None:
    rows = [row(0), row(1), *(row(1000 + second) for second in range(7)), row(9999)]
    report = analyse(rows)
    assert line(report.by_source, "203.0.113.9").peak == Peak(7, at(1000), burst=True)
    assert (report.by_user.bursts, report.by_source.bursts, report.by_error.bursts) == (1, 1, 1)


def test_threshold_and_window_are_options() -> None:
    rows = [row(0), row(1), row(4)]
    report = analyse(rows, burst_attempts=2, burst_window_seconds=2)
    assert line(report.by_user, "root").peak == Peak(2, at(0), burst=True)
    assert analyse(rows, burst_attempts=4).by_user.bursts == 0


@pytest.mark.parametrize(("attempts", "seconds"), [(1, 60), (0, 60), (5, 0), (5, -1), (5, 601)])
def test_senseless_options_are_refused(attempts: int, seconds: int) -> None:
    with pytest.raises(UsageError, match="is not allowed"):
        analyse([], burst_attempts=attempts, burst_window_seconds=seconds)


def test_rows_slightly_out_of_order_make_the_same_report() -> None:
    seconds = [0, 3, 2, 40, 38, 61, 59, 100, 45]
    assert analyse(row(second) for second in seconds) == analyse(
        row(second) for second in sorted(seconds)
    )


def test_a_jump_back_in_time_is_counted_and_bursts_go_on() -> None:
    report = analyse(row(second) for second in (1000, 1001, 0, 1, 2))
    assert report.jumps_back == 1
    assert line(report.by_user, "root").peak == Peak(3, at(0), burst=False)
    assert (report.first, report.last) == (at(0), at(1001))


def test_a_row_late_by_less_than_a_window_is_no_jump() -> None:
    assert analyse([row(59), row(0)]).jumps_back == 0
    assert analyse([row(60), row(0)]).jumps_back == 1
    assert analyse([row(1000), row(0), row(1), row(1000), row(0)]).jumps_back == 2


@pytest.mark.parametrize("timestamp", [None, "", "yesterday", "2026-13-01T00:00:00Z", "9" * 500])
def test_a_row_without_a_readable_time_counts_but_is_in_no_burst(timestamp: str | None) -> None:
    timeless = FailedLogin(timestamp, "root", "", "203.0.113.9", 1045, "percona-json", "Connect")
    report = analyse([timeless] * 6)
    assert (report.attempts, report.without_time, report.first) == (6, 6, None)
    assert line(report.by_user, "root").peak is None
    assert analyse([row(5), timeless]).last == at(5)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2026-03-01T10:00:00.999999Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01T10:00:00.123456789Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00+05:00", None),
        ("9999-12-31T23:59:59-05:00", None),
    ],
)
def test_times_are_whole_seconds_in_utc(timestamp: str, expected: str | None) -> None:
    report = analyse([FailedLogin(timestamp, "u", "", "", 1045, "mariadb", "FAILED_CONNECT")])
    assert report.first == expected


def test_health_probes_are_kept_apart() -> None:
    probes = [row(second, "", "10.0.0.5", status=1158) for second in range(20)]
    report = analyse([*probes, row(30, None, "10.0.0.6", status=1156), row(40)])
    assert (report.attempts, report.users, report.sources) == (1, 1, 1)
    assert report.by_source.bursts == 0
    assert numbers(report) == [1045]
    assert (report.probes.count, report.probes.first, report.probes.last) == (21, at(0), at(30))
    assert {each.key: each.attempts for each in report.probes.by_source.lines} == {
        "10.0.0.5": 20,
        "10.0.0.6": 1,
    }


def test_a_network_error_of_a_named_user_is_a_failed_login() -> None:
    report = analyse([row(0, "root", status=1158), row(1, "", status=1043)])
    assert (report.attempts, report.probes.count) == (2, 0)
    assert keys(report.by_user) == ["", "root"]


def test_the_same_number_of_two_server_families_is_two_errors() -> None:
    rows = [row(0, status=4151, format_="mariadb"), row(1, status=4151), row(2, status=4151)]
    by_error = analyse(rows).by_error.lines
    assert [(each.key.meaning, each.attempts) for each in by_error] == [
        ("error 4151, not in the table", 2),
        ("the account is locked", 1),
    ]


def test_a_failed_change_of_user_counts_and_is_named() -> None:
    report = analyse([row(0), row(1, name="Change user"), row(2)])
    assert report.attempts == 3
    assert report.names == {"Connect": 2, "Change user": 1}


def test_a_source_that_tries_five_users_sprays() -> None:
    four = [row(second * 1000, f"u{second}", "10.0.0.1") for second in range(4)]
    again = [row(9000, "u0", "10.0.0.1")]
    assert not line(analyse([*four, *again]).by_source, "10.0.0.1").spray
    report = analyse([*four, *again, row(9001, "u4", "10.0.0.1")])
    assert line(report.by_source, "10.0.0.1").spray
    assert not any(each.spray for each in (*report.by_user.lines, *report.by_error.lines))


def test_five_sources_of_one_user_are_no_spray() -> None:
    report = analyse(row(second, "root", f"10.0.0.{second}") for second in range(9))
    assert line(report.by_user, "root").sources == 9
    assert not any(each.spray for each in report.by_source.lines)


def test_most_attempts_come_first_then_the_name() -> None:
    users = ["c", "a", "b", "b", "\u00e4", "B"]
    report = analyse(row(second, user) for second, user in enumerate(users))
    assert keys(report.by_user) == ["b", "B", "a", "c", "\u00e4"]
    by_error = analyse(row(0, status=status) for status in (1698, 1044, 1045, 1045, 1049))
    assert numbers(by_error) == [1045, 1044, 1049, 1698]


def test_hostile_names_stay_apart_and_exact() -> None:
    report = analyse(row(second, name) for second, name in enumerate(HOSTILE_NAMES))
    assert report.users == len(HOSTILE_NAMES)
    short = {name for name in HOSTILE_NAMES if len(name) <= groups.KEY_CHARACTERS_MAX}
    assert short < set(keys(report.by_user))


def test_long_names_are_shortened_and_do_not_become_one() -> None:
    report = analyse(row(0, "x" * 10_000 + end) for end in "ab")
    first, second = keys(report.by_user)
    assert first != second
    assert first.startswith("x" * groups.KEY_CHARACTERS_MAX + "… (10001 characters, sha256 ")
    assert len(first) < groups.KEY_CHARACTERS_MAX + 60


def test_a_flood_of_names_does_not_push_out_the_account_under_attack() -> None:
    def flood() -> Iterator[FailedLogin]:
        for index in range(100_000):
            yield row(index // 100, f"user{index}", "10.0.0.1")
            if index % 1000 == 0:
                yield row(index // 100, "root", "10.0.0.2")

    report = analyse(flood())
    assert report.attempts == 100_100
    assert report.by_user.lines[0].key == "root"
    assert len(report.by_user.lines) <= groups.GROUPS_MAX
    assert report.by_user.other is not None
    kept = sum(each.attempts for each in report.by_user.lines)
    assert kept + report.by_user.other.attempts == report.attempts
    assert line(report.by_source, "10.0.0.1").spray


def test_beyond_the_limit_of_groups_the_weakest_are_folded_and_bounds_are_marked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(groups, "GROUPS_MAX", 4)
    burst = [row(second, "burst") for second in range(5)]
    rows = [*burst, row(10, "twice"), row(11, "twice"), row(12, "a"), row(13, "b"), row(14, "c")]
    report = analyse([*rows, row(15, "a")])
    assert {each.key: each.attempts for each in report.by_user.lines} == {
        "burst": 5,
        "twice": 2,
        "c": 1,
        "a": 1,
    }
    other = report.by_user.other
    assert other is not None
    assert (other.groups, other.attempts, other.bursts) == (2, 2, 0)
    assert (other.first, other.last) == (at(12), at(13))
    assert line(report.by_user, "a").at_least == ("attempts", "sources")
    assert line(report.by_user, "twice").at_least == ()
    assert report.by_source.other is None


def test_a_group_in_a_burst_is_folded_after_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "GROUPS_MAX", 2)
    burst = [row(second, "burst") for second in range(5)]
    slow = [row(second * 1000, "slow") for second in range(1, 20)]
    report = analyse([*burst, *slow, row(20_000, "new")])
    assert keys(report.by_user) == ["burst", "new"]
    assert report.by_user.bursts == 1


def test_beyond_the_limit_of_distinct_pairs_counts_are_lower_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(groups, "DISTINCT_MAX", 3)
    report = analyse(row(second, f"u{second}", "10.0.0.1") for second in range(6))
    assert (report.users, report.at_least) == (3, ("users",))
    source = line(report.by_source, "10.0.0.1")
    assert (source.users, source.at_least) == (3, ("users",))
    assert (source.attempts, len(report.by_user.lines)) == (6, 6)


def test_invented_record_names_are_bounded() -> None:
    report = analyse(row(0, name=f"name{index}") for index in range(500))
    assert len(report.names) == NAMES_MAX + 1
    assert report.names["(other)"] == 500 - NAMES_MAX
