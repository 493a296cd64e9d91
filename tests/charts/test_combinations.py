"""Values that fit their schema and yet not each other are refused, with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from charts.helm import try_template


def refused(values: dict[str, Any]) -> str:
    """What helm says about values that it must not take."""
    run = try_template(values)
    assert run.returncode != 0, run.stdout
    return run.stderr


def side(**values: Any) -> dict[str, Any]:
    return {"sidecar": values}


PEER = {"podSelector": {"matchLabels": {"app": "prometheus"}}}


@pytest.mark.parametrize(
    ("policy", "sidecar", "words"),
    [
        ({}, {}, "networkPolicy: give metricsFrom or egress"),
        ({"metricsFrom": [PEER]}, {"config": {"http": None}}, "metricsFrom needs sidecar.config"),
    ],
)
def test_a_network_policy_that_allows_nothing(
    policy: dict[str, Any], sidecar: dict[str, Any], words: str
) -> None:
    """Without `policyTypes` the API server takes it for one that forbids all that comes in."""
    assert words in refused({"networkPolicy": {"enabled": True, **policy}, "sidecar": sidecar})
