"""Settings into what lanes take: how a source is read, and which records a sink gets."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

from shipper.decode import FORMATS, OWN, Options
from shipper.decode.base import latest
from shipper.lane.fittings import Select
from shipper.lane.reader import Decoding
from shipper.lane.start import select_since
from shipper.model import Block
from shipper.policy import PolicySettings
from shipper.refine.policy import Policy
from shipper.source.base import SourceSettings


def decoding_of(settings: SourceSettings, now: float) -> Decoding:
    """Give the formats and options that a source is read with; `now` in seconds since 1970."""
    known = FORMATS if settings.format is None else (*FORMATS, *OWN)
    formats = tuple(each for each in known if settings.format in (None, each.name))
    zone = UTC if settings.timezone == "UTC" else ZoneInfo(settings.timezone)
    most = settings.record_bytes_max
    return Decoding(formats, Options(timezone=zone, record_bytes_max=most, latest=latest(now)))


def selection_of(settings: PolicySettings, since: str | None) -> Select:
    """Give what leaves out records that a sink does not want."""
    policy = Policy(settings)
    if since is None:
        return policy.select

    def select(block: Block) -> tuple[Block, dict[str, int]]:
        younger, too_old = select_since(since, block)
        kept, filtered = policy.select(younger)
        return kept, {**too_old, **filtered}

    return select
