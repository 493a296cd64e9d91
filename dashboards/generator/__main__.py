"""`python -m dashboards.generator`: write all files anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dashboards.generator import (
    grafana_activity,
    grafana_investigate,
    grafana_logins,
    grafana_pipeline,
)
from dashboards.generator.grafana import build
from dashboards.generator.osd import bundle, packed
from dashboards.generator.osd_dashboards import DASHBOARDS

FOLDER = Path(__file__).parents[1]
GRAFANA = {
    "logins": grafana_logins.BOARD,
    "activity": grafana_activity.BOARD,
    "pipeline": grafana_pipeline.BOARD,
    "investigation": grafana_investigate.BOARD,
}


def files() -> Iterator[tuple[Path, str]]:
    """Give every file with its text."""
    for name, board in GRAFANA.items():
        yield FOLDER / "grafana" / f"{name}.json", _pretty(build(board))
    for name, dashboard in DASHBOARDS.items():
        text = "".join(packed(each) + "\n" for each in bundle(dashboard))
        yield FOLDER / "opensearch" / f"{name}.ndjson", text


def _pretty(value: Any) -> str:
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them."""
    for path, text in files():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
