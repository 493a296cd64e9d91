"""When each alert fires and when it does not. The notation of series: promtool.py."""

from __future__ import annotations

from typing import Final

from alert_rules import cases_logins, cases_pipeline
from alert_rules.promtool import Case

CASES: Final[dict[str, list[Case]]] = cases_logins.CASES | cases_pipeline.CASES
