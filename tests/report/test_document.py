"""The failed-login report as JSON."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from report.failing import HOSTILE_NAMES, at, row

from shipper.report import groups
from shipper.report.failed_logins import analyse
from shipper.report.render import to_json
from shipper.report.result import About, Beyond


@pytest.fixture
def document() -> Any:
    """Five refusals of root, one of nobody, and a health probe."""
    rows = [row(second, "root", "10.0.0.1") for second in range(5)]
    rows += [row(9, "", "", status=4151, format_="mariadb", name="CHANGEUSER")]
    rows += [row(20, "", "10.0.0.9", status=1158)]
    return orjson.loads(orjson.dumps(to_json(analyse(rows))))


ROOT = {
    "first": at(0),
    "last": at(4),
    "peak": {"attempts": 5, "began": at(0), "burst": True},
    "lower_bounds": [],
}
NOBODY = {
    "first": at(9),
    "last": at(9),
    "peak": {"attempts": 1, "began": at(9), "burst": False},
    "lower_bounds": [],
}


def test_the_document_has_every_number(document: Any) -> None:
    tables = {"by_user", "by_source", "by_error", "probes"}
    assert {key: value for key, value in document.items() if key not in tables} == {
        "store": "",
        "since": None,
        "newest": None,
        "older": None,
        "attempts": 6,
        "users": 2,
        "sources": 2,
        "lower_bounds": [],
        "first": at(0),
        "last": at(9),
        "without_time": 0,
        "jumps_back": 0,
        "records": {"Connect": 5, "CHANGEUSER": 1},
        "by_hour": {at(0): 6},
        "burst": {"attempts": 5, "window_seconds": 60},
        "spray_users": 5,
    }
    assert tables <= document.keys()


def test_the_document_has_a_table_of_users_and_one_of_sources(document: Any) -> None:
    assert document["by_user"] == {
        "groups": [
            {"user": "root", "attempts": 5, "sources": 1, **ROOT},
            {"user": "", "attempts": 1, "sources": 1, **NOBODY},
        ],
        "other": None,
    }
    assert document["by_source"] == {
        "groups": [
            {"source": "10.0.0.1", "attempts": 5, "users": 1, "spray": False, **ROOT},
            {"source": "(socket)", "attempts": 1, "users": 1, "spray": False, **NOBODY},
        ],
        "other": None,
    }


def test_the_document_explains_errors(document: Any) -> None:
    assert document["by_error"] == {
        "groups": [
            {
                "error": 1045,
                "symbol": "ER_ACCESS_DENIED_ERROR",
                "meaning": "unknown account or wrong password; the server does not say which",
                "category": "auth",
                "attempts": 5,
                "users": 1,
                "sources": 1,
                **ROOT,
            },
            {
                "error": 4151,
                "symbol": "ER_ACCOUNT_HAS_BEEN_LOCKED",
                "meaning": "the account is locked",
                "category": "auth",
                "attempts": 1,
                "users": 1,
                "sources": 1,
                **NOBODY,
            },
        ],
        "other": None,
    }


def test_probes_stand_apart_in_the_document(document: Any) -> None:
    probe = {
        "source": "10.0.0.9",
        "count": 1,
        "first": at(20),
        "last": at(20),
        "lower_bounds": [],
    }
    assert document["probes"] == {
        "count": 1,
        "first": at(20),
        "last": at(20),
        "by_source": {"groups": [probe], "other": None},
    }


def test_the_keys_have_a_fixed_order(document: Any) -> None:
    assert list(document)[:5] == ["store", "since", "newest", "older", "attempts"]
    assert list(document["by_user"]["groups"][0]) == [
        "user",
        "attempts",
        "sources",
        "first",
        "last",
        "peak",
        "lower_bounds",
    ]


def test_the_empty_report_has_the_same_keys() -> None:
    empty = to_json(analyse([]))
    assert list(empty) == list(to_json(analyse([row()])))
    assert empty["first"] is None
    assert empty["by_error"] == {"groups": [], "other": None}


def test_a_document_says_what_it_is_about_and_holds_what_was_asked_for() -> None:
    about = About(store="sqlite:a.db", since="2026-03-01T00:00:00Z", beyond=Beyond("", 3))
    document = to_json(analyse([row()]), by="user", about=about)
    assert (document["store"], document["since"]) == ("sqlite:a.db", "2026-03-01T00:00:00Z")
    assert (document["newest"], document["older"]) == ("", 3)
    assert [key for key in document if key.startswith("by_")] == ["by_hour", "by_user"]


def test_hostile_names_are_exact_and_can_be_written() -> None:
    report = analyse(row(0, name, name, name=name) for name in HOSTILE_NAMES)
    written = orjson.loads(orjson.dumps(to_json(report)))
    users = {group["user"] for group in written["by_user"]["groups"]}
    assert {"[red]x[/red]", "\x1b[2J", "\u202egnp.exe\u202c", "(other)", " root "} < users
    assert r"\ud800" in users


def test_what_was_folded_away_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "GROUPS_MAX", 2)
    by_user = to_json(analyse(row(second, f"u{second}") for second in range(3)))["by_user"]
    assert by_user["other"] == {
        "groups": 1,
        "attempts": 1,
        "bursts": 0,
        "first": at(0),
        "last": at(0),
    }
    assert by_user["groups"][1]["lower_bounds"] == ["attempts", "sources"]
