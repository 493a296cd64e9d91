"""An unknown key is refused in every section of the values, whatever sections there will be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import yaml
from charts.helm import CHART, LIBRARY, try_template

TYPO: Final = "nobody"
# Keys here are the reader's own.
FREE: Final = frozenset(
    (
        "labels",
        "podMonitor/labels",
        "rules/labels",
        "dashboards/labels",
        "dashboards/annotations",
        "bootstrap/nodeSelector",
    )
)
_REFUSED: Final = re.compile(rf"at '(\S*)': additional properties '{TYPO}' not allowed")


def misspelt(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Put a key into each section that has closed keys; the paths of these sections."""
    if path in FREE:
        return
    for key, value in list(values.items()):
        if isinstance(value, dict):
            yield from misspelt(value, f"{path}/{key}".lstrip("/"))
    # Below `overrides` stand alerts, whose names the rules know: an unknown one has a test too.
    values[TYPO] = {} if path == "rules/overrides" else "x"
    if path != "rules/overrides":
        yield path


def test_each_section_refuses_a_key_that_nobody_knows() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    values["sidecar"] = yaml.safe_load((LIBRARY / "values.yaml").read_text())
    sections = list(misspelt(values))
    assert len(sections) > 15
    told = try_template(values).stderr
    assert "specifications of the schema" in told
    own, _, sidecar = told.partition("\nsidecar:\n")
    refused = {path.lstrip("/") for path in _REFUSED.findall(own)}
    refused |= {f"sidecar{path}" for path in _REFUSED.findall(sidecar)}
    assert refused == set(sections)
