"""What docs/metrics.md says of completeness: the server counts as many connections as we do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from app.running import configure, daemon
from app.test_alerts import scraped
from servers import free_port
from servers.mariadb import MariaDb, mariadb
from servers.shared import shared
from servers.waiting import answers, until

from shipper.observe.families import FAMILIES

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def connections(server: MariaDb) -> int:
    """The server's own counter; to ask is a connection, too."""
    return int(server.sql("SHOW GLOBAL STATUS LIKE 'Connections'").stdout.split()[-1])


def connects(port: int) -> float:
    return scraped(port)["mysql_audit_connects_total"]["connect",]


@pytest.mark.timeout(300)
def test_the_server_counts_what_we_count(tmp_path: Path) -> None:
    server = shared(mariadb)
    port = free_port()
    source = f"{{type: file, name: main, path: {server.log}, poll_seconds: 0.05}}"
    http = f"http: {{host: 127.0.0.1, port: {port}}}"
    config = configure(tmp_path, sources=source, sinks="{type: metrics}", more=http)
    begin = connections(server)
    logged = len(re.findall(r",(?:FAILED_)?CONNECT,", server.log.read_text()))
    with daemon(config) as running:
        until(lambda: answers(f"http://127.0.0.1:{port}/readyz"))
        for number in range(3):
            server.sql("select 1", tcp=True)
            server.sql("select 1", user="nobody", password=f"{number}", tcp=True)
            server.probe()
        attempts = connections(server) - begin
        assert attempts == 10
        until(lambda: connects(port) >= logged + attempts)
        assert connects(port) == logged + attempts
        assert scraped(port)["mysql_audit_connect_probes_total"][()] >= 3
        assert running.stop() == 0, running.log


def test_the_query_of_the_page_is_about_metrics_that_exist() -> None:
    (query,) = re.findall(r"```\n(sum by .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    ours = set(re.findall(r"mysql_audit_\w+", query))
    assert ours == {"mysql_audit_connects_total"}
    assert ours < set(FAMILIES)
    assert 'event="connect"' in query
    assert "mysql_global_status_connections" in query
