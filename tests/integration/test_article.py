"""The scenario of Percona's article, on a real MariaDB: a server's audit log into its own table.

Three logins fail (unknown user, wrong password, no password); the article's query finds them in
`percona.audit_data`, and so do the report and the check of the Security Threat Tool. Once by
following the file, once through a named pipe that `tail` fills, as in the article.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pymysql
import pytest
from command import audit_shipper
from pmm.checks import ask, queries, read, run
from servers.mariadb import MariaDb, mariadb
from servers.waiting import until

SECONDS_MAX = 60
ACCOUNT, PASSWORD = "audit_user", "XXXXXX"
# The article's, whose operators ->> MariaDB does not have, with its missing paths filled in.
ARTICLE = """
SELECT concat(json_extract(info, '$.audit_record.user'), '@',
              json_extract(info, '$.audit_record.host'), ' - ',
              json_extract(info, '$.audit_record.timestamp')) AS name
FROM percona.audit_data
WHERE json_value(info, '$.audit_record.name') = 'Connect'
  AND json_value(info, '$.audit_record.status') != '0'
  AND DATE(json_value(info, '$.audit_record.timestamp')) > DATE(DATE_SUB(NOW(), INTERVAL 24 HOUR))
ORDER BY id DESC
"""


@pytest.fixture(params=["file", "fifo"])
def source(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def server() -> Iterator[MariaDb]:
    """Logins and statements, but not of the accounts that the article leaves out."""
    options = ("--server-audit-events=CONNECT,QUERY", f"--server-audit-excl-users=pmm,{ACCOUNT}")
    with mariadb(*options) as running:
        made = running.sql(
            "create database percona",
            f"create user {ACCOUNT}@localhost identified by '{PASSWORD}'",
            f"grant create, index, select, insert, update on percona.* to {ACCOUNT}@localhost",
            "create user pmm@localhost",
            "grant select on percona.* to pmm@localhost",
            "create user dba@localhost identified by 'right'",
        )
        assert made.returncode == 0, made.stderr
        yield running


def test_the_three_failed_logins_of_the_article(
    server: MariaDb, source: str, tmp_path: Path
) -> None:
    config = configuration(server, source, tmp_path)
    assert audit_shipper("setup", "sql", "-c", config).returncode == 0
    with daemon(config) as process:
        with piped(server.log, tmp_path / "danipipe") if source == "fifo" else none():
            server.sql("select 1", user="iexists", password="anything")
            server.sql("select 1", user="dba", password="badpass")
            server.sql("select 1", user="dba", password="")
            assert server.sql("select 1", user="dba", password="right").returncode == 0
            until(lambda: len(rows(server, ARTICLE)) == 3)
            until(
                lambda: rows(
                    server,
                    "SELECT 1 FROM percona.audit_data WHERE kind = 'connect'"
                    " AND user = 'dba' AND status = 0",
                )
            )
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0, (tmp_path / "errors").read_text()
    names = [name.rpartition(" - ")[0] for (name,) in rows(server, ARTICLE)]
    assert names == ['"dba"@"localhost"', '"dba"@"localhost"', '"iexists"@"localhost"']
    found_by_the_checks(server)
    found_by_the_report(server)
    # What the shipper and PMM do is left out as in the article, also their logins, which MariaDB
    # itself writes for every account: the log came to rest.
    users = rows(server, "SELECT user FROM percona.audit_data WHERE user <> ''")
    assert set(users) == {("dba",), ("root",), ("iexists",)}


def found_by_the_checks(server: MariaDb) -> None:
    for name, severity in (("mysql_failed_login.v1", "notice"), ("failed_logins.v2", "notice")):
        check = read(f"{name}.yml")
        docs = [ask(server.port, query, "percona", "pmm") for query in queries(check)]
        (result,) = run(check, docs)
        assert (result["severity"], result["labels"]) == (severity, {"count": "3"})
        assert "iexists" in result["description"]


def found_by_the_report(server: MariaDb) -> None:
    store = f"mysql://{ACCOUNT}@127.0.0.1:{server.port}/percona"
    env = os.environ | {"AUDIT_SHIPPER_STORE_PASSWORD": PASSWORD}
    done = audit_shipper("report", "failed-logins", "--store", store, "--json", env=env)
    found = orjson.loads(done.stdout)
    assert (found["attempts"], found["users"]) == (3, 2)


def configuration(server: MariaDb, source: str, folder: Path) -> Path:
    (folder / "password").write_text(PASSWORD)
    path = server.log if source == "file" else folder / "danipipe"
    config = folder / "shipper.yaml"
    config.write_text(
        f"state: {folder}/state\n"
        "drain_idle_seconds: 0.5\n"
        f"sources:\n- {{type: {source}, path: {path}, timezone: UTC}}\n"
        "sinks:\n- type: sql\n"
        f"  url: mysql://{ACCOUNT}@127.0.0.1:{server.port}/percona\n"
        f"  password_file: {folder}/password\n"
        f"  exclude_accounts: [pmm@localhost, {ACCOUNT}@localhost]\n"
    )
    return config


@contextmanager
def daemon(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
    with (config.parent / "errors").open("wb") as errors:
        process = subprocess.Popen(command, stderr=errors)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(SECONDS_MAX)


@contextmanager
def piped(log: Path, pipe: Path) -> Iterator[None]:
    """Do as the article: `tail -f` the log into the pipe."""
    until(pipe.exists)
    command = ["sh", "-c", 'exec tail -n +1 -F "$0" > "$1"', log, pipe]
    with subprocess.Popen(command) as tail:
        try:
            yield
        finally:
            tail.terminate()


@contextmanager
def none() -> Iterator[None]:
    yield


def rows(server: MariaDb, query: str) -> list[tuple[Any, ...]]:
    connection = pymysql.connect(host="127.0.0.1", port=server.port, user="pmm")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())
    finally:
        connection.close()
