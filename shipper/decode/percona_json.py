r"""Percona audit_log, format JSON: one wrapped object a line (formats.md 1.2, 1.4).

    {"audit_record":{"name":"Connect","record":"7_2024-09-03T01:53:14",…,"status":1156,…}}

`connection_id` is a string, `status` a number; general records say `os_user`, connection records
`os_login`; STARTUP_OPTIONS is not escaped and its key is misspelt. Generations before bug 1548745
write control characters raw, which is not JSON.
"""

from __future__ import annotations

import io
import re
from itertools import accumulate
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, TypeAlias

import msgspec
import orjson

from shipper.decode import base
from shipper.decode.base import Context, Decoded, Memo
from shipper.decode.fields import KIND_OF_NAME, flat_record, split_identity
from shipper.decode.identity import Identity, parse_identity
from shipper.decode.jsontext import load_object
from shipper.errors import MalformedError
from shipper.model import QUERY, SESSION_KINDS, AuditRecord

NAME: Final = "percona-json"
_START: Final = b'{"audit_record":{"'


if TYPE_CHECKING:
    _Name: TypeAlias = str
else:
    # A closed list: the typed decoder then hands out one and the same string for a name, and an
    # unknown name goes the careful way.
    _Name = Literal[tuple(KIND_OF_NAME)]


# Members that the line must not set: a key of that name belongs to `extra`. No server writes keys
# with blanks.
_OURS: Final = {key: f"not a key: {key}" for key in ("kind", "format", "extra")}


class _Line(AuditRecord, forbid_unknown_fields=True, gc=False, rename=_OURS):
    """The record as it stands in the line; only `os_user` needs another place."""

    name: _Name
    kind: str = QUERY  # of most records; the others are corrected
    format: str = NAME
    extra: dict[str, Any] | None = None
    os_user: str | None = None


class _Wrapper(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    audit_record: _Line


class PerconaJson:
    """Reader of Percona's JSON lines."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = base.PERCONA_JSON_START
    interrupted_by: ClassVar[bytes] = base.QUOTED_STARTS

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock and a memo of long-form users."""
        self._clock = context.clock.utc
        # Lax: the plugin writes connection_id as a string of digits.
        self._lines = msgspec.json.Decoder(_Wrapper, strict=False)
        self._identity: Memo[Identity | None] = Memo(parse_identity)

    cut = staticmethod(base.last_line_end)
    end = staticmethod(base.line_end)

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of lines with one typed decoder call."""
        try:
            records = [line.audit_record for line in self._lines.decode_lines(block)]
            self._give_meaning(records)
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError, MalformedError):
            return None
        ends = list(accumulate(map(len, io.BytesIO(block)), initial=offset))
        # The typed decoder minds values, not lines. As many records as lines, and every line with
        # a start, which no value can hold: so every line is one record.
        lines = block.startswith(_START) + block.count(b"\n" + _START)
        if not len(ends) - 1 == len(records) == lines:
            return None
        return Decoded(records, ends[:-1], ends[1:])

    def _give_meaning(self, records: list[_Line]) -> None:
        # The hottest loop of the program: each store into a record costs as much as two look-ups,
        # so nothing is stored that stands there already.
        clock, identities, kinds = self._clock, self._identity, KIND_OF_NAME
        second: object = 0  # equals no text, and not the lack of one
        stamp: str | None = None
        for record in records:
            kind = kinds[record.name]
            if kind is not QUERY:
                record.kind = kind
            if record.timestamp != second:
                second = record.timestamp
                stamp = clock[record.timestamp or ""]
            if stamp != second:
                record.timestamp = stamp
            if record.os_user is not None:
                record.os_login = record.os_user
            if kind not in SESSION_KINDS and record.user:
                identity = identities[record.user]
                if identity is None:
                    continue
                if record.priv_user is None and record.host is not None and record.ip is not None:
                    record.user, record.priv_user, _, _ = identity
                else:
                    split_identity(record)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one line of any generation, repairing what the plugin did not escape."""
        line = raw.strip()
        try:
            wrapper = load_object(line)
        except MalformedError:
            wrapper = _startup_record(line)
        fields = wrapper.get("audit_record")
        if not isinstance(fields, dict) or len(wrapper) != 1:
            raise MalformedError("not an object with the one key audit_record")
        if "startup_optionsi" in fields:  # misspelt in every version
            fields["startup_options"] = fields.pop("startup_optionsi")
        return flat_record(fields, NAME, self._clock)


_STARTUP: Final = re.compile(
    rb'(\{"audit_record":\{"name":"(?:Audit|NoAudit)",.*?"startup_optionsi?":")(.*)'
    rb'(","os_version":"[^"]*"\}\})',
    re.DOTALL,
)


def _startup_record(line: bytes) -> dict[str, Any]:
    """Read an Audit record whose STARTUP_OPTIONS holds a quote or a backslash (formats.md 1.2)."""
    match = _STARTUP.fullmatch(line)
    if match is None:
        raise MalformedError("not valid JSON")
    head, options, tail = match.groups()
    escaped = orjson.dumps(options.decode("utf-8", "backslashreplace"))[1:-1]
    return load_object(head + escaped + tail)
