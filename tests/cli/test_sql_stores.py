"""`ship`, `report` and `setup` with a database on a real server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from command import audit_shipper
from conftest import SAMPLES
from sink.rigs.sql import ACCOUNT, PASSWORD, SqlRig, on_mariadb, on_mysql

from shipper.cli.stores import open_store, open_target
from shipper.errors import UsageError

LOG = SAMPLES / "mariadb" / "mariadb_10.11_logins.log"
ENV = os.environ | {"AUDIT_SHIPPER_STORE_PASSWORD": PASSWORD}


@pytest.fixture(params=["mariadb", "mysql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlRig]:
    with {"mariadb": on_mariadb, "mysql": on_mysql}[request.param](tmp_path) as rig:
        yield rig


@pytest.fixture
def on_one(tmp_path: Path) -> Iterator[SqlRig]:
    """For what is ours and no server's: each process costs a second."""
    with on_mariadb(tmp_path) as rig:
        yield rig


def reported(store: str, *when: str) -> dict[str, Any]:
    arguments = ("report", "failed-logins", "--store", store, *(when or ("--all",)), "--json")
    done = audit_shipper(*arguments, env=ENV)
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = orjson.loads(done.stdout)
    return document


def test_the_report_is_the_same_from_every_store(rig: SqlRig, tmp_path: Path) -> None:
    embedded = f"sqlite:{tmp_path}/audit.db"
    for store in (rig.url, embedded):
        assert audit_shipper("ship", LOG, "--to", store, env=ENV).returncode == 0
    again = audit_shipper("ship", LOG, "--to", rig.url, env=ENV)
    assert b"nothing new" in again.stderr
    found = reported(rig.url)
    assert found["attempts"] > 0
    assert found["newest"] >= found["last"]
    assert found == reported(embedded) | {"store": rig.url}


def test_what_has_no_readable_time_is_in_the_report_of_every_store(
    rig: SqlRig, tmp_path: Path
) -> None:
    log, embedded = tmp_path / "audit.log", f"sqlite:{tmp_path}/audit.db"
    log.write_bytes(b"Mon 3 Sep,db1,bob,web1,3,0,FAILED_CONNECT,,,1045\n")
    for store in (rig.url, embedded):
        assert audit_shipper("ship", log, "--to", store, env=ENV).returncode == 0
    found = reported(rig.url, "--since", "1h")
    assert (found["attempts"], found["newest"]) == (1, "")
    assert found | {"since": ""} == reported(embedded, "--since", "1h") | {
        "store": rig.url,
        "since": "",
    }


def test_another_log_that_begins_alike_is_refused_by_every_store(
    rig: SqlRig, tmp_path: Path
) -> None:
    rows = LOG.read_bytes().splitlines(keepends=True)
    for name, second in (("db1.log", rows[1]), ("db2.log", rows[2])):
        (tmp_path / name).write_bytes(rows[0] + second)
    shipped = [
        audit_shipper("ship", tmp_path / name, "--to", rig.url, env=ENV).returncode
        for name in ("db1.log", "db2.log")
    ]
    assert shipped == [0, 2]


def test_the_page_names_the_store_and_no_password(on_one: SqlRig, tmp_path: Path) -> None:
    audit_shipper("ship", LOG, "--to", on_one.url, env=ENV)
    (tmp_path / "password").write_text(PASSWORD + "\n")
    env = os.environ | {"AUDIT_SHIPPER_STORE_PASSWORD_FILE": str(tmp_path / "password")}
    page = audit_shipper("report", "failed-logins", "--store", on_one.url, "--all", env=env)
    assert page.returncode == 0
    assert on_one.database in page.stdout.decode().replace("\n", "")
    assert PASSWORD not in page.stdout.decode()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:s3cret@127.0.0.1/percona", "password does not belong into the URL"),
        ("mysql://u@127.0.0.1", "must be mysql://USER@HOST"),
        ("mysql://127.0.0.1/percona", "must be mysql://USER@HOST"),
        ("mysql://u@127.0.0.1/percona?charset=latin1", "must be mysql://USER@HOST"),
        ("mysql://u@127.0.0.1/percona?tls=perhaps", "is not right"),
        ("mysql://u@127.0.0.1:s3cret/percona", "is not right"),
    ],
)
def test_a_url_that_is_not_right_is_explained_and_never_repeated(url: str, said: str) -> None:
    for opening in (open_store, open_target):
        with pytest.raises(UsageError, match=re.escape(said)) as caught:
            opening(url)
        assert "s3cret" not in str(caught.value)


