"""The daemon with syslog and Fluentd sinks: what the log says arrives, also through outages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import SAMPLES
from integration.test_inputs import daemon
from servers.forward import Receiver, node_receiver
from servers.shared import shared
from servers.syslog import Daemon, rsyslog

JSON = SAMPLES / "percona-json/percona_8.0_json_logins.json"


def configure(folder: Path, log: Path, siem: Daemon, fluentd: Receiver) -> None:
    (folder / "shipper.yaml").write_text(f"""
state: {folder}/state
sources:
- {{type: file, path: {log}}}
sinks:
- {{type: syslog, transport: tcp, host: 127.0.0.1, port: {siem.tcp}, message: ecs}}
- {{type: fluentd, servers: [{{host: 127.0.0.1, port: {fluentd.port}}}]}}
drain_idle_seconds: 0.2
""")


def offsets(documents: list[dict[str, Any]]) -> set[int]:
    return {document["log"]["offset"] for document in documents}


def test_both_receivers_get_the_whole_log_although_they_go_away(tmp_path: Path) -> None:
    siem, fluentd = shared(rsyslog), shared(node_receiver)
    begin_siem, begin_fluentd = siem.output.stat().st_size, fluentd.size()
    lines = JSON.read_bytes().splitlines(keepends=True)
    log = tmp_path / "audit.log"
    log.write_bytes(b"".join(lines))

    def in_siem(count: int) -> set[int]:
        found = siem.received(begin_siem, lambda messages: len(messages) >= count)
        return offsets([json.loads(message["text"]) for message in found])

    def in_fluentd(count: int) -> set[int]:
        found = fluentd.received(begin_fluentd, lambda events: len(events) >= count)
        return offsets([event["record"] for event in found])

    configure(tmp_path, log, siem, fluentd)
    starts = [sum(map(len, (lines * 3)[:index])) for index in range(len(lines) * 3)]
    with daemon(tmp_path):
        assert in_siem(len(lines)) == in_fluentd(len(lines)) == set(starts[: len(lines)])
        with siem.away(), fluentd.away(), log.open("ab") as file:
            file.write(b"".join(lines))
        both = len(lines) * 2
        assert in_siem(both) == in_fluentd(both) == set(starts[:both])
    with log.open("ab") as file:
        file.write(b"".join(lines))
    with daemon(tmp_path):
        assert in_siem(len(starts)) == in_fluentd(len(starts)) == set(starts)
