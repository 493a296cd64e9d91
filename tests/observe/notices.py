"""A lane's notices, without the lane."""

from __future__ import annotations

from shipper.notices import Attempted, Delivered, Notice, Taken


def delivery(records: int = 10, duplicates: int = 0, sink: str = "index") -> list[Notice]:
    return [
        Taken("db", sink, records + duplicates, 0, 1000),
        Attempted("db", sink, 0.02, None, 1),
        Delivered("db", sink, records, duplicates, 4000, "2026-11-23T10:00:00Z"),
    ]
