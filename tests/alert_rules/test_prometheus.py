"""The Prometheus rules: valid, tested, documented, and about metrics that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_rules.cases import CASES
from alert_rules.promtool import ASPECTS, BOUNDARY, FIRES, HOLDS, OTHER, RESET, document
from servers import need

from shipper.codes import Category, lookup
from shipper.counts import LOGIN_ERRORS
from shipper.detection import RULES
from shipper.observe.families import FAMILIES, HISTOGRAM

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "alert-rules" / "prometheus").glob("*.rules.yml"))
RUNBOOKS = ROOT / "docs" / "runbooks"
# Not of the table: the scrape's own, the client library's, and mysqld_exporter's counter that
# MySQLAuditSilent and MySQLAuditNoRecords need.
FOREIGN = {
    "up": {"job", "instance"},
    "process_start_time_seconds": set[str](),
    "mysql_global_status_connections": set[str](),
}
TARGET_LABELS = {"namespace", "pod", "job", "instance"}
WORDS = {"by", "on", "and", "or", "unless", "offset", "sum", "max", "min", "increase", "rate"}
WORDS |= {"time", "deriv", "max_over_time", "min_over_time", "absent_over_time"}
WORDS |= {"count_over_time", "sum_over_time", "last_over_time", "group_left"}


GROUPS = [g for file in FILES for g in yaml.safe_load(file.read_text("utf-8"))["groups"]]


def rules() -> list[dict[str, Any]]:
    return [rule for group in GROUPS for rule in group["rules"]]


ALERTS = [rule for rule in rules() if "alert" in rule]
RECORDS = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


def test_promtool_accepts_the_files() -> None:
    promtool = need("promtool")
    checked = subprocess.run(
        [promtool, "check", "rules", *FILES], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def _alone(name: str) -> list[dict[str, Any]]:
    """The groups with an alert and the recordings behind it: a fifth of the work."""
    wanted = {name} | {
        record for rule in ALERTS if rule["alert"] == name for record in _behind(rule["expr"])
    }
    return [
        {**group, "rules": kept}
        for group in GROUPS
        if (kept := [r for r in group["rules"] if (r.get("alert") or r["record"]) in wanted])
    ]


def _behind(expr: str) -> set[str]:
    """The recordings that an expression is made from, those of recordings included."""
    found = _names(expr).keys() & RECORDS.keys()
    return found.union(*(_behind(RECORDS[name]) for name in found))


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in ALERTS}))
def test_each_alert_fires_holds_and_clears_when_it_should(name: str, tmp_path: Path) -> None:
    promtool = need("promtool")
    rule_file, file = tmp_path / "alone.rules.yml", tmp_path / "rules.test.yml"
    rule_file.write_text(yaml.safe_dump({"groups": _alone(name)}), encoding="utf-8")
    tests = document(name, CASES[name], [str(rule_file)])
    file.write_text(yaml.safe_dump(tests, sort_keys=False), encoding="utf-8")
    tested = subprocess.run(
        [promtool, "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_every_alert_has_cases_that_fire_and_that_do_not() -> None:
    names = {alert["alert"] for alert in ALERTS}
    assert set(CASES) == names
    for name, cases in CASES.items():
        assert any(case.firing for case in cases), name
        assert any(case.silent for case in cases), name
        assert any(case.labels for case in cases), name


# Labels whose values are capped, or from a closed list with a rest.
_WITH_A_REST = {"source_ip", "user", "error_code"}


def _aspects(name: str) -> set[str]:
    """What the cases of an alert must show, by what its expression looks at."""
    wanted = ASPECTS - {HOLDS, RESET, OTHER}
    for rule in ALERTS:
        if rule["alert"] == name:
            counts = "increase(" in rule["expr"] or "rate(" in rule["expr"]
            wanted |= {HOLDS} if "keep_firing_for" in rule else set()
            wanted |= {RESET} if counts or _names(rule["expr"]).keys() & RECORDS.keys() else set()
            wanted |= {OTHER} if _labels(rule["expr"]) & _WITH_A_REST else set()
    return set(wanted)


def _labels(expr: str) -> set[str]:
    measured = set().union(*(_measured(metric) for metric in _names(expr)))
    return {label for m in measured - FOREIGN.keys() for label in FAMILIES[m].labels}


@pytest.mark.parametrize("name", sorted({rule["alert"] for rule in ALERTS}))
def test_every_alert_is_shown_from_all_sides(name: str) -> None:
    shown = {
        aspect
        for case in CASES[name]
        for aspect in ((case.shows,) if isinstance(case.shows, str) else case.shows)
    }
    assert shown <= ASPECTS
    assert _aspects(name) <= shown
    for case in CASES[name]:
        assert case.firing or FIRES not in case.shows, case.what
        assert case.silent or BOUNDARY not in case.shows, case.what


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    names = {alert["alert"] for alert in ALERTS}
    assert names == {page.stem for page in RUNBOOKS.glob("*.md")}
    for name in names:
        text = (RUNBOOKS / f"{name}.md").read_text(encoding="utf-8")
        lines = text.splitlines()
        assert lines[0] == f"# {name}"
        sections = [line[3:] for line in lines if line.startswith("## ")]
        assert sections == ["Meaning", "Impact", "Diagnosis", "Mitigation"], name


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_conventions(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"(MySQLAudit|AuditShipper)([A-Z][A-Za-z]+)", alert["alert"])
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    notes = alert["annotations"]
    assert notes["summary"].endswith(".")
    assert "{{" not in notes["summary"]
    assert notes["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"
    assert (ROOT / notes["runbook_url"]).is_file()
    used = set(re.findall(r"\$labels\.(\w+)", notes["description"]))
    kept = {
        name.strip()
        for by in re.findall(r"by \(([^)]*)\)", alert["expr"])[:1]
        for name in by.split(",")
    }
    assert used <= kept


def _names(expr: str) -> dict[str, set[str]]:
    """Metric names of an expression, each with the labels of its matchers."""
    expr = re.sub(r"\b(?:by|on|group_left)\s*\([^)]*\)", "", expr)
    found = {}
    for name, matchers in re.findall(r"([a-z_][a-z0-9_:]*)\s*(\{[^}]*\})?(?![\w(])", expr):
        if name not in WORDS and ("_" in name or name == "up"):
            found[name] = set(re.findall(r"(\w+)\s*[=!]~?", matchers))
    return found


def _measured(name: str) -> set[str]:
    """The metric of this name, or those that a recording of this name is made from."""
    if name not in RECORDS:
        return {name}
    return set().union(*map(_measured, _names(RECORDS[name])))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_only_metrics_and_labels_that_exist(rule: dict[str, Any]) -> None:
    names = _names(rule["expr"])
    assert names
    grouped = {
        label.strip()
        for by in re.findall(r"(?:by|on) \(([^)]*)\)", rule["expr"])
        for label in by.split(",")
    }
    available: set[str] = set()
    for name, matched in names.items():
        labels: set[str] = set(TARGET_LABELS)
        for metric in _measured(name):
            if metric in FOREIGN:
                labels |= FOREIGN[metric]
            else:
                assert FAMILIES[metric].type != HISTOGRAM
                labels |= set(FAMILIES[metric].labels)
        assert matched <= labels, name
        available |= labels
    assert grouped <= available


def test_rules_of_the_detector_are_spelt_right() -> None:
    for rule in rules():
        for value in re.findall(r'rule=~?"([^"]*)"', rule["expr"]):
            assert set(value.split("|")) <= set(RULES)


NOBODYS = {
    str(status)
    for status in LOGIN_ERRORS
    if lookup(status, "percona-json").category in (Category.LIMIT, Category.NET, Category.SERVER)
}


def test_a_full_server_and_broken_handshakes_are_the_same_everywhere() -> None:
    """One that has no series of its own would count under `other`, which is no exception."""
    (burst,) = (rule for rule in ALERTS if rule["alert"] == "MySQLAuditFailedLoginBurst")
    (listed,) = re.findall(r'error_code!~"([^"]*)"', burst["expr"])
    assert set(listed.split("|")) == NOBODYS
    for folder, kind in (("opensearch", "json"), ("sigma", "yml")):
        for file in (ROOT / "alert-rules" / folder).glob(f"*.{kind}"):
            codes = set(re.findall(r"['\"](1\d{3})['\"]", file.read_text("utf-8")))
            assert codes in (set(), NOBODYS), file
