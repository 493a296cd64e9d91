"""One rig a sink: a real target, a way to look into it, and a way to break it.

RIGS is what the contract suite runs over. A rig is a context manager that gives a `Rig`; it skips
(or fails, where REQUIRE_SERVERS=1) if its server is not installed. Adding a sink: one file here,
one line in RIGS.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sink.rigs import fluentd, syslog
from sink.rigs.base import Rig
from sink.rigs.files import jsonl, sqlite
from sink.rigs.opensearch import opensearch, opensearch_packed
from sink.rigs.sql import on_mariadb, on_mysql

RIGS: dict[str, Callable[[Path], AbstractContextManager[Rig]]] = {
    "sqlite": sqlite,
    "jsonl": jsonl,
    "sql:mariadb": on_mariadb,
    "sql:mysql": on_mysql,
    "fluentd:node": fluentd.node,
    "fluentd:secured": fluentd.secured,
    "fluentd:otelcol": fluentd.otelcol,
    "syslog:tcp": syslog.tcp,
    "syslog:tls": syslog.tls,
    "syslog:udp": syslog.udp,
    "syslog:unix": syslog.unix,
    "syslog:unix-stream": syslog.unix_stream,
    "opensearch": opensearch,
    "opensearch:packed": opensearch_packed,
}

__all__ = ["RIGS", "Rig"]
