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
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias, Union

import msgspec
import orjson

from shipper.decode import base
from shipper.decode.base import Context, Decoded, Memo
from shipper.decode.fields import KIND_OF_NAME, flat_record
from shipper.decode.identity import parse_identity
from shipper.decode.jsontext import load_object
from shipper.errors import MalformedError
from shipper.model import AUDIT_START, AUDIT_STOP, SESSION_KINDS, AuditRecord, Number

NAME: Final = "percona-json"

_START: Final = re.compile(base.PERCONA_JSON_START)
_OPENING: Final = b'{"audit_record":{"'  # as the plugin writes it


# Members that a line must not set: a key of that name belongs to `extra`. No server writes keys
# with blanks.
def _ours(name: str, default: Any = None) -> Any:
    return msgspec.field(default=default, name=f"not a key: {name}")


class _Session(AuditRecord, forbid_unknown_fields=True, gc=False):
    """A connection record as it stands in the line."""

    command_class: str | None = _ours("command_class")
    sqltext: str | None = _ours("sqltext")
    format: str = _ours("format", NAME)
    extra: dict[str, Any] | None = _ours("extra")
    query_id: int | None = _ours("query_id")


class _General(AuditRecord, forbid_unknown_fields=True, gc=False, kw_only=True):
    """A general record as it stands in the line; what every generation writes must be there.

    All fields again, and in their order: those that must be there could not follow others else.
    """

    name: str = _ours("name")
    record: str | None = None
    timestamp: str | None = None
    command_class: str  # null goes the careful way, here and below
    connection_id: Number | None = None
    status: Number | None = None
    sqltext: str | None = None
    user: str | None = None
    host: str
    os_login: str | None = msgspec.field(default=None, name="os_user")
    ip: str
    db: str | None = None
    priv_user: str | None = _ours("priv_user")
    proxy_user: str | None = _ours("proxy_user")
    kind: str = _ours("kind")
    format: str = _ours("format", NAME)
    extra: dict[str, Any] | None = _ours("extra")
    query_id: int | None = _ours("query_id")


def _typed(name: str, kind: str) -> type[AuditRecord]:
    """Make the type of the records of one NAME: the typed decoder then sets name and kind."""
    fields = [("name", str, _ours("name", name)), ("kind", str, _ours("kind", kind))]
    session = kind in SESSION_KINDS
    made: Any = msgspec.defstruct(
        f"_{name.replace(' ', '')}",
        fields,
        bases=(_Session if session else _General,),
        tag=name,
        tag_field="name",
        kw_only=not session,  # as its base, or the fields would change their order
    )
    typed: type[AuditRecord] = made
    return typed


# Audit records have another layout, and an unknown name has no type: both go the careful way.
_ODD: Final = (AUDIT_START, AUDIT_STOP)
if TYPE_CHECKING:
    _Line: TypeAlias = AuditRecord
else:
    _Line = Union[  # noqa: UP007 made of a list
        tuple(_typed(name, kind) for name, kind in KIND_OF_NAME.items() if kind not in _ODD)
    ]


class _Wrapper(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    audit_record: _Line


_Names: TypeAlias = tuple[str, str]


def _names(user: str) -> _Names | None:
    """Give user and privileged user of a long form."""
    identity = parse_identity(user)
    return None if identity is None else (identity.user, identity.priv_user)


class PerconaJson:
    """Reader of Percona's JSON lines."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = base.PERCONA_JSON_START
    interrupted_by: ClassVar[bytes] = base.QUOTED_STARTS

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock and a memo of long-form users."""
        self._clock = context.clock.utc
        # Lax: the plugin writes connection_id as a string of digits.
        self._lines = msgspec.json.Decoder(_Wrapper, strict=False).decode_lines
        self._names: Memo[_Names | None] = Memo(_names)

    cut = staticmethod(base.last_line_end)
    end = staticmethod(base.line_end)

    def fast(self, block: bytes, offset: int) -> Decoded | None:
        """Read a block of lines with one call of the typed decoder.

        It takes line feeds for blanks. But no member of a record is an object, so that a line with
        the beginning of a record can only begin one. Then as many records as lines, each with such
        a beginning, means that every line is one record.
        """
        try:
            records = [wrapper.audit_record for wrapper in self._lines(_with_tabs_escaped(block))]
            self._give_meaning(records)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, MalformedError):
            return None
        lines = io.BytesIO(block).readlines()
        if len(lines) != len(records) or not _all_start(lines):
            return None
        ends = list(accumulate(map(len, lines), initial=offset))
        return Decoded(records, ends[:-1], ends[1:])

    def _give_meaning(self, records: list[AuditRecord]) -> None:
        # The hottest loop of the program: each store into a record costs as much as two look-ups,
        # so nothing is stored that stands there already.
        clock, names = self._clock, self._names
        second: object = 0  # equals no text, and not the lack of one
        stamp, same = None, False
        for record in records:
            time = record.timestamp
            if time != second:
                second = time
                stamp = clock[time or ""]
                same = stamp == time
            if not same:
                record.timestamp = stamp
            if record.command_class is not None:
                user = record.user
                found = names[user] if user else None
                if found is not None:
                    record.user, record.priv_user = found

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


def _with_tabs_escaped(block: bytes) -> bytes:
    """Write tabs as JSON has them: early generations left them raw, and SQL is full of them.

    Other raw control characters are rare, and a tab between two tokens is no server's.
    """
    # Behind a backslash it would become another escape.
    if b"\t" in block and b"\\\t" not in block:
        return block.replace(b"\t", rb"\t")
    return block


def _all_start(lines: list[bytes]) -> bool:
    """Say whether each of these lines of valid JSON begins as `start` says.

    What JSON allows instead of a character of the opening, a blank or an escape, is less than it:
    so the least line speaks for all.
    """
    return min(lines).startswith(_OPENING) or all(map(_START.match, lines))


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
