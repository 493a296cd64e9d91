"""ECS-shaped documents, and the bulk lines that carry them.

    {"create":{"_index":"mysql-audit-2024.09.03","_id":"9f…-495"}}
    {"@timestamp":"2024-09-03T01:53:33Z","event":{"action":"mysql-connect",…},"user":{…},…}

Theory of operation. Most of a document repeats from record to record: what kind of event it is, who
did it. Those parts are encoded once and remembered, bounded; a document is then one bytes template
filled with remembered parts and the few values that change. Everything from the log goes through
a JSON encoder on its way in, remembered or not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from shipper.codes import lookup
from shipper.document.index_name import IndexName
from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    COMMAND,
    CONNECT,
    DISCONNECT,
    OTHER,
    QUERY,
    TABLE,
    AuditRecord,
    Block,
)

ECS_VERSION: Final = "8.17.0"

_json: Final = msgspec.json.Encoder().encode

# kind -> (event.category, event.type), both from ECS's closed lists.
_CATEGORIES: Final[dict[str, tuple[list[str], list[str]]]] = {
    CONNECT: (["authentication", "session"], ["start"]),
    CHANGE_USER: (["authentication", "session"], ["start"]),
    DISCONNECT: (["session"], ["end"]),
    QUERY: (["database"], ["access"]),
    TABLE: (["database"], ["access"]),
    COMMAND: (["database"], ["info"]),
    OTHER: (["database"], ["info"]),
    AUDIT_START: (["configuration"], ["info"]),
    AUDIT_STOP: (["configuration"], ["change"]),
}
# Statements and table events that change something, by the server's own words.
_CHANGES: Final = frozenset(
    (
        *("insert", "update", "delete", "replace", "load", "truncate", "insert_select"),
        *("replace_select", "delete_multi", "update_multi", "grant", "revoke"),
        *("WRITE", "CREATE", "DROP", "ALTER", "RENAME"),
        *("TableInsert", "TableUpdate", "TableDelete"),
    )
)
_CHANGE_PREFIXES: Final = ("create_", "drop_", "alter_", "rename_", "set_password")


class Place(Struct, frozen=True):
    """Where a block of records comes from and goes to; constant for one segment."""

    segment: str = ""  # digest that names the segment, ASCII
    path: str = ""  # of the log file, for people
    index: str = "mysql-audit-%Y.%m.%d"  # see index_name.PATTERN
    instance: str = ""  # the server whose log it is: the operator's name for it


_WhatKey: TypeAlias = tuple[str, str, str | None, int | None, str]
Key = TypeVar("Key")
Part = TypeVar("Part")


class _Parts(dict[Key, Part], Generic[Key, Part]):
    """Bounded memo of encoded parts; forgets everything when full, see decode.base.Memo."""

    ENTRIES_MAX: ClassVar[int] = 8192  # distinct (who, from where) of a busy server

    def __init__(self, encode: Callable[[Key], Part]) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, key: Key) -> Part:
        if len(self) >= self.ENTRIES_MAX:
            self.clear()
        part = self[key] = self._encode(key)
        return part


class _What(NamedTuple):
    head: bytes  # everything up to and into the open object `event`
    audit: bytes  # ends the object `db`, begins `mysql.audit`


class EcsEncoder:
    """Encode records of one place as ECS documents; pure, to be used by one thread."""

    def __init__(self, place: Place | None = None) -> None:
        """Prepare the constant parts for `place`."""
        self._place = place or Place()
        self._what: _Parts[_WhatKey, _What] = _Parts(_what)
        self._who: _Parts[tuple[str | None, ...], bytes] = _Parts(_who)
        self._action: _Parts[str, bytes] = _Parts(self._action_head)
        self._index = IndexName(self._place.index)
        self._log = b"}}%b" % _tail(self._place)

    def bulk(self, block: Block, ingested: str) -> bytes:
        """Give an action line and a document for every record of `block`.

        `_id` is segment and offset: the same record always gets the same id, so `create` makes a
        replay harmless. `ingested` is RFC 3339, and stands in for a time that cannot be read.
        """
        return b"".join(self._pieces(block, ingested))

    def documents(self, block: Block) -> bytes:
        """Give the documents alone, one a line, without `event.ingested`."""
        return b"".join(self._pieces(block, None))

    def _pieces(self, block: Block, ingested: str | None) -> list[bytes]:
        """Encode a block in pieces: one join at the end is cheaper than a template a record."""
        pieces: list[bytes] = []
        add, whats, whos, log = pieces.extend, self._what, self._who, self._log
        arrival = b"" if ingested is None else b',"ingested":"%b"' % ingested.encode()
        opening, second = self._opening(None, ingested), None
        for record, offset in zip(block.records, block.starts, strict=True):
            if record.timestamp != second:
                second = record.timestamp
                opening = self._opening(second, ingested)
            action, begin = opening
            head, audit = whats[
                record.kind, record.name, record.command_class, record.status, record.format
            ]
            place = str(offset).encode()
            id_, sql, number, odd = (
                record.record,
                record.sqltext,
                record.connection_id,
                record.extra,
            )
            add(
                (
                    action,
                    place if action else b"",
                    begin,
                    head,
                    b"" if id_ is None else b',"id":',
                    b"" if id_ is None else _json(id_),
                    arrival,
                    whos[
                        record.user,
                        record.priv_user,
                        record.os_login,
                        record.host,
                        record.ip,
                        record.db,
                    ],
                    b"" if sql is None else b',"query":{"text":',
                    b"" if sql is None else _json(sql),
                    b"" if sql is None else b"}",
                    audit,
                    b"" if number is None else f',"connection_id":"{number}"'.encode(),
                    b"" if odd is None and not record.proxy_user else _audit_extra(record),
                    log,
                    place,
                    b"}}\n" if odd is None else b"}%b}\n" % _root_extra(record),
                )
            )
        return pieces

    def _opening(self, stamp: str | None, ingested: str | None) -> tuple[bytes, bytes]:
        """Give what stands before and after the offset: the action line, the document's start."""
        day, stamp = (stamp or "")[:10], stamp or ingested
        begin = b'{"@timestamp":"%b",' % stamp.encode() if stamp else b"{"
        if ingested is None:
            return b"", begin
        return self._action[day], b'"}}\n' + begin

    def _action_head(self, day: str) -> bytes:
        index, segment = _json(self._index.of(day)), self._place.segment.encode()
        return b'{"create":{"_index":%b,"_id":"%b-' % (index, segment)


