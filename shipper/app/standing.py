"""How a running source stands, for the status page."""

from __future__ import annotations

from shipper.app.source import RunningSource
from shipper.lane.parcel import ledgered
from shipper.observe.audit import Audited
from shipper.observe.status import LaneStatus, SegmentStatus, SourceStatus


def source_status(source: RunningSource, audited: Audited | None) -> SourceStatus:
    """Look at segments and lanes; from any thread, between two of their commits."""
    known = [(each, ledgered(each)) for each in source.catalog.segments()]
    positions = {lane.name: [lane.position(each) for each, _ in known] for lane in source.lanes}
    segments = [
        SegmentStatus(
            path=each.path,
            size=each.size,
            shipped=min((places[index] for places in positions.values()), default=0),
            closed=each.closed,
        )
        for index, (_, each) in enumerate(known)
    ]
    lanes = [
        LaneStatus(
            name,
            sum(max(0, each.size - at) for (_, each), at in zip(known, places, strict=True)),
        )
        for name, places in positions.items()
    ]
    findings = audited.findings if audited else None
    return SourceStatus(
        name=source.name,
        segments=segments,
        lanes=lanes,
        failed=[str(error) for error in source.failed],
        spraying=findings.failed_accounts() if findings else (),
        counted=audited is not None,
    )
