"""`python tests/charts/examples.py`: write helm/examples/*/paste.yaml anew."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    root = Path(__file__).parents[2]
    sys.path[:0] = [str(root), str(root / "tests")]
    from charts.helm import EXAMPLES, HOSTS, example_values, paste, render

    for host in HOSTS:
        text = paste(render({}, example_values(host)), host)
        (EXAMPLES / host / "paste.yaml").write_text(text)
