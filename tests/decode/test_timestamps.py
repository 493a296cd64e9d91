"""Time texts of the servers, to RFC 3339 UTC."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from shipper.decode.timestamps import Clock
from shipper.errors import MalformedError

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2014-04-27T09:29:40 UTC", "2014-04-27T09:29:40Z"),  # Percona before 8.0.15-5
        ("2014-04-27T09:29:40Z", "2014-04-27T09:29:40Z"),
        ("2023-11-03T08:16:00.1234567Z", "2023-11-03T08:16:00.1234567Z"),  # Azure
        ("2019-10-03 14:21:56", "2019-10-03T14:21:56Z"),
        ("20170817 11:07:18", "2017-08-17T11:07:18Z"),  # MariaDB
        ("20170817  9:07:18", "2017-08-17T09:07:18Z"),
        ("1536652826127350", "2018-09-11T08:00:26.127350Z"),  # Aurora
        ("1438619465015", "2015-08-03T16:31:05.015Z"),  # McAfee
    ],
)
def test_known_forms(text: str, utc: str) -> None:
    assert Clock(UTC)[text] == utc


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-15 12:00:00", "2026-01-15T11:00:00Z"),
        ("2026-07-15 12:00:00", "2026-07-15T10:00:00Z"),
        ("20260715 12:00:00", "2026-07-15T10:00:00Z"),
        ("2026-10-25 02:30:00", "2026-10-25T00:30:00Z"),  # occurs twice: the first
        ("2026-03-29 02:30:00", "2026-03-29T01:30:00Z"),  # does not exist: moved by the change
        ("2026-07-15T12:00:00 UTC", "2026-07-15T12:00:00Z"),  # says its zone itself
        ("2026-07-15 12:00:00.25", "2026-07-15T10:00:00.25Z"),
    ],
)
def test_texts_without_a_zone_are_read_in_the_servers(text: str, utc: str) -> None:
    assert Clock(BERLIN)[text] == utc


def test_texts_that_are_utc_by_format_are_not_moved() -> None:
    assert Clock(BERLIN).utc["2026-07-15 12:00:00"] == "2026-07-15T12:00:00Z"


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01 00:00:00", "20260230 00:00:00", "123", "9" * 17, "²" * 10]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        Clock(UTC)[text]


def test_the_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "ENTRIES_MAX", 3)
    clock = Clock(UTC)
    for second in range(10):
        assert clock[f"2026-01-01 00:00:0{second}"] == f"2026-01-01T00:00:0{second}Z"
        assert len(clock) <= 3