def _tail(place: Place) -> bytes:
    """Encode what is the same in all documents of a place, up to the offset."""
    log: dict[str, Any] = {"file": {"path": place.path}} if place.path else {}
    log |= {"segment": place.segment} if place.segment else {}
    service = {"type": "mysql"} | ({"name": place.instance} if place.instance else {})
    tail = {"ecs": {"version": ECS_VERSION}, "service": service, "log": log | {"offset": 0}}
    return b"," + _json(tail)[1:].removesuffix(b"0}}")


def _what(key: _WhatKey) -> _What:
    kind, name, command_class, status, format_ = key
    event = {
        "kind": "event",
        "module": "mysql",
        "dataset": "mysql.audit",
        "action": "mysql-" + kind.replace("_", "-"),
        **_classify(kind, name, command_class, status),
    }
    head = b""
    if status:
        event["code"] = str(status)
        code = lookup(status, format_)
        known = {"type": code.symbol, "message": code.meaning} if code.symbol else {}
        head = _json({"error": {"code": str(status)} | known})[1:-1] + b","
    audit = {
        "kind": kind,
        "name": name,
        "format": format_,
        "status": status,
        "command_class": command_class or None,
    }
    return _What(
        head + b'"event":' + _json(event)[:-1],
        b'},"mysql":{"audit":'
        + _json({key: value for key, value in audit.items() if value is not None})[:-1],
    )


def _classify(
    kind: str, name: str, command_class: str | None, status: int | None
) -> dict[str, Any]:
    """Give event.category, event.type and event.outcome; ECS's allowed values only."""
    category, type_ = _CATEGORIES[kind]
    if category == ["database"]:
        word = command_class or name
        if word in _CHANGES or name in _CHANGES or word.startswith(_CHANGE_PREFIXES):
            type_ = ["change"]
        if status:
            type_ = [*type_, "error"]
    outcome = "unknown" if status is None else "failure" if status else "success"
    return {"category": category, "type": type_, "outcome": outcome}


def _who(key: tuple[str | None, ...]) -> bytes:
    """End the object `event` and tell the client; the object `db` stays open for the query."""
    user, priv_user, os_login, host, ip, db = key
    address = ip if _is_address(ip) else None
    parts: dict[str, Any] = {}
    names = {"name": user, "effective": {"name": priv_user} if priv_user else None}
    parts["user"] = {key: value for key, value in names.items() if value}
    source = {"ip": address, "domain": host if host != address else None}
    parts["source"] = {key: value for key, value in source.items() if value}
    parts["client"] = {"user": {"name": os_login}} if os_login else {}
    related = {
        "user": list(dict.fromkeys(filter(None, (user, priv_user, os_login)))),
        "ip": [address] if address else [],
        "hosts": [host] if host and host != address else [],
    }
    parts["related"] = {key: value for key, value in related.items() if value}
    parts["db"] = {"system": {"name": "mysql"}, **({"namespace": db} if db else {})}
    return b"}," + _json({key: part for key, part in parts.items() if part})[1:-2]


def _is_address(text: str | None) -> bool:
    """Say whether an `ip` field of the index would take this; zones (`%eth0`) it would not."""
    if not text or "%" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


# `extra` keys that have a field of their own; `serverhost` becomes host.name.
_AUDIT_KEYS: Final = frozenset(("table", "connection_type"))
_ROOT_KEYS: Final = frozenset(("serverhost",))
# A flat_object stores "path=value" as one term, and Lucene refuses a document with a term of more
# than 32,766 bytes. Seven keys of 200 and a value of 4096 characters, each of up to 4 bytes, fit.
_KEY_MAX: Final = 200
_TEXT_MAX: Final = 4096
_DEPTH_MAX: Final = 6


def _bounded(value: Any, depth: int) -> Any:
    """Cut what a flat_object would refuse; the log has it in full, at the record's span."""
    if isinstance(value, str):
        return value[:_TEXT_MAX]
    if isinstance(value, dict | list) and depth == 0:
        return _json(value).decode()[:_TEXT_MAX]
    if isinstance(value, dict):
        return {key[:_KEY_MAX]: _bounded(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_bounded(each, depth - 1) for each in value]
    return value


def _audit_extra(record: AuditRecord) -> bytes:
    """Encode the rest of `mysql.audit`: what only some records have."""
    audit: dict[str, Any] = {}
    raw: dict[str, Any] = {}
    if record.proxy_user:
        audit["proxy_user"] = record.proxy_user
    for key, value in (record.extra or {}).items():
        if key in _AUDIT_KEYS and isinstance(value, str):
            audit[key] = value
        elif key not in _ROOT_KEYS:
            raw[key[:_KEY_MAX]] = _bounded(value, _DEPTH_MAX)
    if raw:
        audit["raw"] = raw
    return b"," + _json(audit)[1:-1] if audit else b""


def _root_extra(record: AuditRecord) -> bytes:
    serverhost = record.extra and record.extra.get("serverhost")
    return b',"host":{"name":%b}' % _json(serverhost) if serverhost else b""
