"""The PMM checks: their files, and their scripts on rows of the real table."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import starlark
from pmm.checks import FILES, FOLDER, ask, lint, queries, read, run
from sink.blocks import batch, failed_login
from sink.rigs.sql import SqlRig, on_mariadb, on_mysql

from shipper.model import AuditRecord

NOW = datetime.now(UTC)
BOTH = ("v2", "technology")


def at(minutes: float, second: float = 0) -> str:
    """So many minutes ago, and a second of that minute."""
    moment = NOW.replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    return (moment + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%SZ")


def attempt(user: str, ip: str, time: str, status: int = 1045) -> AuditRecord:
    record = failed_login(user, time)
    record.ip, record.status = ip, status
    return record


@pytest.fixture(params=["mariadb", "mysql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlRig]:
    with {"mariadb": on_mariadb, "mysql": on_mysql}[request.param](tmp_path) as rig:
        yield rig


def results(rig: SqlRig, name: str) -> list[dict[str, Any]]:
    check = read(name)
    return run(check, [ask(rig.server.port, each, rig.database) for each in queries(check)])


def stored(rig: SqlRig, *records: AuditRecord) -> None:
    with closing(rig.sink()) as store:
        store.prepare()
        store.deliver(batch(*records))


def test_the_committed_files_are_what_the_generator_writes(tmp_path: Path) -> None:
    tmp_path /= "made"
    command = [sys.executable, FOLDER / "generate.py", "--output", tmp_path]
    subprocess.run(command, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
    for name in FILES:
        assert (FOLDER / name).read_text() == (tmp_path / name).read_text()


def test_another_database_is_named_everywhere(tmp_path: Path) -> None:
    command = [sys.executable, FOLDER / "generate.py", "--output", tmp_path, "--database"]
    subprocess.run([*command, "audit"], check=True)
    for path in tmp_path.iterdir():
        assert "percona.audit_data" not in path.read_text()
        assert "audit.audit_data" in path.read_text()
    assert subprocess.run([*command, "a; b"], check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_the_documented_keys(name: str) -> None:
    check = read(name)
    common = {"version", "name", "summary", "description", "interval", "script", "category"}
    keys = {
        "v1": common | {"type", "query", "tiers"},
        "v2": common | {"queries", "family", "advisor"},
        "technology": common | {"queries", "technology"},
    }[name.split(".")[1]]
    assert set(check) == keys
    assert check["version"] == (1 if ".v1." in name else 2)
    assert check["interval"] in {"standard", "frequent", "rare"}
    assert check["name"].replace("_", "").isalnum()
    for query in queries(check):
        assert not query.lower().startswith("select")
        assert ";" not in query
    assert lint(check["script"]) == []


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("def f():\n    return f()", "calls itself"),
        ("x = 1\nx = 2", "only functions"),
        ("def f():\n    while True:\n        pass", "While is no Starlark"),
        ("def f(x):\n    return x is None", "Is is no Starlark"),
        ("def f(x):\n\treturn x", "a tab"),
        ("def f(x):\n    return f'{x}'", "JoinedStr is no Starlark"),
    ],
)
def test_the_lint_finds_what_pmm_would_refuse(script: str, problem: str) -> None:
    assert any(problem in each for each in lint(script))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "row",
    [
        {},
        {"failed_at": None, "user": None, "host": None, "ip": None, "status": None},
        {"failed_at": "", "attempts": "NaN", "status": "-1", "at": "soon", "user": 7},
        {"failed_at": "2026-11-23T10:00:00Z", "attempts": 10**30, "user": "\x1b[2J" * 999},
    ],
    ids=["no columns", "only NULL", "nonsense", "extremes"],
)
def test_odd_rows_break_no_script(name: str, row: dict[str, Any]) -> None:
    check = read(name)
    for rows in ([], [row], [row] * 300):
        for result in run(check, [rows for _ in queries(check)]):
            assert "\x1b" not in result["description"] or ".v1." in name


def test_seconds_are_those_of_the_calendar() -> None:
    script = read("login_burst.v2.yml")["script"]
    module = starlark.Module()
    starlark.eval(module, starlark.parse("x", script), starlark.Globals.standard())
    frozen = module.freeze()
    base = datetime(2023, 12, 30, 23, 59, 8, tzinfo=UTC)
    first = frozen.call("seconds", f"{base:%Y-%m-%dT%H:%M:%SZ}")
    for hours in range(0, 24 * 500, 7):
        moment = base + timedelta(hours=hours)
        assert frozen.call("seconds", f"{moment:%Y-%m-%dT%H:%M:%SZ}") == first + hours * 3600
    assert frozen.call("seconds", "2024") is None


@pytest.mark.parametrize("keys", BOTH)
def test_failed_logins_of_a_day_are_counted(rig: SqlRig, keys: str) -> None:
    stored(
        rig,
        attempt("root", "10.0.0.1", at(5)),
        attempt("root", "10.0.0.1", at(5)),
        attempt("o'brien\x1b[2J", "10.0.0.2", at(3)),
        attempt("old", "10.0.0.3", at(25 * 60)),
        attempt("", "10.0.0.4", at(2), status=1158),  # a health probe
        attempt("good", "10.0.0.5", at(2), status=0),
    )
    (result,) = results(rig, f"failed_logins.{keys}.yml")
    assert result["summary"] == "3 failed logins in 24 hours"
    first, second = result["description"].split("; ")
    assert first == '"root" from "10.0.0.1": 2'
    assert second.startswith("\"o'brien")
    assert second.endswith('" from "10.0.0.2": 1')
    assert "\x1b" not in second  # each interpreter has its own way to write it
    assert (result["severity"], result["labels"]) == ("notice", {"count": "3"})


@pytest.mark.parametrize("keys", BOTH)
def test_bursts_are_five_within_a_minute(rig: SqlRig, keys: str) -> None:
    stored(
        rig,
        *(attempt("app", f"10.0.0.{n}", at(9, 12 * n)) for n in range(5)),  # 0 to 48 s
        *(attempt("slow", f"10.0.1.{n}", at(7, 15 * n)) for n in range(5)),  # 0 to 60 s
        *(attempt(f"u{n % 2}", "10.0.2.1", at(5, 55 + n)) for n in range(5)),  # across a minute
    )
    (result,) = results(rig, f"login_burst.{keys}.yml")
    assert result["description"] == (
        'user "app": 5 failed logins within 60 seconds;'
        ' source "10.0.2.1": 5 failed logins within 60 seconds'
    )
    assert result["severity"] == "error"


@pytest.mark.parametrize("keys", BOTH)
def test_spraying_is_five_users_from_one_source(rig: SqlRig, keys: str) -> None:
    stored(
        rig,
        *(attempt(f"user{n}", "10.0.0.1", at(10 * n)) for n in range(5)),
        *(attempt(f"user{n % 4}", "10.0.0.2", at(n)) for n in range(9)),
    )
    (result,) = results(rig, f"password_spraying.{keys}.yml")
    assert result["description"] == 'source "10.0.0.1": tried 5 users'


@pytest.mark.parametrize("keys", BOTH)
def test_a_success_counts_after_a_burst_of_the_same_user_from_the_same_source(
    rig: SqlRig, keys: str
) -> None:
    stored(
        rig,
        *(attempt("victim", "10.0.0.1", at(9, n)) for n in range(5)),
        attempt("victim", "10.0.0.1", at(12), status=0),  # before
        attempt("victim", "10.0.0.9", at(8), status=0),  # from elsewhere
        attempt("clumsy", "10.0.0.1", at(9)),
        attempt("clumsy", "10.0.0.1", at(8), status=0),  # one mistake
    )
    assert results(rig, f"success_after_burst.{keys}.yml") == []
    with closing(rig.sink()) as store:
        store.deliver(batch(attempt("victim", "10.0.0.1", at(8, 3), status=0), start=1000))
    (result,) = results(rig, f"success_after_burst.{keys}.yml")
    assert result["description"] == f'"victim" from "10.0.0.1" at "{at(8, 3)}"'
    assert result["severity"] == "critical"


def test_the_check_of_the_article(rig: SqlRig) -> None:
    stored(
        rig, attempt("iexists", "", at(3)), attempt("root", "", at(2)), attempt("root", "", at(1))
    )
    (result,) = results(rig, "mysql_failed_login.v1.yml")
    assert result["summary"] == "Trivial - Failed Login Detected"
    assert result["description"].startswith("3 attempts - ")
    assert f'"iexists"@"web1" - "{at(3)}"' in result["description"].replace('\\"', '"')
    assert result["labels"] == {"count": "3"}


def test_the_queries_read_indexes(rig: SqlRig) -> None:
    good = [attempt("app", "10.0.0.1", at(n % 600), status=0) for n in range(3000)]
    old = [attempt("app", "10.0.0.1", at(3 * 24 * 60), status=0) for _ in range(3000)]
    stored(rig, *old, *good, attempt("app", "10.0.0.1", at(1)))
    rig.root("ANALYZE TABLE audit_data")
    query = queries(read("failed_logins.v2.yml"))[0].replace("percona.", f"{rig.database}.")
    plan = rig.explain(f"SELECT {query}")
    assert (plan["type"], plan["key"]) == ("range", "audit_data_failed_logins")
