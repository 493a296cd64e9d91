"""Bytes in, records and defects out. Everything in this room is pure: no I/O, no clock, no log.

FORMATS is the one table of formats, in the order in which a record start is tried against them.
"""

from __future__ import annotations

from typing import Final

from shipper.decode.array_json import ArrayJson
from shipper.decode.azure import Azure
from shipper.decode.base import Format, Options
from shipper.decode.engine import Decoder
from shipper.decode.finding import Finding
from shipper.decode.mariadb import MariaDb
from shipper.decode.mcafee import McAfee
from shipper.decode.outbrain import Outbrain
from shipper.decode.percona_csv import PerconaCsv
from shipper.decode.percona_json import PerconaJson
from shipper.decode.syslog import Syslog
from shipper.decode.xml_new import XmlNew
from shipper.decode.xml_old import XmlOld

FORMATS: Final[tuple[type[Format], ...]] = (
    PerconaJson,
    XmlOld,
    XmlNew,
    PerconaCsv,
    ArrayJson,
    MariaDb,
    McAfee,
    Outbrain,
    Azure,
    Syslog,
)
# What we write ourselves. Asked for by name only, and never looked for in a server's log.
OWN: Final[tuple[type[Format], ...]] = (Finding,)

__all__ = ["FORMATS", "OWN", "Decoder", "Format", "Options"]
