"""What tests of sinks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.shared import stop_shared


@pytest.fixture(scope="session", autouse=True)
def _servers() -> Iterator[None]:
    yield
    stop_shared()
