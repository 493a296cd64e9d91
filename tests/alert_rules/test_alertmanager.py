"""The Alertmanager example: valid, and every alert goes where it should."""

from __future__ import annotations

import re
import subprocess
import threading
from pathlib import Path

import pytest
import yaml
from alert_rules.test_prometheus import ALERTS, ROOT
from servers import need
from servers.prometheus import POLL_SECONDS, READY_SECONDS, alertmanager_of

from shipper.detection import RULES

EXAMPLE = ROOT / "alert-rules" / "alertmanager" / "alertmanager.example.yml"
# Prefix of the alert and severity -> receivers, in the order of the routes.
EXPECTED = {
    ("MySQLAudit", "critical"): "security-pager,chat",
    ("MySQLAudit", "warning"): "chat",
    ("MySQLAudit", "info"): "nobody",
    ("AuditShipper", "critical"): "platform-pager",
    ("AuditShipper", "warning"): "platform-tickets",
    ("AuditShipper", "info"): "nobody",
}


def amtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need("amtool"), *arguments], capture_output=True, text=True, check=False)


def test_amtool_accepts_the_example() -> None:
    checked = amtool("check-config", EXAMPLE)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_routes(alert: dict[str, dict[str, str]]) -> None:
    name, severity = str(alert["alert"]), alert["labels"]["severity"]
    prefix = "MySQLAudit" if name.startswith("MySQLAudit") else "AuditShipper"
    routed = amtool(
        "config",
        "routes",
        "test",
        f"--config.file={EXAMPLE}",
        f"--verify.receivers={EXPECTED[prefix, severity]}",
        f"alertname={name}",
        f"severity={severity}",
        "namespace=n",
        "pod=p",
    )
    assert routed.returncode == 0, routed.stdout + routed.stderr


def _inhibitions() -> list[dict[str, list[str]]]:
    rules: list[dict[str, list[str]]] = yaml.safe_load(EXAMPLE.read_text("utf-8"))["inhibit_rules"]
    return rules


def test_inhibitions_name_alerts_that_exist_and_labels_that_both_sides_have() -> None:
    for inhibition in _inhibitions():
        for side in ("source_matchers", "target_matchers"):
            matched = dict(re.findall(r'(\w+)=~?"([^"]*)"', " ".join(inhibition[side])))
            name = matched.pop("alertname")
            expressions = [alert["expr"] for alert in ALERTS if alert["alert"] == name]
            assert expressions, inhibition
            for label in (*inhibition.get("equal", ()), *matched):
                assert all(label in expr for expr in expressions), (inhibition, label)
            assert set(matched.get("rule", "source_burst").split("|")) <= set(RULES)


_P = {"namespace": "n", "pod": "p"}
_MEANWHILE = [  # what fires; the detector names the server, the alerts by counter do not
    {"alertname": "MySQLAuditFailedLoginBurstBySource", "namespace": "n", "source_ip": "x"},
    {"alertname": "MySQLAuditFailedLoginBurstByAccount", "namespace": "m", "user": "x"},
    {"alertname": "MySQLAuditPasswordSpraying", **_P, "source_ip": "x"},
    {"alertname": "MySQLAuditPasswordSpraying", "namespace": "o", "pod": "r", "source_ip": "x"},
    {"alertname": "AuditShipperTargetMissing"},
]
_MUTED = [
    {"alertname": "MySQLAuditFailedLoginBurstBySource", "namespace": "n", "source_ip": "x"},
    {"alertname": "MySQLAuditDetection", **_P, "rule": "source_burst"},
    {"alertname": "MySQLAuditDetection", **_P, "rule": "password_spray"},
    {"alertname": "MySQLAuditDetection", "namespace": "m", "pod": "q", "rule": "account_burst"},
    {"alertname": "MySQLAuditDetection", "namespace": "o", "pod": "r", "rule": "source_burst"},
    {"alertname": "AuditShipperTargetGone", **_P},
]
_TOLD = [
    {"alertname": "MySQLAuditPasswordSpraying", **_P, "source_ip": "x"},
    # Of another kind, and of another namespace.
    {"alertname": "MySQLAuditDetection", **_P, "rule": "distributed_burst"},
    {"alertname": "MySQLAuditDetection", **_P, "rule": "account_burst"},
    {"alertname": "MySQLAuditDetection", "namespace": "m", "pod": "q", "rule": "source_burst"},
    {"alertname": "MySQLAuditDetection", "namespace": "m", "pod": "q", "rule": "password_spray"},
    {"alertname": "MySQLAuditLoginAfterFailureBurst", **_P},
]


def test_a_burst_that_counter_and_detector_find_is_told_once(tmp_path: Path) -> None:
    """In a real Alertmanager, which says of each alert whether another one mutes it."""
    every = [*_MEANWHILE, *(one for one in (*_MUTED, *_TOLD) if one not in _MEANWHILE)]
    with alertmanager_of(EXAMPLE, tmp_path) as server:
        server.post("/api/v2/alerts", [{"labels": labels} for labels in every])
        # The alerts that mute are taken note of a moment after they are there.
        for _ in range(int(READY_SECONDS / POLL_SECONDS)):
            alerts = server.get("/api/v2/alerts")
            muted = [one["labels"] for one in alerts if one["status"]["inhibitedBy"]]
            if len(alerts) == len(every) and len(muted) >= len(_MUTED):
                break
            threading.Event().wait(POLL_SECONDS)
    for labels in _MUTED:
        assert labels in muted
    for labels in _TOLD:
        assert labels not in muted
