"""Truth law: every sample decodes to what stands, checked by eye, in its `.expected.jsonl`.

`UPDATE_EXPECTED=1 pytest tests/decode/test_samples.py` rewrites the expectations. Commit only what
you have read and understood against the format's description.
"""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from decode.decoding import decode

SAMPLES = Path(__file__).parents[1] / "samples"
FILES = sorted(p for p in SAMPLES.glob("*/*") if not p.name.endswith(".expected.jsonl"))


def test_there_are_samples() -> None:
    assert len(FILES) >= 30


@pytest.mark.parametrize("sample", FILES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_sample(sample: Path) -> None:
    expected = sample.with_name(sample.name + ".expected.jsonl")
    items = decode(sample.read_bytes())
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_bytes(b"".join(orjson.dumps(item) + b"\n" for item in items))
    assert items == [orjson.loads(line) for line in expected.read_bytes().splitlines()]
