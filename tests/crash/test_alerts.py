"""A short run of the story of alerts; `make crash` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash.alerts import story


@pytest.mark.timeout(300)
def test_kills_between_detection_and_delivery_lose_and_double_no_alert(tmp_path: Path) -> None:
    outcome = story(tmp_path, kills=4, seed=1)
    assert outcome.complaints() == []
    assert len(outcome.expected) >= 10
