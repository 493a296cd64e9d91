r"""McAfee/Trellix mysql-audit: one JSON object a line (formats.md 5, 8b).

    {"msg-type":"activity","date":"1438619465015","thread-id":"38","query-id":"0","user":"hacker",
     "priv_user":"","host":"localhost","ip":"","cmd":"Failed Login","query":"Failed Login"}

All numbers are strings. Newer builds write connection attributes inline, between `host` and the
plugin's own later members, so a client may repeat any key: what stands before the attributes
counts by its first place, what stands behind them by its last.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from shipper.decode import base
from shipper.decode.base import Context
from shipper.decode.fields import number
from shipper.decode.jsonscan import interrupts, unnested
from shipper.decode.jsontext import load_pairs
from shipper.errors import MalformedError
from shipper.model import AUDIT_START, CONNECT, DISCONNECT, QUERY, AuditRecord

NAME: Final = "mcafee-json"
ACCESS_DENIED: Final = 1045  # what `Failed Login` means where the plugin gives no status

_KIND_OF_CMD: Final = {"Connect": CONNECT, "Failed Login": CONNECT, "Quit": DISCONNECT}
_BEFORE: Final[tuple[str, ...]] = (
    *("msg-type", "date", "thread-id", "query-id"),
    *("user", "priv_user", "ip", "host"),
)
_BEHIND: Final[tuple[str, ...]] = ("cmd", "objects", "query")
_OURS: Final = frozenset(("repeated", "status_assumed"))  # keys of `extra` that we make


class McAfee:
    """Reader of the plugin's lines."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = base.MCAFEE_START
    found_by: ClassVar[bytes] = unnested(base.MCAFEE_START)
    interrupted_by: ClassVar[bytes] = interrupts(
        base.MCAFEE_START, base.OUTBRAIN_START, base.ARRAY_START, base.PERCONA_JSON_START
    )

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock; times are milliseconds since the epoch."""
        self._clock = context.clock.utc

    end = staticmethod(base.line_end)
    cut = staticmethod(base.never_cut)  # repeated keys need a parser that shows them
    fast = staticmethod(base.never_fast)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one line."""
        pairs = load_pairs(raw.strip())
        if pairs[0][1] == "header":
            return self._header(dict(pairs))
        own, rest = _own_members(pairs)
        cmd, sql = _text(own, "cmd"), _text(own, "query")
        if cmd is None:
            raise MalformedError("cmd is missing")
        kind = _KIND_OF_CMD.get(cmd, QUERY)
        if sql == "n/a" or (kind != QUERY and sql == cmd):
            sql = None
        record = AuditRecord(
            name=cmd,
            timestamp=self._time(own),
            command_class=cmd if kind == QUERY else None,
            connection_id=number(_text(own, "thread-id"), "thread-id"),
            status=number(_text(own, "status"), "status"),
            sqltext=sql,
            user=_text(own, "user"),
            priv_user=_text(own, "priv_user"),
            os_login=_text(own, "os_user"),
            host=_text(own, "host"),
            ip=_text(own, "ip"),
            db=_database(own.get("objects")),
            kind=kind,
            format=NAME,
        )
        extra = {key: own[key] for key in ("query-id", "objects") if key in own} | rest
        if cmd == "Failed Login" and record.status is None:
            record.status = ACCESS_DENIED
            extra["status_assumed"] = True
        record.extra = extra or None
        return record

    def _header(self, fields: dict[str, Any]) -> AuditRecord:
        stamp = self._time(fields)
        del fields["msg-type"], fields["date"]
        return AuditRecord(
            name="header", timestamp=stamp, kind=AUDIT_START, format=NAME, extra=fields or None
        )

    def _time(self, fields: dict[str, Any]) -> str:
        date = _text(fields, "date")
        if date is None:
            raise MalformedError("date is missing")
        return self._clock[date]


def _own_members(pairs: list[tuple[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the plugin's own members from the others, which a client may have chosen."""
    keys = [key for key, _ in pairs]
    places = {key: keys.index(key) for key in _BEFORE if key in keys}
    places |= {key: len(keys) - 1 - keys[::-1].index(key) for key in _BEHIND if key in keys}
    cmd = places.get("cmd", len(keys))
    if "status" in keys[cmd - 1 :]:  # directly before `cmd`, where no attribute stands
        places["status"] = keys.index("status", cmd - 1)
    # Only sessions on a socket have the plugin's own os_user; they have no port.
    if "os_user" in keys and "client_port" not in keys:
        places["os_user"] = len(keys) - 1 - keys[::-1].index("os_user")
    own = {key: pairs[place][1] for key, place in places.items()}
    taken = frozenset(places.values())
    others = [pair for place, pair in enumerate(pairs) if place not in taken]
    return own, _extra_members(others, frozenset(places))


def _extra_members(pairs: list[tuple[str, Any]], owned: frozenset[str]) -> dict[str, Any]:
    """Keep every value: the last of a key, the plugin's if it has one, and the others as well."""
    rest: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = {}
    for key, value in reversed(pairs):
        if key in owned or key in rest or key in _OURS:
            repeated.setdefault(key, []).append(value)
        else:
            rest[key] = value
    if repeated:
        rest["repeated"] = {key: values[::-1] for key, values in repeated.items()}
    return rest


def _database(objects: Any) -> str | None:
    """Give the database that all objects of a statement are in."""
    if not isinstance(objects, list):
        return None
    found = [each.get("db") if isinstance(each, dict) else None for each in objects]
    first = found[0] if found else None
    return first if isinstance(first, str) and found == [first] * len(found) else None


def _text(fields: dict[str, Any], key: str) -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    raise MalformedError(f"{key} is not text")