def test_a_password_in_the_url_is_refused() -> None:
    done = audit_shipper("report", "failed-logins", "--store", "mysql://u:s3cret@127.0.0.1/x")
    assert done.returncode == 2
    assert b"password comes from $AUDIT_SHIPPER_STORE_PASSWORD" in done.stderr
    assert b"s3cret" not in done.stderr + done.stdout


def test_a_report_makes_no_tables(on_one: SqlRig) -> None:
    done = audit_shipper("report", "failed-logins", "--store", on_one.url, env=ENV)
    assert done.returncode == 3
    assert b"audit_data is missing" in done.stderr
    assert on_one.root("SHOW TABLES") == []


def test_setup_makes_the_tables_once(on_one: SqlRig, tmp_path: Path) -> None:
    config = configuration(on_one, tmp_path)
    on_one.root(f"REVOKE CREATE, INDEX ON {on_one.database}.* FROM {ACCOUNT}")
    refused = audit_shipper("setup", "sql", "-c", config, env=ENV)
    assert refused.returncode == 3
    assert b"What to do: run audit-shipper setup sql --user root, or grant CREATE" in refused.stderr
    first = audit_shipper("setup", "sql", "-c", config, "--user", "root")
    assert first.stdout == b"archive: made audit_data, audit_defects, audit_segments\n"
    second = audit_shipper("setup", "sql", "-c", config, env=ENV)
    assert second.stdout == b"archive: nothing to do\n"
    assert audit_shipper("ship", LOG, "--to", on_one.url, env=ENV).returncode == 0


def test_the_printed_sql_makes_the_same_tables(rig: SqlRig, tmp_path: Path) -> None:
    config = configuration(rig, tmp_path)
    printed = audit_shipper("setup", "sql", "-c", config, "--print")
    for statement in printed.stdout.decode().split(";\n")[:-1]:
        rig.root(statement)
    by_hand = shapes(rig)
    for (table,) in rig.root("SHOW TABLES"):
        rig.root(f"DROP TABLE {table}")
    assert audit_shipper("setup", "sql", "-c", config, env=ENV).returncode == 0
    assert shapes(rig) == by_hand


def test_setup_without_such_a_sink_says_so(on_one: SqlRig, tmp_path: Path) -> None:
    config = configuration(on_one, tmp_path)
    done = audit_shipper("setup", "sql", "-c", config, "--sink", "other")
    assert done.returncode == 2
    assert b"has no sink 'other' of type sql" in done.stderr


def configuration(rig: SqlRig, folder: Path) -> Path:
    (folder / "password").write_text(PASSWORD)
    path = folder / "shipper.yaml"
    path.write_text(
        f"state: {folder}/state\n"
        "sources: [{type: file, path: /var/log/mysql/audit.log}]\n"
        f"sinks: [{{type: sql, name: archive, url: '{rig.url}',"
        f" password_file: {folder}/password}}]\n"
    )
    return path


def shapes(rig: SqlRig) -> dict[str, list[str]]:
    """Columns, keys and options of each table; MySQL shows keys in the order they were made."""
    shown = [rig.root(f"SHOW CREATE TABLE {table}")[0] for (table,) in rig.root("SHOW TABLES")]
    return {table: sorted(line.strip(" ,") for line in text.split("\n")) for table, text in shown}
