"""Whatever a test of lanes opened is closed after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lane import logs, world


@pytest.fixture(autouse=True)
def _close_everything() -> Iterator[None]:
    yield
    for log in logs.OPENED:
        log.close()
    for each in world.OPENED:
        each.crash()
    logs.OPENED.clear()
    world.OPENED.clear()
