"""The strongest burst of one group."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shipper.report.bursts import BurstWindow


def strongest(seconds: list[int], length: int = 60) -> tuple[int, int]:
    window = BurstWindow(length)
    for second in seconds:
        window.add(second)
    return window.strongest, window.began


def by_hand(seconds: list[int], length: int) -> int:
    return max(sum(begin <= s < begin + length for s in seconds) for begin in seconds)


def test_one_attempt_is_a_burst_of_one() -> None:
    assert strongest([7]) == (1, 7)


def test_a_window_holds_its_first_second_and_not_the_one_after_its_last() -> None:
    assert strongest([0, 59]) == (2, 0)
    assert strongest([0, 60]) == (1, 0)
    assert strongest([0, 59, 60]) == (2, 0)
    assert strongest([0, 1, 59, 60]) == (3, 0)


def test_the_strongest_of_several_bursts_is_kept() -> None:
    assert strongest([0, 1, 2, 1000, 1001, 1002, 1003, 5000, 5001]) == (4, 1000)


def test_of_equal_bursts_the_first_is_kept() -> None:
    assert strongest([0, 1, 500, 501]) == (2, 0)


def test_a_late_attempt_joins_the_burst_it_belongs_to() -> None:
    assert strongest([0, 10, 50, 5]) == (4, 0)
    assert strongest([100, 130, 159, 171, 120]) == (4, 100)


def test_a_late_attempt_may_make_the_earlier_of_two_windows_the_stronger() -> None:
    assert strongest([0, 20, 62, 63, 64]) == (4, 20)
    assert strongest([0, 20, 62, 63, 64, 5, 6, 7, 8, 9]) == (9, 5)
    assert strongest([0, 20, 55, 61, 5, 6]) == (5, 0)


def test_an_attempt_later_than_a_window_begins_another_stretch() -> None:
    assert strongest([1000, 1001, 0, 1, 2]) == (3, 0)
    assert strongest([1000, 1001, 940, 1002]) == (2, 1000)
    assert strongest([1000, 940, 1001]) == (1, 1000)
    assert strongest([1000, 941, 1001]) == (2, 941)


def test_what_a_late_attempt_can_share_a_window_with_is_not_forgotten() -> None:
    heavy = [second for second in range(13, 21) for _ in range(5)]
    in_order = sorted([*range(13), *heavy, *range(21, 32)])
    assert strongest(in_order, 10) == (42, 11)
    assert strongest([*in_order, 22], 10) == (43, 13)


def test_memory_does_not_grow_with_attempts() -> None:
    window = BurstWindow(10)
    for second in range(10_000):
        for _ in range(3):
            window.add(second)
    assert window.strongest == 30
    assert len(window) <= 40


def test_memory_does_not_grow_with_late_attempts() -> None:
    window = BurstWindow(10)
    for second in range(10, 10_000):
        for late in (0, 9, 3):
            window.add(second - late)
    assert window.strongest == 30
    assert len(window) <= 40


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=1, max_size=80),
    st.integers(1, 12),
)
def test_slightly_disordered_attempts_give_what_counting_by_hand_gives(
    steps: list[tuple[int, int]], length: int
) -> None:
    newest, seconds = 0, []
    for forward, late in steps:
        newest += forward
        seconds.append(newest - min(late, length - 1))
    count, began = strongest(seconds, length)
    assert count == by_hand(seconds, length)
    assert sum(began <= second < began + length for second in seconds) == count
