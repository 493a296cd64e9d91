"""From a real server's audit log to the report, by the commands a user types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from command import audit_shipper
from servers.mariadb import MariaDb, mariadb, scenario


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDb]:
    with mariadb() as running:
        scenario(running)
        yield running


def test_every_login_that_the_server_refused_is_decoded(server: MariaDb) -> None:
    shown = server.sql("show global status like 'Aborted_connects'").stdout
    refused = int(shown.split()[-1])
    decoded = audit_shipper("decode", server.log)
    records = [orjson.loads(line) for line in decoded.stdout.splitlines()]
    failed = [r for r in records if r["kind"] == "connect" and r["status"]]
    assert decoded.returncode == 0
    assert len(failed) == refused == 14
    assert Counter(r["user"] for r in failed) == {
        "app": 7,
        "admin": 1,
        "backup": 1,
        "mysql": 1,
        "oracle": 1,
        "test": 1,
        "o'brien, jr": 1,
        "": 1,
    }


def test_statements_come_out_as_they_were_typed(server: MariaDb) -> None:
    decoded = audit_shipper("decode", server.log)
    texts = [orjson.loads(line).get("sqltext") for line in decoded.stdout.splitlines()]
    assert "insert into orders values (1, 'tea \"green\"'), (2, 'caffè')" in texts
    assert "create user 'o''brien, jr' identified by *****" in texts


def test_shipped_and_reported(server: MariaDb, tmp_path: Path) -> None:
    store = f"sqlite:{tmp_path}/audit.db"
    assert audit_shipper("ship", server.log, "--to", store).returncode == 0
    report = audit_shipper("report", "failed-logins", "--store", store, "--since", "1h", "--json")
    found = orjson.loads(report.stdout)
    assert found["attempts"] == 13
    assert found["probes"]["count"] == 1
