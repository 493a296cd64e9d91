"""Attacks on logins, found in the stream of records. Pure: no clock, no I/O, bounded state."""

from __future__ import annotations

from shipper.detect.detector import Detector
from shipper.detect.settings import Settings

__all__ = ["Detector", "Settings"]
