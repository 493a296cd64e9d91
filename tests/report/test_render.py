"""The failed-login report on a terminal."""

from __future__ import annotations

import io
import re

import pytest
from report.failing import HOSTILE_NAMES, at, row
from rich.cells import cell_len
from rich.console import Console

from shipper.errors import UsageError
from shipper.report import groups
from shipper.report.failed_logins import FailedLogin, analyse
from shipper.report.render import render
from shipper.report.result import About, Beyond


def page(
    rows: list[FailedLogin],
    *,
    width: int = 80,
    by: str | None = None,
    top: int = 20,
    since: str | None = "2026-03-01T00:00:00Z",
    encoding: str = "utf-8",
    terminal: bool = False,
    beyond: Beyond | None = None,
) -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    about = About(store="sqlite:audit.db", since=since, beyond=beyond)
    render(analyse(rows), console, by=by, top=top, about=about)
    file.seek(0)
    return "\n".join(line.rstrip() for line in file.read().split("\n"))


ATTACK = [
    *(row(second, "root", "10.0.0.1") for second in range(12)),
    *(row(100 + second, f"user{second}", "10.0.0.2") for second in range(6)),
    row(300, "app", "", status=1049, host="web-1", name="Change user"),
]


def test_a_page_says_who_from_where_and_why() -> None:
    text = page([*ATTACK, row(200, "", "10.0.0.9", status=1158)], top=3)
    assert (
        text
        == """\
19 failed logins by 8 users from 3 sources, 2026-03-01 10:00:00 to 10:05:00 UTC;
bursts: 1 user, 2 sources; spray: 1 source
Looked at sqlite:audit.db, since 2026-03-01T00:00:00Z. Records: 18 Connect, 1
Change user.
Not counted: 1 health probe, 2026-03-01 10:03:20 UTC: 1 from 10.0.0.9.

User        Count  Sources  First     Last      Peak
────────────────────────────────────────────────────────────────────
root           12        1  10:00:00  10:00:11    12  burst 10:00:00
app             1        1  10:05:00  10:05:00     1
user0           1        1  10:01:40  10:01:40     1
… and 5 more

Source      Count  Users  First     Last      Peak
─────────────────────────────────────────────────────────────────────────
10.0.0.1       12      1  10:00:00  10:00:11    12  burst 10:00:00
10.0.0.2        6      6  10:01:40  10:01:45     6  burst 10:01:40, spray
web-1           1      1  10:05:00  10:05:00     1

Error       Count  Users  Sources  First     Last      Peak
───────────────────────────────────────────────────────────────────────────
1045 auth      18      7        2  10:00:00  10:01:45    12  burst 10:00:00
1049 other      1      1        1  10:05:00  10:05:00     1

1045  unknown account or wrong password; the server does not say which
      (ER_ACCESS_DENIED_ERROR)
1049  login accepted, but the database does not exist (ER_BAD_DB_ERROR)

Times are UTC. Peak: most attempts within 60 seconds; burst: 5 or more; spray:
one source tried 5 or more users.
"""
    )


def test_an_empty_report_says_what_was_looked_at() -> None:
    assert page([]) == "No failed logins in sqlite:audit.db, since 2026-03-01T00:00:00Z.\n"
    assert page([], since=None) == "No failed logins in sqlite:audit.db, from its beginning.\n"


@pytest.mark.parametrize(
    ("beyond", "said"),
    [
        (
            Beyond(None),
            (
                "The store holds no records: nothing was shipped to it, or nothing that could be\n"
                "read.\n"
            ),
        ),
        (Beyond(""), "None of its records has a readable time.\n"),
        (
            Beyond("2026-02-03T04:05:06Z", 1234, "2026-02-03T01:00:00Z"),
            (
                "Its newest record is of 2026-02-03 04:05:06 UTC.\n"
                "It holds 1,234 older failed logins, the last of 2026-02-03 01:00:00 UTC: see\n"
                "--all.\n"
            ),
        ),
        (Beyond("2026-03-03T04:05:06Z", 0), "Its newest record is of 2026-03-03 04:05:06 UTC.\n"),
    ],
)
def test_an_empty_report_says_what_the_store_does_hold(beyond: Beyond, said: str) -> None:
    assert page([], beyond=beyond).partition("\n")[2] == said


def test_probes_alone_are_no_failed_logins() -> None:
    rows = [row(second, "", f"10.0.0.{second}", status=1158) for second in range(7)]
    text = page(rows, width=200)
    assert text.startswith("No failed logins in sqlite:audit.db")
    assert "7 health probes" in text
    assert "… and 2 more sources" in text
    assert "burst" not in text


@pytest.mark.parametrize(
    ("by", "heads"), [("user", ["User"]), ("source", ["Source"]), ("error", ["Error"])]
)
def test_one_section_can_be_chosen(by: str, heads: list[str]) -> None:
    found = re.findall(r"^(User|Source|Error)\b", page(ATTACK, by=by), re.MULTILINE)
    assert found == heads


def test_an_unknown_section_is_refused() -> None:
    with pytest.raises(UsageError, match="no section 'host': there are user, source, error"):
        page(ATTACK, by="host")


def test_only_the_top_lines_are_shown_and_the_rest_is_counted() -> None:
    text = page([row(second, f"user{second:02}") for second in range(32)], by="user", top=20)
    assert "user19" in text
    assert "user20" not in text
    assert "… and 12 more" in text
    assert "more" not in page(ATTACK, by="source").split("Times are UTC")[0]


