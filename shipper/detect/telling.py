"""What a finding says beside its numbers: who, from where, and records to look at."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from shipper.detect.login import Login
from shipper.detect.tables import Found, Window
from shipper.detection import ACCOUNT_BURST, SOURCES_MAX, USERS_MAX

_NAMED_MAX: Final = {"users": USERS_MAX, "sources": SOURCES_MAX}


def tried(login: Login, window: Window, found: Found) -> dict[str, Any]:
    """Say what a source did: which accounts it tried, those that it tried most often first."""
    users = [user for _, user in window.between(found.first, found.last)]
    samples = window.seen(found.first, found.last)
    return {"source": login.source, "samples": samples, **often("accounts", "users", users)}


def tried_from(login: Login, window: Window, found: Found) -> dict[str, Any]:
    """Say what was done to an account: from where, who tried most often first."""
    sources = [source for _, source in window.between(found.first, found.last)]
    samples = window.seen(found.first, found.last)
    return {"user": login.user, "samples": samples, **often("addresses", "sources", sources)}


def often(number: str, names: str, values: list[str]) -> dict[str, Any]:
    """Count distinct values, and name those that are there most often."""
    times = Counter(values)
    often = sorted(times, key=lambda value: (-times[value], value))
    return {number: len(times), names: tuple(often[: _NAMED_MAX[names]])}


def again(rule: str, login: Login, window: Window) -> dict[str, Any]:
    """Say whom an episode that goes on is about; the window is that of the source."""
    if rule == ACCOUNT_BURST:
        return {"user": login.user, "sources": (login.source,)}
    return {"source": login.source, "samples": tuple(window.samples)}
