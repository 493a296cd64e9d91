r"""JSON of the Percona filter and of MySQL Enterprise: one array of objects (formats.md 2.3, 3.3).

{ "timestamp": "2024-09-03 01:53:33", "id": 13, "class": "general", "event": "status", … },\n
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from corpus.escaping import JSON_COMPONENT, JSON_FILTER_80, Escaping, who
from corpus.event import (
    AUDIT_START,
    COMMAND,
    QUERY,
    QUIT,
    SESSION,
    TABLE,
    Event,
    Writer,
    Written,
)

Node = dict[str, Any]


def _event(event: Event) -> tuple[str, str]:
    """Class and event of the newer generations."""
    if event.kind in SESSION:
        return "connection", event.kind
    if event.kind == TABLE:
        return "table_access", event.access
    if event.kind in {QUERY, COMMAND}:
        return "general", "status"
    return "audit", "startup" if event.kind == AUDIT_START else "shutdown"


def _parties(event: Event) -> Node:
    return {
        "connection_id": event.connection_id,
        "account": {"user": event.priv_user, "host": event.host},
        "login": {
            "user": event.user,
            "os": event.os_login,
            "ip": event.ip,
            "proxy": event.proxy_user,
        },
    }


def _data(event: Event, *, quit_says_all: bool, empty_query: bool) -> Node:
    class_, _ = _event(event)
    if class_ == "connection":
        data: Node = {"connection_type": "ssl"}
        if event.kind != QUIT or quit_says_all:
            data |= {"status": event.status, "db": event.db}
        return {"connection_data": data}
    if class_ == "general":
        sql = {"query": event.sql} if event.sql or empty_query else {}
        data = {"command": event.command, "sql_command": event.command_class, **sql}
        return {"general_data": {**data, "status": event.status}}
    data = {"db": event.db, "table": event.table, "query": event.sql}
    return {"table_access_data": {**data, "sql_command": event.command_class}}


def _node(event: Event, *, old: bool, quit_says_all: bool, empty_query: bool) -> Node:
    head = {"timestamp": f"{event.time:%Y-%m-%d %H:%M:%S}", "id": event.sequence}
    class_, word = _event(event)
    if class_ == "audit":
        if old:
            name = "audit" if event.kind == AUDIT_START else "noaudit"
            return {**head, "class": name, "server_id": 1}
        data = {"server_id": 1}
        return {**head, "class": class_, "event": word, "connection_id": 0, f"{word}_data": data}
    data = _data(event, quit_says_all=quit_says_all, empty_query=empty_query)
    return {**head, "class": class_, "event": word, **_parties(event), **data}


def _meaning(node: Node, event: Event, escaping: Escaping, names: dict[str, str]) -> Node:
    carry = escaping.carried
    meaning: Node = {
        "kind": event.kind,
        "record": str(event.sequence),
        "timestamp": f"{event.stamp}Z",
    }
    if "connection_id" in node:
        meaning["connection_id"] = node["connection_id"]
    if "login" in node:
        meaning |= {
            "user": carry(event.user),
            "priv_user": carry(event.priv_user),
            "os_login": carry(event.os_login),
            "proxy_user": carry(event.proxy_user),
            "host": carry(event.host),
            "ip": carry(event.ip),
        }
        meaning |= names
    words = {"query": "sqltext", "sql_command": "command_class", "db": "db", "status": "status"}
    for key, value in node.items():
        if key.endswith("_data"):
            for inner in words.keys() & value.keys():
                text = value[inner]
                meaning[words[inner]] = carry(text) if isinstance(text, str) else text
    return meaning


def _value(value: Any, escaping: Escaping, blank: str) -> str:
    """One line: `{ "user": "root", "host": "localhost" }`, or without the blanks."""
    if isinstance(value, str):
        return f'"{escaping.write(value)}"'
    if isinstance(value, dict):
        members = f",{blank}".join(
            f'"{k}":{blank}{_value(v, escaping, blank)}' for k, v in value.items()
        )
        return f"{{{blank}{members}{blank}}}"
    return str(value)


def _pretty(node: Node, escaping: Escaping, *, tight: bool) -> str:
    """The filter's own indentation; `tight`: data objects close on their last line (2.1)."""
    lines = []
    for key, value in node.items():
        if key.endswith("_data"):
            members = ",\n".join(
                f'      "{k}": {_value(v, escaping, " ")}' for k, v in value.items()
            )
            text = f"{{\n{members}" + ("}" if tight else "\n    }")
        else:
            text = _value(value, escaping, " ")
        lines.append(f'    "{key}": {text}')
    return "  {\n" + ",\n".join(lines) + "\n  }"


def _filter_80(event: Event) -> Written:
    escaping = JSON_FILTER_80
    names: dict[str, str] = {}
    shown = event
    if event.kind in {QUERY, COMMAND}:  # both users hold the long form (2.3)
        text, names = who(escaping, event.user, event.priv_user, event.host, event.ip)
        shown = replace(event, user=text, priv_user=text)
    node = _node(shown, old=True, quit_says_all=True, empty_query=True)
    meaning = _meaning(node, event, escaping, names)
    return Written(_pretty(node, escaping, tight=True).encode(), meaning)


def _modern(event: Event, layout: Callable[[Node, Escaping], str], **shape: bool) -> Written:
    node = _node(event, old=False, **shape)
    text = layout(node, JSON_COMPONENT)
    return Written(text.encode(), _meaning(node, event, JSON_COMPONENT, {}))


_FILTER_9 = partial(_modern, quit_says_all=True, empty_query=False)
_ENTERPRISE = partial(_modern, quit_says_all=False, empty_query=False)


_LAYOUTS: tuple[tuple[str, Callable[[Event], Written]], ...] = (
    ("filter-json-8.0", _filter_80),
    ("filter-json-9.7", partial(_FILTER_9, layout=partial(_pretty, tight=False))),
    ("filter-jsonl-9.7", partial(_FILTER_9, layout=partial(_value, blank=""))),
    ("enterprise-json", partial(_ENTERPRISE, layout=partial(_value, blank=" "))),
)

WRITERS = tuple(
    Writer(
        name=name,
        reader="ArrayJson",
        write=write,
        header=b"[\n",
        between=b",\n",
        footer=b"\n]\n",
    )
    for name, write in _LAYOUTS
)
