"""The failed-login report as one file: whole, harmless, alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from command import audit_shipper
from report.failing import HOSTILE_NAMES, row

from shipper.report import hours
from shipper.report.failed_logins import FailedLogin, analyse
from shipper.report.html import to_html
from shipper.report.result import About

VOID = {"meta", "link"}


class Reader(HTMLParser):
    """What a browser would make of a page: its elements, whether all are closed, its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data + " "


ABOUT = About(store="sqlite:audit.db", since="2026-03-01T00:00:00Z")


def read(rows: list[FailedLogin], **options: int) -> Reader:
    report = analyse(rows)
    page = to_html(report, about=ABOUT, **options)
    return Reader(page.decode())


ATTACK = [
    *(row(second, "root", "10.0.0.1") for second in range(12)),
    *(row(7200 + second, f"user{second}", "10.0.0.2") for second in range(6)),
    row(10_800, "app", "", status=1049, host="web-1", name="Change user"),
]


def test_a_page_says_who_from_where_why_and_when() -> None:
    page = read([*ATTACK, row(200, "", "10.0.0.9", status=1158)])
    for wanted in (
        "19 failed logins by 8 users from 3 sources",
        "sqlite:audit.db, since 2026-03-01T00:00:00Z",
        "1 health probe",
        "Failed logins by hour",
        "2026-02-28 14:00",
        "2026-03-01 13:00",
        "most: 12",
        "burst 2026-03-01 10:00:00",
        "spray",
        "ER_BAD_DB_ERROR",
        "web-1",
    ):
        assert wanted in page.text
    assert page.tags.count("svg") == 3
    assert page.tags.count("table") == 3


def test_nothing_is_from_elsewhere_and_nothing_runs() -> None:
    page = read(ATTACK)
    assert page.links == ["data:,"]
    assert not {"script", "iframe", "img", "object", "form"} & set(page.tags)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_hostile_name_is_text_and_bounded(name: str) -> None:
    text = to_html(analyse([row(0, name, name), row(1, name, "", host=name)])).decode()
    page = Reader(text)
    assert not {"script", "img"} & set(page.tags)
    assert not set(text) & set("\x1b\x9b\u202e\u202c\ud800\r")
    assert len(text) < 20_000


def test_an_empty_report_is_a_page_too() -> None:
    page = read([])
    assert "No failed logins." in page.text
    assert "svg" not in page.tags


def test_tables_are_cut_at_top_and_say_so() -> None:
    page = read([row(second, f"user{second}", "10.0.0.2") for second in range(30)], top=5)
    assert "… and 25 more." in page.text


def test_a_long_time_is_drawn_in_few_columns() -> None:
    page = read([row(3600 * hour) for hour in range(24 * 30)])
    assert re.search(r"Failed logins by 6 hours", page.text)
    assert page.tags.count("rect") < 200


def test_hours_are_bounded_whatever_times_a_log_claims() -> None:
    counted = hours.Hours()
    for hour in range(hours.HOURS_MAX + 10):
        counted.add(hour * hours.HOUR_SECONDS)
    assert (len(counted.counts), counted.folded) == (hours.HOURS_MAX, 10)
    counted.add(None)
    assert len(counted.counts) == hours.HOURS_MAX


def test_the_command_writes_a_file_of_its_owner(tmp_path: Path) -> None:
    where = f"sqlite:{tmp_path / 'audit.db'}"
    log = Path(__file__).parents[1] / "samples" / "mariadb" / "mariadb_10.11_logins.log"
    assert audit_shipper("ship", log, "--to", where).returncode == 0
    page = tmp_path / "report.html"
    done = audit_shipper("report", "failed-logins", "--store", where, "--all", "--html", page)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert page.stat().st_mode & 0o777 == 0o600
    assert "failed logins by" in Reader(page.read_text(encoding="utf-8")).text
    done = audit_shipper(
        "report", "failed-logins", "--store", where, "--html", tmp_path / "no" / "x"
    )
    assert done.returncode == 2
    assert b"cannot write" in done.stderr
