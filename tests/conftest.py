"""What all tests share."""

from __future__ import annotations

from pathlib import Path

from servers.opensearch import stop_shared

SAMPLES = Path(__file__).parent / "samples"


def pytest_sessionfinish() -> None:
    stop_shared()
