"""What is detected goes to the sinks that want it, as durably as records, and counts as none."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import stat
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from app.running import configure, daemon, scrape
from command import audit_shipper
from observe.test_accounting import LEFT, TAKEN
from prometheus_client.parser import text_string_to_metric_families
from servers import free_port
from servers.waiting import until

STORED = (
    "SELECT kind, json_extract(info, '$.audit_record.extra.rule'), "
    "json_extract(info, '$.audit_record.record') FROM audit_data"
)
HOSTILE = "root\\'\x1b[2J<script>"


def burst(folder: Path, client: str, minute: int, user: str = HOSTILE) -> None:
    """Twenty refused logins within a minute."""
    with (folder / "main.log").open("a") as log:
        for second in range(20):
            log.write(
                f"20261126 10:{minute:02}:{second:02},db1,{user},{client},{second},0,"
                "FAILED_CONNECT,,,1045\n"
            )


def sinks(folder: Path, *, alerts: str = "on") -> str:
    everybody = "exclude_accounts: ['%@%']"
    return (
        "{type: metrics}, "
        f"{{type: sqlite, path: {folder}/audit.db, alerts: {alerts}}}, "
        f"{{type: jsonl, name: siem, path: {folder}/siem.jsonl, alerts: only, {everybody}}}"
    )


def stored(folder: Path) -> Counter[tuple[str, str | None, str]]:
    if not (folder / "audit.db").exists():
        return Counter()
    with closing(sqlite3.connect(folder / "audit.db")) as store:
        try:
            return Counter(store.execute(STORED).fetchall())
        except sqlite3.OperationalError:  # no table yet
            return Counter()


def alerts(folder: Path) -> list[str]:
    return sorted(id_ for kind, _, id_ in stored(folder).elements() if kind == "alert")


def lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / "siem.jsonl"
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    return [json.loads(line) for line in whole.splitlines()]


def scraped(port: int) -> dict[str, dict[tuple[str, ...], float]]:
    """Family by name: sink, or the only label, to value."""
    text = scrape(port)
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = tuple(sample.labels.values())
            found.setdefault(sample.name, {})[key] = sample.value
    return found


def by_sink(families: dict[str, dict[tuple[str, ...], float]], name: str) -> Counter[str]:
    """The labels of these families are the sink, perhaps with a reason behind it."""
    sums: Counter[str] = Counter()
    for labels, value in families.get(name, {}).items():
        sums[labels[0]] += int(value)
    return sums


def test_an_alert_is_delivered_beside_the_records_and_is_counted_as_none(tmp_path: Path) -> None:
    burst(tmp_path, "203.0.113.9", 0)
    port = free_port()
    http = f"http: {{port: {port}}}\nalerts: {tmp_path}/alerts.jsonl"
    config = configure(tmp_path, sinks=sinks(tmp_path), more=http)
    with daemon(config) as running:
        until(lambda: alerts(tmp_path) and lines(tmp_path))
        until(lambda: by_sink(scraped(port), "audit_shipper_sink_records_total")["siem.alerts"])
        families = scraped(port)
        assert running.stop() == 0, running.log

    (line,) = lines(tmp_path)  # policy leaves everybody out, but an alert is no record
    assert (line["kind"], line["name"], line["ip"]) == ("alert", "source_burst", "203.0.113.9")
    assert line["extra"]["count"] == 20
    assert alerts(tmp_path) == [line["record"]]
    (written,) = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert json.loads(written)["event"]["id"] == line["record"]

    # Counted once, where they are found; decoded records are those of the server.
    detections = families["mysql_audit_detections_total"]
    assert sum(detections.values()) == detections["source_burst",] == 1
    assert sum(families["audit_shipper_records_decoded_total"].values()) == 20
    assert sum(families["mysql_audit_connect_failures_total"].values()) == 20
    # The books of each sink balance, and those of its alerts are their own.
    taken = by_sink(families, TAKEN)
    assert taken == {"metrics": 20, "sqlite": 20, "sqlite.alerts": 1, "siem.alerts": 1}
    left: Counter[str] = Counter()
    for name in LEFT:
        left += by_sink(families, name)
    assert left == taken

    verified = audit_shipper("verify", "-c", config)
    assert verified.returncode == 0, verified.stdout
    reports = json.loads(audit_shipper("status", "-c", config, "--json").stdout)
    lanes = {
        (lane["source"], lane["sink"]): lane["records"] for r in reports for lane in r["lanes"]
    }
    assert lanes == {
        ("main", "metrics"): 20,
        ("main", "sqlite"): 20,
        ("main.alerts", "sqlite.alerts"): 1,
        ("main.alerts", "siem.alerts"): 1,
    }
    report = audit_shipper("report", "failed-logins", "--store", f"sqlite:{tmp_path}/audit.db")
    assert b"20" in report.stdout
    assert b"21" not in report.stdout.partition(b"\n")[0]


@pytest.mark.parametrize("lost", ["detector", "everything"])
def test_what_is_found_again_is_not_stored_again(tmp_path: Path, lost: str) -> None:
    """Killed, and then without what it knew: all is detected anew, and meets itself."""
    burst(tmp_path, "203.0.113.9", 0)
    burst(tmp_path, "203.0.113.10", 1)
    config = configure(tmp_path, sinks=sinks(tmp_path))
    with daemon(config) as running:
        until(lambda: len(alerts(tmp_path)) == len(lines(tmp_path)) == 2)
        running.signal(signal.SIGKILL)
        running.process.wait()
    first = alerts(tmp_path)
    if lost == "everything":
        shutil.rmtree(tmp_path / "state")
    else:
        for path in (tmp_path / "state").glob("main.db*"):
            path.unlink()
    burst(tmp_path, "203.0.113.11", 2)
    with daemon(config) as running:
        running.says("203.0.113.9,")  # found again
        until(lambda: len(alerts(tmp_path)) >= 3)
        assert running.stop() == 0, running.log
    assert set(first) < set(alerts(tmp_path))
    assert len(alerts(tmp_path)) == len(set(alerts(tmp_path))) == 3
    assert stored(tmp_path)["connect", None, None] == 60
    assert {line["record"] for line in lines(tmp_path)} == set(alerts(tmp_path))
    assert audit_shipper("verify", "-c", config).returncode == 0


def test_alerts_outlive_kill_and_the_loss_of_their_log_until_a_target_comes(tmp_path: Path) -> None:
    """Found while the target is away, and then the audit log itself is gone."""
    port = free_port()
    away = f"{{type: metrics}}, {{type: syslog, transport: tcp, host: 127.0.0.1, port: {port}, "
    burst(tmp_path, "203.0.113.9", 0)
    config = configure(tmp_path, sinks=away + "alerts: only}")
    with daemon(config) as running:
        running.says("opened source=main.alerts")
        running.says("sink=syslog.alerts")
        running.signal(signal.SIGKILL)
        running.process.wait()
    verified = audit_shipper("verify", "-c", config)
    assert verified.returncode == 1
    (path,) = (tmp_path / "state/findings/main").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (tmp_path / "main.log").unlink()
    # The operator gives up on that receiver, and lets a file take its place under its name.
    named = f"{{type: jsonl, name: syslog, path: {tmp_path}/siem.jsonl, alerts: only}}"
    configure(tmp_path, sinks="{type: metrics}, " + named)
    with daemon(config) as running:
        until(lambda: lines(tmp_path))
        assert running.stop() == 0, running.log
    assert [line["name"] for line in lines(tmp_path)] == ["source_burst"]


def test_refused_alerts_wait_in_the_dead_letters_and_can_be_replayed(tmp_path: Path) -> None:
    """Replay finds the sink by the name of its alerts."""
    burst(tmp_path, "203.0.113.9", 0)
    config = configure(tmp_path, sinks=sinks(tmp_path))
    with daemon(config) as running:
        until(lambda: lines(tmp_path))
        assert running.stop() == 0, running.log
    (line,) = lines(tmp_path)
    letter = {
        "at": "2026-11-26T10:00:00.000Z",
        "sink": "siem.alerts",
        "reason": "mapping",
        "detail": "as if a target had refused it",
        "source": "main.alerts",
        "path": "x",
        "segment": line["segment"],
        "span": line["span"],
        "record": {key: line[key] for key in ("name", "kind", "timestamp", "extra", "record")},
    }
    letters = tmp_path / "state/main.alerts.dead-letters.ndjson"
    letters.write_text(json.dumps(letter) + "\n")
    replayed = audit_shipper("dead-letters", "replay", "-c", config)
    assert replayed.returncode == 0, replayed.stderr
    assert [each["record"] for each in lines(tmp_path)] == [line["record"]] * 2


def test_a_reload_begins_and_ends_the_delivery_of_alerts(tmp_path: Path) -> None:
    burst(tmp_path, "203.0.113.9", 0)
    config = configure(tmp_path, sinks=sinks(tmp_path, alerts="off"))
    with daemon(config) as running:
        until(lambda: lines(tmp_path))
        assert alerts(tmp_path) == []
        configure(tmp_path, sinks=sinks(tmp_path))
        running.signal(signal.SIGHUP)
        until(lambda: len(alerts(tmp_path)) == 1)  # what is still kept
        burst(tmp_path, "203.0.113.10", 1)
        until(lambda: len(alerts(tmp_path)) == len(lines(tmp_path)) == 2)
        assert running.stop() == 0, running.log


def test_a_reload_changes_what_is_detected(tmp_path: Path) -> None:
    """With the threshold of the new configuration, and what was counted under the old one."""
    port = free_port()
    http = f"http: {{host: 127.0.0.1, port: {port}}}"
    burst(tmp_path, "203.0.113.9", 0)
    config = configure(
        tmp_path, sinks=sinks(tmp_path), more=f"{http}\ndetect: {{burst_failures: 40}}"
    )
    with daemon(config) as running:
        running.says("opened source=main ")
        until(lambda: sum(scraped(port)["mysql_audit_connects_total"].values()) == 20)
        configure(tmp_path, sinks=sinks(tmp_path), more=f"{http}\ndetect: {{burst_failures: 25}}")
        reloaded = "audit_shipper_config_last_reload_success_timestamp_seconds"
        first = scraped(port)[reloaded][()]
        running.signal(signal.SIGHUP)
        until(lambda: scraped(port)[reloaded][()] > first)
        burst(tmp_path, "203.0.113.9", 1)
        until(lambda: lines(tmp_path))
        assert running.stop() == 0, running.log
    (found,) = lines(tmp_path)
    assert (found["name"], found["extra"]["count"]) == ("source_burst", 25)


def test_a_proxy_of_the_counts_is_one_to_the_rules(tmp_path: Path) -> None:
    """Many people behind one address, each with a wrong password, are no spraying."""
    port = free_port()
    config = configure(
        tmp_path,
        sinks=sinks(tmp_path).replace("metrics}", "metrics, trusted_proxies: [10.0.9.0/24]}"),
        more=f"http: {{host: 127.0.0.1, port: {port}}}",
    )
    with (tmp_path / "main.log").open("a") as log:
        for number, client in enumerate(["10.0.9.1"] * 9 + ["192.0.2.7"] * 9):
            log.write(
                f"20261126 10:00:{number:02},db1,u{number % 9},{client},{number},0,"
                "FAILED_CONNECT,,,1045\n"
            )
    with daemon(config) as running:
        until(lambda: lines(tmp_path))
        until(lambda: sum(scraped(port)["mysql_audit_connects_total"].values()) == 18)
        assert set(scraped(port)["mysql_audit_source_failed_accounts"]) == {("192.0.2.7",)}
        assert running.stop() == 0, running.log
    (found,) = lines(tmp_path)
    assert found["ip"] == "192.0.2.7"
    assert found["name"] == "password_spray"
