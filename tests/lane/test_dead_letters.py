"""A letter holds the record that was refused, whole: what `replay` delivers is that very record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lane.world import Target, World
from msgspec.structs import astuple

from shipper.lane.dead_letters import DeadLetters, Letter

SAMPLES = Path(__file__).parents[1] / "samples"
FILES = sorted(p for p in SAMPLES.glob("*/*") if not p.name.endswith(".expected.jsonl"))


@pytest.mark.parametrize("sample", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_record_of_every_format_comes_back_as_it_was(sample: Path, tmp_path: Path) -> None:
    world = World(tmp_path, [Target()])
    refused: list[tuple[Any, ...]] = []

    def refuse(record: Any) -> bool:
        refused.append(astuple(record))
        return True

    world.sinks[0].refuse = refuse
    world.log.write_bytes(sample.read_bytes())
    world.ship()
    assert refused
    assert [astuple(letter.audit_record()) for letter in letters(tmp_path)] == refused


def letters(folder: Path) -> list[Letter]:
    (file,) = folder.rglob("*.dead-letters.ndjson")
    return [letter for letter in DeadLetters(file).read() if letter.record is not None]
