"""docs/metrics.md says what the code has; UPDATE_EXPECTED=1 writes it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from shipper.observe.families import FAMILIES, LEFT_OUT

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def families() -> str:
    lines = ["| Name | Type | Labels | |", "| --- | --- | --- | --- |"]
    for name, family in FAMILIES.items():
        labels = ", ".join(f"`{label}`" for label in family.labels)
        lines.append(f"| `{name}` | {family.type} | {labels} | {family.help} |")
    return "\n".join(lines)


def left_out() -> str:
    return "\n".join(f"* `{name}`: {reason}." for name, reason in LEFT_OUT.items())


@pytest.mark.parametrize(("mark", "text"), [("families", families()), ("left out", left_out())])
def test_the_page_has_the_table_of_the_code(mark: str, text: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    pattern = rf"(<!-- {mark} -->\n).*?(<!-- end of {mark} -->)"
    expected = re.sub(
        pattern, lambda match: f"{match[1]}\n{text}\n\n{match[2]}", page, flags=re.DOTALL
    )
    if os.environ.get("UPDATE_EXPECTED") == "1":
        PAGE.write_text(expected, encoding="utf-8")
    else:
        assert page == expected
