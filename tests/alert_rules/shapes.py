"""Cases that several alerts share, by the shape of what they look at: bursts and counters."""

from __future__ import annotations

from alert_rules.promtool import (
    BIRTH,
    BOUNDARY,
    CLEARS,
    FIRES,
    GAP,
    HOLDS,
    OTHER,
    RESET,
    Case,
)

# Labels of one pod, and of Prometheus' target in it.
P = 'namespace="n",pod="p"'
J = 'job="a",instance="i"'
UP = f"up{{{J}}}"


def bursts(metric: str, label: str) -> list[Case]:
    """An alert on 20 or more failures in five minutes, by a label with a capped set of values."""
    up = {UP: "1x400"}
    one = f'{metric}{{{J},{P},{label}="x"}}'
    other = f'{metric}{{{J},{P},{label}="__other__"}}'
    gone = {UP: "1x40 0x40 1x40"}
    elsewhere = {one: "0x8 9x40", one.replace('"p"', '"q"').replace('"i"', '"k"'): "0x8 14x40"}
    return [
        Case(
            "a series born at 25 fires, holds for 15 minutes, clears",
            {**up, one: "_x40 25x200"},
            ("11m", "14m", "28m"),
            ("9m", "32m"),
            f'severity="warning",namespace="n",{label}="x"',
            (FIRES, HOLDS, CLEARS, BIRTH),
        ),
        Case("from 0 to 25", {**up, one: "0x40 25x200"}, ("11m", "25m"), ("9m", "35m")),
        Case("a slow drip", {**up, one: "0+1x400"}, ("30m",)),
        Case("a slower drip", {**up, one: "0+0.5x400"}, silent=("10m", "30m", "60m")),
        Case("below the threshold", {**up, one: "0x40 17x200"}, silent=("11m", "14m")),
        Case("above the threshold", {**up, one: "0x40 22x200"}, ("11m",)),
        # What is born is not extrapolated.
        Case("born at it", {**up, one: "_x40 20x200"}, ("11m",), ("9m",)),
        Case(
            "born just below it",
            {**up, one: "_x40 19x200"},
            silent=("11m", "14m"),
            shows=BOUNDARY,
        ),
        Case(
            "a counter reset to 3",
            {**up, one: "500x40 3x200"},
            silent=("11m", "14m"),
            shows=RESET,
        ),
        Case("a counter reset to 25", {**up, one: "500x40 25x200"}, ("11m",), ("9m",)),
        Case("a reset in a steady flow", {**up, one: "0+2x40 0+2x40"}, ("9m", "15m")),
        Case(
            "a series that was removed and returns",
            {**up, one: "2x40 stale _x120 25x40"},
            ("42m",),
            ("9m", "39m"),
        ),
        Case("a scrape gap", {**gone, one: "0x40 _x40 900x40"}, silent=("21m", "24m"), shows=GAP),
        Case(
            "Prometheus was not there",
            {UP: "1x40 _x40 1x40", one: "0x40 _x40 900x40"},
            silent=("21m", "24m"),
        ),
        Case(
            "a shipper that starts with the counts of its former life",
            {UP: "_x40 1x40", one: "_x40 900x40"},
            silent=("11m", "14m"),
        ),
        Case(
            "a restart, and a scrape while the kept counts are read",
            {UP: "1x40 0x2 1x40", one: "900x40 _x2 900x40"},
            silent=("11m", "14m"),
        ),
        Case(
            "born a moment after the first scrape of all",
            {UP: "_x40 1x40", one: "_x42 25x40"},
            ("12m",),
        ),
        Case(
            "no series of its own",
            {**up, other: "0x40 500x200"},
            silent=("11m", "14m"),
            shows=OTHER,
        ),
        Case("two servers together", {**up, **elsewhere}, ("4m",), ("1m",)),
    ]


