"""Inputs that once broke a law, found by the fuzzers: they must keep every law from then on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.replay import ALL, TARGETS, check

FOUND = sorted(
    path
    for path in (Path(__file__).parents[1] / "fuzz" / "regressions").glob("*/*")
    if not path.name.startswith(".")
)


@pytest.mark.parametrize("path", FOUND, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_the_fuzzers_found_keeps_the_laws(path: Path) -> None:
    check(path.parent.name, path.read_bytes())
    check(ALL, path.read_bytes())


def test_every_directory_of_findings_names_a_target() -> None:
    assert {path.parent.name for path in FOUND} <= TARGETS.keys()
