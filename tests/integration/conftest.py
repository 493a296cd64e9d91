"""What integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers.opensearch import shared
from sink.rigs.opensearch import OpenSearchRig


@pytest.fixture
def rig() -> Iterator[OpenSearchRig]:
    """Names of its own on the session's OpenSearch."""
    made = OpenSearchRig(shared())
    yield made
    made.remove()
