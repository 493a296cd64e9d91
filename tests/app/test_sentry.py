"""The detector beside the counts."""

from __future__ import annotations

import msgspec
from clocks import FakeClock

from shipper.app.sentry import Sentry
from shipper.detect import Detector
from shipper.notices import Notice, Trouble
from shipper.observe.recent import Recent


def test_a_detector_that_begins_anew_is_told() -> None:
    """Counts of such a state end the daemon; of the detector somebody should know, at least."""
    told: list[Notice] = []
    clock = FakeClock()
    sentry = Sentry(Detector(), clock, told.append, Recent(clock), source="db")
    saved = sentry.dump()
    assert sentry.load(saved)
    assert told == []
    later = msgspec.msgpack.encode(msgspec.msgpack.decode(saved) | {"version": 99})
    for unreadable in (later, b"x"):
        assert not sentry.load(unreadable)
    assert [(type(one), one.source) for one in told] == [(Trouble, "db")] * 2
