"""What all inputs that cannot be read twice can be told."""

from __future__ import annotations

from shipper.source.base import SourceSettings
from shipper.source.spool import SpoolSettings


class ReceivedSettings(SourceSettings, frozen=True, kw_only=True):
    """An input that is spooled; the spool lies in the state directory under the source's name."""

    spool: SpoolSettings = SpoolSettings()
