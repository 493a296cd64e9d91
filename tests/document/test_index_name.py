"""Names of indexes."""

from __future__ import annotations

import re
from datetime import date
from fnmatch import fnmatchcase

import pytest

from shipper.document.index_name import PATTERN, IndexName

DAILY, MONTHLY = IndexName("mysql-audit-%Y.%m.%d"), IndexName("audit_%Y-%m")


@pytest.mark.parametrize(
    ("name", "day", "expected"),
    [
        (DAILY, "2024-09-03", "mysql-audit-2024.09.03"),
        (MONTHLY, "2024-09-03", "audit_2024-09"),
        (IndexName("one"), "2024-09-03", "one"),
        (DAILY, "", "mysql-audit-undated"),
        (DAILY, "1994-12-31", "mysql-audit-undated"),
        (DAILY, "2100-01-01", "mysql-audit-undated"),
        (DAILY, "x/../../y", "mysql-audit-undated"),
        (IndexName("one"), "", "one"),
    ],
)
def test_a_day_has_an_index(name: IndexName, day: str, expected: str) -> None:
    assert name.of(day) == expected


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        (DAILY, "mysql-audit-2024.12.31", date(2025, 1, 1)),
        (MONTHLY, "audit_2024-12", date(2025, 1, 1)),
        (MONTHLY, "audit_2024-02", date(2024, 3, 1)),
        (DAILY, "mysql-audit-2024.02.30", None),
        (DAILY, "mysql-audit-undated", None),
        (DAILY, "mysql-audit-2024.12.31-restored", None),
        (DAILY, "other-mysql-audit-2024.12.31", None),
        (DAILY, "mysql-audit-2024x12x31", None),
        (IndexName("one"), "one", None),
    ],
)
def test_a_name_tells_when_its_index_is_over(
    name: IndexName, index: str, expected: date | None
) -> None:
    assert name.ends(index) == expected


def test_templates_and_patterns_come_from_the_name() -> None:
    assert (DAILY.base, DAILY.wildcard) == ("mysql-audit", "mysql-audit-*")
    assert (MONTHLY.base, MONTHLY.wildcard) == ("audit", "audit_*")
    assert (IndexName("one").base, IndexName("one").wildcard) == ("one", "one")


@pytest.mark.parametrize("pattern", ["mysql-audit-%Y.%m.%d", "audit_%Y-%m", "one"])
def test_the_patterns_of_one_sink_take_its_indexes_and_no_others(pattern: str) -> None:
    name = IndexName(pattern)
    days = ["1995-01-01", "1999-12-31", "2000-01-01", "2026-11-26", "2099-12-31"]
    for day in days:
        assert any(fnmatchcase(name.of(day), each) for each in name.by_year)
    made = {name.of(day) for day in (*days, "", "1970-01-01", "9999-01-01")}
    assert all(any(fnmatchcase(each, one) for one in name.all_patterns) for each in made)
    if name.dated:
        assert not any(fnmatchcase(name.of(""), each) for each in name.by_year)
    other = IndexName(f"{name.base}-prod-%Y.%m.%d").of("2026-11-26")
    assert not any(fnmatchcase(other, each) for each in name.all_patterns)


@pytest.mark.parametrize(
    "bad", ["", "Audit-%Y.%m.%d", "-a", "a b", "%Y.%m.%d", "a-%d", "a-%Y.%m.%d-x", "a*"]
)
def test_a_pattern_is_checked(bad: str) -> None:
    assert re.fullmatch(PATTERN, bad) is None
