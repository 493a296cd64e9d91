"""The parts of an ECS document that repeat from record to record, and those that few records have.

What happened is told by `event`, `error` and the open object `mysql.audit`; who did it by `user`,
`source`, `client`, `related` and the open object `db`. `ecs.py` remembers them and puts a document
together.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from shipper.codes import explain
from shipper.document.columns import Shape
from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    COMMAND,
    CONNECT,
    DISCONNECT,
    LOGIN_KINDS,
    OTHER,
    QUERY,
    QUERY_ID,
    TABLE,
)

ECS_VERSION: Final = "8.17.0"

encode: Final = msgspec.json.Encoder().encode

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
_CHANGE_PREFIXES: Final = (
    *("create_", "drop_", "alter_", "rename_", "set_password", "grant_", "revoke_"),
    *("install_", "uninstall_", "change_master", "change_repl"),
)


Key: TypeAlias = tuple[Any, ...]  # values of the fields that a part is made of


class What(NamedTuple):
    """What happened, encoded but for what differs from record to record."""

    event: bytes  # the rest of `event`, and `error`
    audit: bytes  # members of `mysql.audit`


def what(key: Key) -> What:
    """Tell what happened, by kind, name, command class, status and format."""
    kind, name, command_class, status, format_ = key
    event = {
        "module": "mysql",
        "dataset": "mysql.audit",
        "action": "mysql-" + kind.replace("_", "-"),
        **_classify(kind, name, command_class, status),
    }
    error: dict[str, Any] = {}
    if status:
        event["code"] = str(status)
        code = explain(status, format_, login=kind in LOGIN_KINDS)
        known = {"type": code.symbol, "message": code.meaning} if code.symbol else {}
        error = {"error": {"code": str(status)} | known}
    audit = {
        "kind": kind,
        "name": name,
        "format": format_,
        "status": status,
        "command_class": command_class or None,
    }
    said = {key: value for key, value in audit.items() if value is not None}
    return What(_members(event) + b"}" + _members(error), _members(said))


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


class Who(NamedTuple):
    """Who did it and where, encoded."""

    who: bytes  # `user`, `source`, `client`, `related`
    db: bytes  # `db`, which stays open for the query


def who(key: Key) -> Who:
    """Tell the client, and what it works with."""
    user, priv_user, os_login, host, ip, db, proxy_user = key
    address = ip if _is_address(ip) else None
    parts: dict[str, Any] = {}
    names = {"name": user, "effective": {"name": priv_user} if priv_user else None}
    parts["user"] = {key: value for key, value in names.items() if value}
    source = {"ip": address, "domain": host if host != address else None}
    parts["source"] = {key: value for key, value in source.items() if value}
    parts["client"] = {"user": {"name": os_login}} if os_login else {}
    related = {
        "user": list(dict.fromkeys(filter(None, (user, priv_user, os_login, proxy_user)))),
        "ip": [address] if address else [],
        "hosts": [host] if host and host != address else [],
    }
    parts["related"] = {key: value for key, value in related.items() if value}
    said = {key: part for key, part in parts.items() if part}
    database = {"db": {"system": {"name": "mysql"}, **({"namespace": db} if db else {})}}
    return Who(_members(said), encode(database)[1:-2])


def _is_address(text: str | None) -> bool:
    """Say whether an `ip` field of the index would take this; zones (`%eth0`) it would not."""
    if not text or "%" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def same(segment: str, path: str, instance: str) -> bytes:
    """Tell what is the same in all documents of a place; ends in front of `log.offset`'s value."""
    log: dict[str, Any] = {"file": {"path": path}} if path else {}
    log |= {"segment": segment} if segment else {}
    service = {"type": "mysql"} | ({"name": instance} if instance else {})
    parts = {"ecs": {"version": ECS_VERSION}, "service": service, "log": log | {"offset": 0}}
    return encode(parts)[1:].removesuffix(b"0}}")


# `extra` keys that have a field of their own in `mysql.audit`; `serverhost` becomes host.name.
_AUDIT_KEYS: Final = ("table", "connection_type")
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
        return encode(value).decode()[:_TEXT_MAX]
    if isinstance(value, dict):
        return {key[:_KEY_MAX]: _bounded(each, depth - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_bounded(each, depth - 1) for each in value]
    return value


# The shape of `extra`, the proxy user, whether the statement has a number.
OddKey: TypeAlias = tuple[Shape, str | None, bool]


class Odd(NamedTuple):
    """What only some records have."""

    raw: bytes  # `mysql.audit.raw`, behind the statement's number where it begins with one;
    # a template where numbers in `extra` change
    audit: bytes  # other members of `mysql.audit`
    root: bytes  # of the document
    numbered: bool = False  # `raw` is a template


# The first of the numbers in two specimens: they, and some that follow, do not hold each other.
SPECIMENS: Final = (7_583_101_523_595_801, 6_671_070_401_020_302)


def odd_of(key: OddKey) -> Odd | None:
    """Encode what the records of a shape have in common; None where that cannot be told."""
    shape, proxy_user, has_query = key
    if not has_query and all(isinstance(item, tuple) for item in shape):
        return odd(dict(shape), proxy_user)
    # Texts that hold a specimen make the two differ.
    first, second = (_specimen(key, number) for number in SPECIMENS)
    return first if first == second else None


def _specimen(key: OddKey, number: int) -> Odd | None:
    """Write the template as one specimen shows it."""
    shape, proxy_user, has_query = key
    names = (QUERY_ID, *shape) if has_query else shape
    items = [
        item if isinstance(item, tuple) else (item, number + place)
        for place, item in enumerate(names)
    ]
    left, audit, root, _ = odd(dict(items), proxy_user)
    parts = []
    for _, value in items:
        if isinstance(value, int):
            before, found, left = left.partition(b"%d" % value)
            if not found:
                return None
            parts.append(before)
    if has_query:
        del parts[0]
    if not parts:
        return Odd(left, audit, root)
    return Odd(b"%d".join(map(escaped, (*parts, left))), audit, root, numbered=True)


def escaped(text: bytes) -> bytes:
    """Write a text as a part of a template."""
    return text.replace(b"%", b"%%")


def odd(extra: dict[str, Any] | None, proxy_user: str | None) -> Odd:
    """Encode what only some records have."""
    raw = dict(extra or ())
    # A host that is no text stays raw: as `host.name` it would cost the whole document.
    host = raw.pop("serverhost") if isinstance(raw.get("serverhost"), str) else None
    audit: dict[str, Any] = {}
    if proxy_user:
        audit["proxy_user"] = proxy_user
    for key in _AUDIT_KEYS:
        if key in raw and isinstance(raw[key], str):
            audit[key] = raw.pop(key)
    kept = {"raw": {key[:_KEY_MAX]: _bounded(raw[key], _DEPTH_MAX) for key in raw}} if raw else {}
    root = {"host": {"name": host}} if host else {}
    return Odd(_members(kept), _members(audit), _members(root))


def _members(parts: dict[str, Any]) -> bytes:
    """Encode what follows other members of an object."""
    return b"," + encode(parts)[1:-1] if parts else b""
