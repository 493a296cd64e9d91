"""Cases of an alert as promtool reads them: series in its notation, and when the alert fires.

One sample every 15 seconds: `0x40` is 0 for ten minutes (and the sample before), `_x40` is a gap of
ten minutes, `1+2x40` rises by 2. Values keep away from the thresholds: Prometheus extrapolates, and
2.x and 3.x do not agree on the sample at a window's edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FIRES: Final = "fires"
HOLDS: Final = "holds"  # for as long as `keep_firing_for` says
CLEARS: Final = "clears"
BOUNDARY: Final = "does not fire at the boundary"
RESET: Final = "a counter that begins anew"
BIRTH: Final = "a series that was not there before"
GAP: Final = "a gap in the scrapes"
OTHER: Final = "what has no label value of its own"
ASPECTS: Final = frozenset((FIRES, HOLDS, CLEARS, BOUNDARY, RESET, BIRTH, GAP, OTHER))


@dataclass(frozen=True)
class Case:
    """One run: the alert fires at the first times and is silent at the second ones."""

    what: str
    series: dict[str, str]
    firing: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    labels: str = ""  # that the firing alert must carry
    shows: str | tuple[str, ...] = ()  # of ASPECTS


def document(alert: str, cases: Sequence[Case], rule_files: list[str]) -> dict[str, object]:
    """The file of tests for one alert."""
    return {
        "rule_files": rule_files,
        "evaluation_interval": "15s",
        "tests": [_test(alert, case) for case in cases],
    }


def _test(alert: str, case: Case) -> dict[str, object]:
    checks = [(time, 1) for time in case.firing] + [(time, 0) for time in case.silent]
    own = f",{case.labels}" if case.labels else ""
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"%s}}) or vector(0)'
    return {
        "name": f"{alert}: {case.what}",
        "interval": "15s",
        "input_series": [{"series": s, "values": v} for s, v in case.series.items()],
        "promql_expr_test": [
            {
                "expr": expr % (own if value else ""),
                "eval_time": time,
                "exp_samples": [{"labels": "{}", "value": value}],
            }
            for time, value in checks
        ],
    }
