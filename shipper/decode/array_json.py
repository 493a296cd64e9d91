"""JSON arrays of MySQL Enterprise and of the Percona filter (formats.md 2.1-2.3, 2.5, 3.3).

    { "timestamp": "2020-08-19 21:03:39", "id": 13, "class": "general", "event": "status", … },

A record is one object; brackets, commas and blanks between records are framing, so the array may be
open, closed, or closed and opened again. The first byte behind the brace tells the writer, record
by record: a blank is Enterprise, a line feed the filter's JSON, a quote its JSONL. Enterprise
writes UTC, the filter the server's local time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from shipper.decode import base
from shipper.decode.array_fields import array_record, give_identity, kind_of_event
from shipper.decode.base import Context, Decoded, Memo
from shipper.decode.identity import Identity, parse_identity
from shipper.decode.jsonscan import PLAIN_STARTS, ObjectEnd, unnested
from shipper.decode.jsontext import load_object
from shipper.errors import MalformedError
from shipper.model import SESSION_KINDS, AuditRecord

# In every real file `timestamp` and `id` come first; but Oracle does not promise any order, so the
# other scalar members may come before them. All of it is fixed words and digits.
_TIMESTAMP: Final = rb'"timestamp"\s{0,9}:\s{0,9}"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"'
_SCALAR: Final = (
    rb'"(?:id|time|class|event|connection_id)"\s{0,9}:\s{0,9}(?:\d{1,20}|"[a-z_]{1,40}")'
)
_COMMA: Final = rb"\s{0,9},\s{0,99}"
_START: Final = rb"\{\s{0,99}(?:%b%b){0,5}%b%b%b" % (_SCALAR, _COMMA, _TIMESTAMP, _COMMA, _SCALAR)
_START_LAST: Final = rb"\{\s{0,99}(?:%b%b){2,5}%b" % (_SCALAR, _COMMA, _TIMESTAMP)
