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
    server: Server, panel: Any, target: Any, *, seconds: int, end: float, step: int = 5
) -> list[Any]:
    """The series that a target gets, over the last `seconds`."""
    step = {"": step, "1m": max(60, step)}[panel["interval"]]
    # What Grafana makes of a step where the scrape interval is 5 s.
    expr = filled(target["expr"], seconds, max(step + 5, 20))
    if target["instant"]:
        found = server.get("/api/v1/query", query=expr, time=str(end))
    else:
        begin, last = (moment // step * step for moment in (end - seconds, end))
        found = server.get(
            "/api/v1/query_range",
            query=expr,
            start=str(begin),
            end=str(last + step),
            step=str(step),
        )
    assert found["status"] == "success", found
    series: list[Any] = found["data"]["result"]
    return series


def results(
    server: Server, dashboard: Any, *, seconds: int
) -> tuple[dict[int, list[list[Any]]], float]:
    """The answers of all panels: panel -> target -> series; and the moment of asking."""
    end = time.time()
    return {
        panel["id"]: [
            answer(server, panel, target, seconds=seconds, end=end) for target in panel["targets"]
        ]
        for panel in panels(dashboard)
    }, end