@pytest.mark.parametrize("width", [45, 50, 60, 70, 75])
@pytest.mark.parametrize("seconds", [500, 5 * 86_400, 500 * 86_400])
def test_a_narrow_terminal_loses_no_name_no_count_and_no_burst(width: int, seconds: int) -> None:
    attack = [row(second, "root", "203.0.113.117") for second in range(1234)]
    text = page([*attack, row(seconds, "app", "10.0.0.2")], width=width)
    words = ["User", "Source", "Error", "Count", "Peak", "root", "203.0.113.117", "1045 auth"]
    assert [word for word in words if word not in text] == []
    assert re.search(r"^root +1,234 .* 6[01]\b.*burst", text, re.MULTILINE)


@pytest.mark.parametrize("width", [80, 100, 132, 200])
@pytest.mark.parametrize("seconds", [500, 5 * 86_400, 500 * 86_400])
def test_no_line_is_wider_than_the_terminal(width: int, seconds: int) -> None:
    rows = [row(second, "名前" * 30, "2001:db8::1", status=3955) for second in range(1234)]
    rows.append(row(seconds, "u" * 500, "x" * 300))
    text = page(rows, width=width)
    assert max(map(cell_len, text.split("\n"))) <= width
    assert "1,234" in text


def test_days_are_shown_where_there_are_several() -> None:
    rows = [row(0), row(2 * 86_400)]
    assert re.search(r"root +2 +1 +03-01 10:00 +03-03 10:00 +1", page(rows))
    wide = page(rows, width=132)
    assert re.search(r"root +2 +1 +2026-03-01 10:00:00 +2026-03-03 10:00:00 +1", wide)
    years = page([row(0), row(400 * 86_400)])
    assert re.search(r"root +2 +1 +2026-03-01 +2027-04-05 +1", years)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_in_a_name_reaches_the_terminal_as_a_command(name: str, terminal: bool) -> None:  # noqa: FBT001 a parameter of the test
    rows = [row(0, name, "", host=name, name=name), row(1, "", name, status=1158)]
    text = page(rows, width=160, terminal=terminal)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)  # styles are ours
    assert all(character.isprintable() or character == "\n" for character in plain)
    assert "\x1b[2J" not in text
    assert len(text) < 5000


def test_hostile_names_are_shown_for_what_they_are() -> None:
    text = page([row(second, name) for second, name in enumerate(HOSTILE_NAMES)], width=160)
    shown = {line.split("  ")[0] for line in text.split("\n")}
    assert {
        "[red]x[/red]",
        r"\x1b[2J",
        "<script>alert(1)</script>",
        r"\u202egnp.exe\u202c",
        r"a\nb\r\x9b1m",
        r"\ud800",
        ":boom:",
        '"(other)"',
        '" root "',
    } <= shown


def test_markup_is_text_also_outside_of_the_tables() -> None:
    rows = [row(0, name="[red]x[/red]"), row(1, "", "[b]y[/b]", status=1158)]
    text = page(rows, since="[i]z[/i]")
    for literal in ("1 [red]x[/red]", "1 from [b]y[/b]", "since [i]z[/i]"):
        assert literal in text


def test_words_of_the_report_cannot_be_forged_by_a_user() -> None:
    text = page([row(0, ""), row(1, "(no user)"), row(2, "x", "", host="")], by="user")
    assert re.search(r"^\(no user\) ", text, re.MULTILINE)
    assert re.search(r'^"\(no user\)" ', text, re.MULTILINE)


def test_a_terminal_without_unicode_gets_a_page_too() -> None:
    rows = [row(second, f"Zoë{second}") for second in range(5)]
    text = page(rows, encoding="ascii", top=3)
    assert text.isascii()
    assert r"Zo\xeb0" in text
    assert "... and 2 more" in text


def test_the_error_section_explains_each_number() -> None:
    rows = [
        row(0),
        row(1, status=4151, format_="mariadb"),
        row(2, status=4999),
        row(3, status=None),
    ]
    text = page(rows, by="error", width=120)
    assert re.search(r"^1045 auth +1 +1 +1 ", text, re.MULTILINE)
    assert re.search(r"^1045  unknown account or wrong password; .*\(ER_ACCESS", text, re.MULTILINE)
    assert re.search(r"^4151  the account is locked \(ER_ACCOUNT_HAS", text, re.MULTILINE)
    assert re.search(r"^4999  error 4999, not in the table$", text, re.MULTILINE)
    assert re.search(r"^none  the record has no error number$", text, re.MULTILINE)


def test_every_limit_that_was_met_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "GROUPS_MAX", 4)
    rows = [row(1000 + second, f"u{second}") for second in range(5)]
    text = page([*rows, row(0, "late"), row(None, "late")])
    assert re.search(r"^\(other\) +2 +- +10:16:40 +10:16:41 +-$", text, re.MULTILINE)
    assert "the weakest 2 are in (other)." in text
    assert "A number with + is a lower bound" in text
    assert "1 attempt without a readable time" in text
    assert "Time jumps back at 1 place" in text
    assert "late" in text
    assert at(1001) == "2026-03-01T10:16:41Z"


def test_limits_that_were_not_met_are_not_mentioned() -> None:
    text = page(ATTACK)
    assert text.rstrip().endswith("tried 5 or more users.")
    assert "lower bound" not in text
