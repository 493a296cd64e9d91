"""Bytes in, records and defects out. Everything in this room is pure: no I/O, no clock, no log.

FORMATS is the one table of formats, in the order in which a record start is tried against them.
"""

from __future__ import annotations

from typing import Final

from shipper.decode.base import Format, Options
from shipper.decode.engine import Decoder
from shipper.decode.percona_json import PerconaJson

FORMATS: Final[tuple[type[Format], ...]] = (PerconaJson,)

__all__ = ["FORMATS", "Decoder", "Format", "Options"]
