"""Grafana's dashboards: committed as generated, and true to the tables of the code."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boards.asking import GRAFANA, METRICS, board, panels
from boards.drawing import need_grafana

from dashboards.generator.__main__ import FOLDER, files
from shipper.document.fields import FIELDS
from shipper.observe.families import FAMILIES, HISTOGRAM

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in GRAFANA.glob("*.json"))
# Labels that the scrape configuration gives (docs/metrics.md), and that of histograms.
TARGET_LABELS = {"namespace", "pod", "job", "instance", "le"}
# Of prometheus_client, about the process.
PROCESS = {"process_resident_memory_bytes": (), "process_cpu_seconds_total": ()}
SUFFIXES = ("_bucket", "_sum", "_count")
# Families that no panel shows, and why.
NOT_SHOWN = {
    "audit_shipper_source_record_timestamp_seconds": "mysql_audit_last_record_timestamp_seconds is "
    "the same for all sources together",
}
# Counters that are looked at as they are, and why.
RAW_COUNTERS = {
    "Accounts of each sink": "what became of all records since the shipper began to count",
    "Unaccounted": "the identity holds for totals",
    "Bytes lost": "a loss stays one, however long ago",
    "Lost for good": "a loss stays one, however long ago",
    "New addresses": "what was there before the range and what was not",
}
WORD = re.compile(r"\b((?:mysql_audit|audit_shipper|process)_\w+)")


def every_panel() -> Iterator[tuple[str, Any]]:
    for name in NAMES:
        for panel in panels(board(name)):
            yield name, panel


PANELS = [pytest.param(panel, id=f"{name}: {panel['title']}") for name, panel in every_panel()]
OVER_METRICS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, panel in every_panel()
    if name in METRICS
]


def family_labels(name: str) -> set[str] | None:
    if name in PROCESS:
        return set(PROCESS[name])
    family = FAMILIES.get(name)
    for suffix in SUFFIXES:
        base = FAMILIES.get(name.removesuffix(suffix))
        if family is None and base is not None and base.type == HISTOGRAM:
            family = base
    return None if family is None else set(family.labels)


def test_the_committed_files_are_what_the_generator_gives() -> None:
    made = dict(files())
    for path, text in made.items():
        assert path.read_text(encoding="utf-8") == text, f"run `make dashboards`: {path.name}"
    committed = {*FOLDER.glob("grafana/*"), *FOLDER.glob("opensearch/*")}
    assert committed == set(made)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_is(panel: Any) -> None:
    assert panel["title"]
    assert panel["description"].endswith((".", "them."))
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
    assert panel["datasource"]["uid"] == "${datasource}"
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == [chr(ord("A") + index) for index in range(len(letters))] != []
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    for link in panel["links"]:
        found = re.fullmatch(r"\$\{runbooks\}/(\w+\.md)", link["url"])
        assert found is not None
        assert (ROOT / "docs" / "runbooks" / found[1]).is_file()


@pytest.mark.parametrize("panel", OVER_METRICS)
def test_a_query_names_metrics_and_labels_that_exist(panel: Any) -> None:
    for target in panel["targets"]:
        expr = target["expr"]
        allowed = set(TARGET_LABELS)
        for name in set(WORD.findall(expr)):
            labels = family_labels(name)
            assert labels is not None, f"no metric {name}"
            allowed |= labels
            for selector in re.findall(rf"\b{name}\{{([^}}]*)\}}", expr):
                named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))
                assert named <= labels | TARGET_LABELS
                assert {"namespace", "pod"} <= named, "not limited by the variables"
        grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", expr)
        used = {label.strip() for group in grouped for label in group.split(",")}
        used |= set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert used <= allowed
    for label in transformed(panel):
        assert label in used


def transformed(panel: Any) -> set[str]:
    """Labels that a table gives a heading."""
    return {
        name
        for step in panel["transformations"]
        for name in step["options"].get("renameByName", ())
        if not name.startswith("Value")
    }


@pytest.mark.parametrize("panel", OVER_METRICS)
def test_a_counter_is_looked_at_by_its_growth(panel: Any) -> None:
    if panel["title"] in RAW_COUNTERS:
        return
    for target in panel["targets"]:
        # `grown`: the value of a series that is born within the window is its growth.
        expr = re.sub(r"\((\S+\{[^}]*\}) unless \1 offset \S+\)", "", target["expr"])
        counters = len(re.findall(r"\b\w+_total\b", expr))
        assert counters == len(re.findall(r"\b(?:rate|increase)\(\w+_total\b", expr))
        for window in re.findall(r"rate\([^[]*\[([^\]]*)\]", expr):
            assert window == "$__rate_interval"


def test_every_family_is_shown_somewhere() -> None:
    text = " ".join(target["expr"] for name in METRICS for panel in panels(board(name))
                    for target in panel["targets"])  # fmt: skip
    annotations = " ".join(
        each.get("expr", "") for name in METRICS for each in board(name)["annotations"]["list"]
    )
    names = set(WORD.findall(f"{text} {annotations}"))
    shown = {name for name in FAMILIES if {name, *(name + suffix for suffix in SUFFIXES)} & names}
    assert set(FAMILIES) - shown == set(NOT_SHOWN)


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_can_be_shipped(name: str) -> None:
    made = board(name)
    assert made["schemaVersion"] == 42
    assert made["editable"] is False
    assert made["id"] is None
    first, *rest = made["templating"]["list"]
    assert (first["name"], first["type"], first["label"]) == (
        "datasource",
        "datasource",
        "Data source",
    )
    assert all(one["refresh"] == 2 for one in rest if one["type"] == "query")
    assert "__inputs" not in made
    ids = [panel["id"] for panel in made["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in made["panels"]:
        grid = panel["gridPos"]
        assert grid["x"] + grid["w"] <= 24
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells


def test_uids_and_titles_differ() -> None:
    assert len({board(name)["uid"] for name in NAMES}) == len(NAMES)
    assert len({board(name)["title"] for name in NAMES}) == len(NAMES)


def test_the_investigation_names_fields_of_the_table() -> None:
    text = json.dumps(board("investigation")).replace("\\", "")
    named = set(re.findall(r'"(?:field|timeField)": ?"([^"]+)"', text))
    for panel in panels(board("investigation")):
        for target in panel["targets"]:
            named |= set(re.findall(r"([a-z@][\w.]*):[^*]", target["query"]))
        named |= transformed(panel)
    assert named <= set(FIELDS)


def test_grafanas_own_types_accept_them(tmp_path: Path) -> None:
    home = need_grafana()
    out = home / "check"
    paths = [str(GRAFANA / f"{name}.json") for name in NAMES]
    subprocess.run(["node", "types.mjs", str(out), *paths], cwd=home, check=True)
    bad = json.loads(Path(paths[0]).read_text(encoding="utf-8"))
    bad["panels"][1]["options"]["colourMode"] = "value"
    bad["panels"][1]["fieldConfig"]["defaults"]["noValue"] = 0
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(bad), encoding="utf-8")
    subprocess.run(["node", "types.mjs", str(out), str(broken)], cwd=home, check=True)
    said = compile_types(home, sorted(out.glob("*.ts")))
    errors = [line for line in said.splitlines() if "error TS" in line]
    # The check itself must be able to fail: exactly the two mistakes of the broken one.
    assert [line.partition("(")[0] for line in errors] == ["check/broken.ts"] * 2, said


def compile_types(home: Path, sources: list[Path]) -> str:
    options = ("--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler",
               "--module", "esnext", "--target", "es2022", "--jsx", "preserve")  # fmt: skip
    names = [str(source.relative_to(home)) for source in sources]
    done = subprocess.run(
        ["node", "node_modules/typescript/bin/tsc", *options, *names],
        cwd=home, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout
