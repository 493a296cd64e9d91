"""`audit-shipper setup dashboards`, as a process, against stand-ins for the two APIs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from boards import saved
from boards.asking import GRAFANA
from command import audit_shipper
from servers.dashboard_apis import TOKEN, GrafanaApi, OsdApi, serving

OBJECTS = len(saved.every())
BOARDS = len(list(GRAFANA.glob("*.json")))


@pytest.fixture
def osd() -> Iterator[OsdApi]:
    api = OsdApi()
    with serving(api):
        yield api


@pytest.fixture
def grafana() -> Iterator[GrafanaApi]:
    api = GrafanaApi()
    with serving(api):
        yield api


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return audit_shipper("setup", "dashboards", *arguments, env={**os.environ, **variables})


def to_grafana(api: GrafanaApi, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return run("--grafana-url", api.url, *arguments, AUDIT_SHIPPER_GRAFANA_TOKEN=TOKEN)


def test_a_second_import_of_saved_objects_writes_nothing(osd: OsdApi) -> None:
    made = run("--osd-url", osd.url)
    assert (made.returncode, made.stdout.count(b"created")) == (0, OBJECTS), made.stderr
    assert len(osd.objects) == OBJECTS
    again = run("--osd-url", osd.url + "/")
    assert (again.returncode, again.stdout.count(b"unchanged")) == (0, OBJECTS), again.stderr
    assert len(osd.writes) == 1


def test_only_what_was_changed_is_set_back(osd: OsdApi) -> None:
    run("--osd-url", osd.url)
    key = next(key for key in osd.objects if key[0] == "visualization")
    attributes = osd.objects[key]["attributes"]
    osd.objects[key] = osd.objects[key] | {"attributes": attributes | {"title": "mine"}}
    dry = run("--osd-url", osd.url, "--dry-run")
    assert (dry.stdout.count(b"to be updated"), len(osd.writes)) == (1, 1)
    done = run("--osd-url", osd.url)
    assert (done.stdout.count(b"updated"), len(osd.writes)) == (1, 2)
    assert osd.objects[key]["attributes"] == attributes


def test_another_index_gets_into_every_object(osd: OsdApi) -> None:
    assert run("--osd-url", osd.url, "--index-pattern", "db-logs-*").returncode == 0
    text = json.dumps(list(osd.objects.values()))
    assert saved.PATTERN not in text
    assert text.count("db-logs-*") == 3  # the pattern, TSVB, Vega


def test_user_and_tenant_are_sent_and_never_shown(osd: OsdApi, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    options = ("--osd-user", "admin", "--osd-password-file", str(secret), "--osd-tenant", "global")
    done = run("--osd-url", osd.url, *options)
    assert done.returncode == 0
    assert osd.headers[0]["Authorization"] == "Basic YWRtaW46czNjcmV0"
    assert osd.headers[0]["securitytenant"] == "global"
    assert b"s3cret" not in done.stdout + done.stderr


def test_an_import_that_failed_with_status_200_is_a_failure(osd: OsdApi, tmp_path: Path) -> None:
    (tmp_path / "opensearch").mkdir()
    (made, *_) = saved.of_type("visualization")
    (tmp_path / "opensearch" / "a.ndjson").write_text(json.dumps(made) + "\n")
    done = run("--osd-url", osd.url, "--files", str(tmp_path))
    assert done.returncode == 3
    assert b"missing_references" in done.stderr


def test_a_second_import_to_grafana_writes_nothing(grafana: GrafanaApi) -> None:
    made = to_grafana(grafana, "--runbooks", "https://wiki.example/runbooks/")
    assert (made.returncode, made.stdout.count(b"created")) == (0, BOARDS + 1), made.stderr
    assert grafana.folders["mysql-audit"]["title"] == "MySQL audit"
    for board, folder in grafana.boards.values():
        assert folder == "mysql-audit"
        (runbooks,) = [each for each in board["templating"]["list"] if each["name"] == "runbooks"]
        assert runbooks["query"] == "https://wiki.example/runbooks"
    writes = len(grafana.writes)
    again = to_grafana(grafana, "--runbooks", "https://wiki.example/runbooks/")
    assert (again.stdout.count(b"unchanged"), len(grafana.writes)) == (BOARDS + 1, writes)
    moved = to_grafana(grafana, "--runbooks", "https://wiki.example/other")
    assert moved.stdout.count(b"updated") == BOARDS
    assert all(board["version"] == 2 for board, _ in grafana.boards.values())


def test_a_dry_run_writes_nothing(grafana: GrafanaApi, osd: OsdApi) -> None:
    done = to_grafana(grafana, "--osd-url", osd.url, "--dry-run")
    assert done.returncode == 0
    assert done.stdout.count(b"to be created") == OBJECTS + BOARDS + 1
    assert grafana.writes == osd.writes == []


def test_a_wrong_token_is_refused_and_not_shown(grafana: GrafanaApi) -> None:
    done = run("--grafana-url", grafana.url, AUDIT_SHIPPER_GRAFANA_TOKEN="wr0ng")
    assert done.returncode == 3
    assert b"status 401: " in done.stderr
    assert b"wr0ng" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], b"where to?"),
        (["--osd-url", "dashboards:5601"], b"is no address"),
        (["--osd-url", "http://127.0.0.1:9"], b"cannot be reached"),
        (["--osd-url", "http://127.0.0.1:9", "--osd-user", "me"], b"AUDIT_SHIPPER_OSD_PASSWORD"),
        (["--osd-url", "http://127.0.0.1:9", "--index-pattern", '"'], b"write one like"),
        (["--grafana-url", "http://127.0.0.1:9"], b"AUDIT_SHIPPER_GRAFANA_TOKEN"),
    ],
)
def test_wrong_use_is_explained(arguments: list[str], said: bytes) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