def counter(series: str, hold: int, labels: str) -> list[Case]:
    """An alert on any increase, that holds for 15 minutes and `hold` more."""
    minutes = 10 + 15 + hold
    return [
        Case(
            "one is enough; it holds, and clears",
            {series: "0x40 1x800"},
            ("11m", "24m", f"{minutes - 2}m"),
            ("9m", f"{minutes + 2}m"),
            labels,
            (FIRES, HOLDS, CLEARS) if hold else (FIRES, CLEARS),
        ),
        Case("it stands still", {series: "7x800"}, silent=("11m", "60m"), shows=BOUNDARY),
        Case("a reset to 0", {series: "7x40 0x400"}, silent=("11m", "60m"), shows=RESET),
        Case("a scrape gap", {series: "7x40 _x40 7x40"}, silent=("21m", "30m"), shows=GAP),
        Case("a gap with one behind it", {series: "7x40 _x20 8x40"}, ("16m",)),
        Case(
            "one while Prometheus was away for an hour",
            {series: "0x8 _x240 1x100"},
            ("64m", "76m"),
            ("2m", "61m"),
        ),
        Case(
            "none while Prometheus was away for an hour",
            {series: "7x8 _x240 7x100"},
            silent=("64m", "76m"),
        ),
    ]


# Since when the process runs: promtool's clock begins at 0. The shipper is told from the exporters
# beside it by what only it exports.
BEGAN = f"process_start_time_seconds{{{J},{P}}}"
BUILD = f'audit_shipper_build_info{{{J},{P},version="1"}}'
_LONG_AGO = "-90000"  # a day, and more


def kept_counter(series: str) -> Case:
    """A count that goes on in the next process says nothing about the process."""
    return Case(
        "the counts of a former life",
        {
            series: "7x80 _x8 7x100",
            BEGAN: f"{_LONG_AGO}x80 _x8 1300x100",
            BUILD: "1x80 _x8 1x100",
        },
        silent=("19m", "23m", "30m"),
        shows=BIRTH,
    )


def process_counter(series: str, hold: int) -> list[Case]:
    """A counter that begins at 0 with the process, as those of the pipeline do."""
    return [
        *_seen_for_the_first_time(series, 10 + 15 + hold),
        *_around_a_restart(series),
        *_while_prometheus_was_away(series),
    ]


def _process(
    what: str,
    began: str,
    series: str,
    values: str,
    *,
    firing: tuple[str, ...] = (),
    silent: tuple[str, ...] = (),
    shows: str | tuple[str, ...] = (),
) -> Case:
    return Case(
        what,
        {BUILD: "1x900", BEGAN: began, series: values},
        firing,
        silent,
        shows=shows,
    )


def _seen_for_the_first_time(series: str, minutes: int) -> list[Case]:
    return [
        _process(
            "a new process, first seen at 1; it holds, and clears",
            "_x40 610x800",
            series,
            "_x40 1x800",
            firing=("12m", "23m", f"{minutes - 2}m"),
            silent=("9m", f"{minutes + 2}m"),
            shows=BIRTH,
        ),
        _process(
            "a new process, first seen at 0",
            "_x40 610x400",
            series,
            "_x40 0x400",
            silent=("12m", "30m"),
        ),
        _process(
            "an old process that is seen for the first time",
            f"_x40 {_LONG_AGO}x400",
            series,
            "_x40 7x400",
            silent=("12m", "30m"),
        ),
        Case(
            "a new process, but of another program in the pod",
            {
                BUILD: "1x200",
                BEGAN: f"{_LONG_AGO}x200",
                BEGAN.replace(J, 'job="mysqld",instance="m"'): "_x40 610x160",
                series: "7x200",
            },
            silent=("12m", "30m"),
        ),
    ]


def _around_a_restart(series: str) -> list[Case]:
    began = f"{_LONG_AGO}x80 1200x100"
    return [
        _process(
            "one before a restart and one after",
            began,
            series,
            "1x180",
            firing=("22m", "33m"),
            silent=("18m",),
        ),
        _process(
            "one before a restart and none after",
            began,
            series,
            "1x80 0x100",
            silent=("18m", "22m", "33m"),
        ),
        _process(
            "one just before a restart",
            began,
            series,
            "0x76 1x4 0x100",
            firing=("21m", "30m"),
            silent=("18m",),
        ),
    ]


def _while_prometheus_was_away(series: str) -> list[Case]:
    return [
        _process(
            "one after a restart, both while Prometheus was away",
            f"{_LONG_AGO}x8 _x240 1200x100",
            series,
            "1x8 _x240 1x100",
            firing=("64m", "76m"),
            silent=("2m",),
        ),
        _process(
            "one while Prometheus was away, fewer than in a process before",
            f"{_LONG_AGO}x8 125x80 _x240 125x100",
            series,
            "7x8 0x80 _x240 1x100",
            firing=("84m", "96m"),
            silent=("2m", "22m"),
        ),
    ]
