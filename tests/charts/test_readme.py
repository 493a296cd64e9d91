"""The tables of the READMEs list each value, with its default."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.helm import CHART, LIBRARY

# Told in words, for they are longer than a cell.
TOLD = {"config", "probes.liveness"}
# A map of the user's own keys, or a list, is one value.
WHOLE = {"config", "sidecar", "dashboards.labels", "probes.liveness"}


def leaves(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        place = f"{path}{key}"
        if isinstance(value, dict) and value and place not in WHOLE:
            yield from leaves(value, f"{place}.")
        else:
            yield place, value


def table(chart: Path) -> dict[str, str]:
    text = (chart / "README.md").read_text().split("## Values")[1]
    rows = re.findall(r"^\| `([^`]+)` \| (.*?) \|", text, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return dict(rows)


@pytest.mark.parametrize("chart", [CHART, LIBRARY], ids=lambda path: path.name)
def test_every_value_and_no_other(chart: Path) -> None:
    values = dict(leaves(yaml.safe_load((chart / "values.yaml").read_text())))
    shown = table(chart)
    assert list(shown) == list(values)
    for key in set(values) - TOLD:
        assert shown[key] == f"`{json.dumps(values[key])}`", key


@pytest.mark.parametrize("chart", [CHART, LIBRARY], ids=lambda path: path.name)
def test_every_key_of_the_schema_has_a_default(chart: Path) -> None:
    values = yaml.safe_load((chart / "values.yaml").read_text())
    known = json.loads((chart / "values.schema.json").read_text())["properties"]
    assert set(known) - {"global"} == set(values)


def test_every_fragment_is_listed() -> None:
    defined = set()
    for path in (LIBRARY / "templates").glob("*.tpl"):
        defined |= set(re.findall(r'define "(audit-shipper\.[A-Za-z]+)"', path.read_text()))
    inner = {"check", "claimSpec", "containerBody", "fullname", "host", "hosts", "image", "port"}
    inner |= {"probes", "scheme", "securityContext"}
    shown = set(
        re.findall(
            r"^\| `(audit-shipper\.\w+)` \|", (LIBRARY / "README.md").read_text(), re.MULTILINE
        )
    )
    assert shown == defined - {f"audit-shipper.{name}" for name in inner}
