"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import HealthCheck, settings
from servers.shared import stop_shared

SAMPLES = Path(__file__).parent / "samples"

# Machines that run tests are shared and noisy: no law here is about time.
settings.register_profile(
    "shipper",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # A gate answers the same code alike; new examples are for work on it and for fuzzing.
    derandomize="CI" in os.environ,
)
settings.load_profile("shipper")


def pytest_sessionfinish() -> None:
    stop_shared()
