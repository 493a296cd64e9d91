"""Takes the pictures in docs/images/: of the real daemon, after a demo of so many seconds.

python tests/boards/pictures.py [SECONDS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from boards.asking import METRICS, board, results  # noqa: E402 the path comes first
from boards.drawing import drawn  # noqa: E402
from boards.scenario import perform, stage  # noqa: E402
from servers.browser import DESK, PHONE, chromium, opened, shot  # noqa: E402

OUT = ROOT / "docs" / "images"


def main(seconds: int) -> None:
    """Play, and photograph before the daemon is stopped."""
    with (
        tempfile.TemporaryDirectory() as name,
        chromium() as browser,
        stage(Path(name), "5s") as running,
    ):
        perform(running, seconds)
        for picture, size, scheme in (
            ("status", DESK, "light"),
            ("status-phone", PHONE, "dark"),
        ):
            with opened(browser, size, color_scheme=scheme) as it:
                it.page.goto(f"{running.shipper}/status")
                shot(it.page, OUT / f"{picture}.png", whole=size is DESK)
        for dashboard in METRICS:
            answers, end = results(running.prometheus, board(dashboard), seconds=seconds)
            with drawn(browser, board(dashboard), answers, end=end, seconds=seconds) as it:
                shot(it.page, OUT / f"grafana-{dashboard}.png")
        page = Path(name) / "report.html"
        command = ["report", "failed-logins", "--store", f"sqlite:{running.store}", "--html", page]
        subprocess.run([sys.executable, "-m", "shipper", *command], check=True, cwd=ROOT)
        with opened(browser, DESK) as it:
            it.page.goto(page.as_uri())
            shot(it.page, OUT / "report.png")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 600)
