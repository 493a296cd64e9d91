"""The Alertmanager example: valid, and every alert goes where it should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml
from alert_rules.test_prometheus import ALERTS, ROOT
from servers import need

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


def test_inhibitions_name_alerts_that_exist_and_labels_that_both_sides_have() -> None:
    names = {alert["alert"]: alert for alert in ALERTS}
    for rule in yaml.safe_load(EXAMPLE.read_text("utf-8"))["inhibit_rules"]:
        for side in ("source_matchers", "target_matchers"):
            (matcher,) = rule[side]
            alert = names[matcher.partition('"')[2].rstrip('"')]
            for label in rule["equal"]:
                assert label in alert["expr"], (matcher, label)
