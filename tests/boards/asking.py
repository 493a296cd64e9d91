"""Asks what a Grafana panel asks: its queries with the variables filled in, from a Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from servers.prometheus import Server

GRAFANA = Path(__file__).parents[2] / "dashboards" / "grafana"
METRICS = ("logins", "activity", "pipeline")
ALL = ".*"  # `allValue` of the variables


def board(name: str) -> Any:
    return json.loads((GRAFANA / f"{name}.json").read_text(encoding="utf-8"))


def panels(dashboard: Any) -> Iterator[Any]:
    """Everything but headings."""
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def filled(text: str, seconds: int, rate_seconds: int) -> str:
    """Replace variables as Grafana does, everything chosen."""
    values = {
        "$__rate_interval": f"{rate_seconds}s",
        "$__range": f"{seconds}s",
        "$namespace": ALL,
        "$pod": ALL,
        "$user": ALL,
    }
    for name, value in values.items():
        text = text.replace(name, value)
    assert "$" not in text.replace('"$', "").replace("$__", "$"), text
    return text


def answer(
    server: Server, target: Any, *, seconds: int, rate_seconds: int, step: int, end: float
) -> list[Any]:
    """The series that a target gets, over the last `seconds`."""
    expr = filled(target["expr"], seconds, rate_seconds)
    if target["instant"]:
        found = server.get("/api/v1/query", query=expr, time=str(end))
    else:
        found = server.get(
            "/api/v1/query_range",
            query=expr,
            start=str(end - seconds),
            end=str(end),
            step=str(step),
        )
    assert found["status"] == "success", found
    series: list[Any] = found["data"]["result"]
    return series


def results(
    server: Server, dashboard: Any, *, seconds: int, rate_seconds: int = 20, step: int = 5
) -> tuple[dict[int, list[list[Any]]], float]:
    """The answers of all panels: panel -> target -> series; and the moment of asking."""
    end = time.time()
    return {
        panel["id"]: [
            answer(server, target, seconds=seconds, rate_seconds=rate_seconds, step=step, end=end)
            for target in panel["targets"]
        ]
        for panel in panels(dashboard)
    }, end
