r"""Findings of our own detector, on their way to the sinks: one JSON object a line.

    {"rule":"source_burst","at":["9f…",1900],"count":20,"first":1788220800,"last":1788220819,
     "source":"203.0.113.9","samples":[["9f…",0],["9f…",100]]}

Not in FORMATS: whoever can write a line into an audit log must not be able to write an alert.
"""

from __future__ import annotations

from typing import ClassVar, Final

from shipper.decode import base
from shipper.decode.base import Context
from shipper.detection import from_line
from shipper.document.alert import FORMAT, record_of
from shipper.errors import MalformedError
from shipper.model import AuditRecord

# Its quotes are not escaped, so it stands in no text of a line.
_START: Final = rb'\{"rule":"'


class Finding:
    """Reader of the findings log."""

    name: ClassVar[str] = FORMAT
    start: ClassVar[bytes] = _START
    interrupted_by: ClassVar[bytes] = _START

    def __init__(self, context: Context) -> None:
        """Need nothing: times are seconds since 1970."""

    end = staticmethod(base.line_end)
    cut = staticmethod(base.never_cut)  # findings are few
    fast = staticmethod(base.never_fast)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one line."""
        try:
            return record_of(from_line(raw))
        except ValueError as error:
            raise MalformedError(str(error)) from error
