"""`/status` for people and `/status.json` for programs: how it stands, on one page.

The document is made once, and the page is drawn from it, so both say the same. Texts in it are
exact but for escapes of JSON: nothing in them moves a terminal's cursor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from shipper.clock import Clock, rfc3339
from shipper.detection import RULES, Detection
from shipper.observe.recent import BUCKET_SECONDS, Event, Recent
from shipper.observe.routes import Reply, Request, Route, Routes
from shipper.observe.status_page import HEADERS, render
from shipper.terminal import safe_json, storable

# A log with a thousand rotated files that nobody removes would make a page of a megabyte.
SEGMENTS_MAX: Final = 50
# A finding that is older is history, not "now".
NOW_SECONDS: Final = 3600.0
# As the alert AuditShipperDeliveryLagging.
LATE_SECONDS: Final = 300.0
JSON_HEADERS: Final = (("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),)


class SegmentStatus(Struct, frozen=True):
    """One generation of a log."""

    path: str
    size: int  # plain bytes known to exist
    shipped: int  # by the slowest lane
    closed: bool


class LaneStatus(Struct, frozen=True):
    """One sink of a source."""

    sink: str
    pending: int  # plain bytes not shipped


class SourceStatus(Struct, frozen=True):
    """One log that is followed."""

    name: str
    segments: Sequence[SegmentStatus]
    lanes: Sequence[LaneStatus]
    failed: Sequence[str] = ()  # what ended its threads
    spraying: Sequence[tuple[str, int]] = ()  # address, accounts that it was refused as
    counted: bool = False  # whether logins are looked at: it has a sink `metrics`


class Standing(Struct, frozen=True):
    """What the daemon knows of itself."""

    version: str
    instance: str
    sources: Sequence[SourceStatus]
    dead_letter_bytes: int = 0


def status_routes(standing: Callable[[], Standing], recent: Recent, clock: Clock) -> Routes:
    """Give the routes of the page and of the document; behind the password, as `/metrics` is."""

    def document() -> dict[str, Any]:
        return make_document(standing(), recent, clock.now())

    def page(_request: Request) -> Reply:
        return Reply(render(document()), "text/html; charset=utf-8", headers=HEADERS)

    def data(_request: Request) -> Reply:
        body = safe_json(msgspec.json.encode(_encodable(document())))
        return Reply(body + b"\n", "application/json", headers=JSON_HEADERS)

    return {"/status": Route(page), "/status.json": Route(data)}


def make_document(standing: Standing, recent: Recent, now: float) -> dict[str, Any]:
    """Give everything that is shown. Times are RFC 3339 in UTC, sizes bytes."""
    sources = [_source(one, recent, now) for one in standing.sources]
    findings = [_finding(told, log, finding, now) for told, log, finding in recent.findings()]
    return {
        "version": standing.version,
        "instance": standing.instance,
        "now": rfc3339(now),
        "started": rfc3339(recent.started),
        "problems": list(_problems(sources, findings)),
        "sources": sources,
        "logins": {
            "counted": any(one.counted for one in standing.sources),
            "refused": [msgspec.structs.asdict(one) for one in recent.refused()],
            "refused_rate": {"seconds": BUCKET_SECONDS, "counts": recent.refusals()},
            "spraying": [
                {"log": one.name, "address": address, "accounts": accounts}
                for one in standing.sources
                for address, accounts in one.spraying
            ],
        },
        "findings": findings,
        "events": [_event(one) for one in recent.events()],
        "dead_letter_bytes": standing.dead_letter_bytes,
    }


def _source(one: SourceStatus, recent: Recent, now: float) -> dict[str, Any]:
    return {
        "name": one.name,
        "failed": list(one.failed),
        "lanes": [_lane(one.name, lane, recent, now) for lane in one.lanes],
        "segments_count": len(one.segments),
        # The newest are last, and are what is being shipped.
        "segments": [msgspec.structs.asdict(each) for each in one.segments[-SEGMENTS_MAX:]],
    }


def _lane(log: str, lane: LaneStatus, recent: Recent, now: float) -> dict[str, Any]:
    outcome = recent.outcome(log, lane.sink)
    behind = None
    if outcome.newest is not None:
        behind = max(0.0, now - outcome.newest) if lane.pending else 0.0
    return {
        "sink": lane.sink,
        "pending_bytes": lane.pending,
        "behind_seconds": behind,  # None: nothing was acknowledged since the start
        "newest": None if outcome.newest is None else rfc3339(outcome.newest),
        "records": outcome.records,
        "tried": outcome.tried,
        "failure": outcome.failure,
        "rate": {"seconds": BUCKET_SECONDS, "counts": recent.rate(log, lane.sink)},
    }


def _finding(told: float, log: str, finding: Detection, now: float) -> dict[str, Any]:
    return {
        "told": rfc3339(told),
        "now": now - told < NOW_SECONDS,
        "log": log,
        "rule": finding.rule,
        "severity": finding.severity,
        "meaning": RULES[finding.rule].meaning,
        "user": finding.user,
        "source": finding.source,
        "count": finding.count,
        "accounts": finding.accounts,
        "networks": finding.networks,
        "error_code": finding.error_code,
        "first": rfc3339(finding.first),
        "last": rfc3339(finding.last),
        "again": finding.again,
    }


def _event(one: Event) -> dict[str, Any]:
    document = msgspec.structs.asdict(one)
    return document | {"first": rfc3339(one.first), "last": rfc3339(one.last)}


def _problems(
    sources: Sequence[dict[str, Any]], findings: Sequence[dict[str, Any]]
) -> Sequence[dict[str, str]]:
    """Say what needs a look, worst first."""
    bad: list[str] = []
    warn: list[str] = []
    for source in sources:
        name = source["name"]
        bad += [f"{name}: {error}" for error in source["failed"]]
        for lane in source["lanes"]:
            if lane["failure"]:
                text = f"{lane['sink']} takes nothing from {name}: {lane['failure']}"
                bad.append(text)
            elif (lane["behind_seconds"] or 0) > LATE_SECONDS:
                warn.append(f"{lane['sink']} is {lane['behind_seconds']:.0f} s behind {name}")
    for finding in findings:
        if finding["now"]:
            said = f"{finding['meaning']} ({finding['rule']})"
            (bad if finding["severity"] == "critical" else warn).append(said)
    levels = [("bad", dict.fromkeys(bad)), ("warn", dict.fromkeys(warn))]
    return [{"level": level, "text": each} for level, texts in levels for each in texts]


def _encodable(value: Any) -> Any:
    """Write lone surrogates as escapes: JSON text cannot hold them."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {key: _encodable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_encodable(each) for each in value]
    return value
