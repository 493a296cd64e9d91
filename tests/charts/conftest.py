from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml
from charts.operators import definitions
from servers.cluster import Cluster, cluster
from servers.kubernetes import HOME, need_made


@pytest.fixture(scope="session")
def api() -> Iterator[Cluster]:
    """An API server that knows the prometheus-operator's resources, and the database operators."""
    need_made("crds")
    with cluster() as running:
        real = [yaml.safe_load(path.read_text()) for path in sorted((HOME / "crds").glob("*.yaml"))]
        applied = running.apply(*real, *definitions(), namespace="default")
        assert applied.returncode == 0, applied.stderr
        for name in (each["metadata"]["name"] for each in [*real, *definitions()]):
            established = running.ok(
                "wait", "--for=condition=Established", "--timeout=60s", f"crd/{name}"
            )
            assert established, name
        yield running
