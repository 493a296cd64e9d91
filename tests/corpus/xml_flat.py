"""XML of the Percona filter and of MySQL Enterprise: one vocabulary (formats.md 2.4, 3.2).

<AUDIT_RECORD>\n    <NAME>Connect</NAME>\n    <RECORD_ID>1_2024-09-03T01:53:14</RECORD_ID>…
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from corpus.escaping import XML_ENTERPRISE, XML_FILTER, Escaping, who
from corpus.event import (
    AUDIT_START,
    CHANGE_USER,
    COMMAND,
    CONNECT,
    QUERY,
    QUIT,
    SESSION,
    TABLE,
    Event,
    Writer,
    Written,
)

Fields = dict[str, str]
HEADER = b'<?xml version="1.0" encoding="utf-8"?>\n<AUDIT>\n'
FOOTER = b"</AUDIT>\n"
_TABLES = {
    "read": "TableRead",
    "insert": "TableInsert",
    "update": "TableUpdate",
    "delete": "TableDelete",
}
_KEYS = {"OS_LOGIN": "os_login", "RECORD_ID": "record"}
_NUMBERS = ("CONNECTION_ID", "STATUS")
_MEANT = frozenset(
    (
        *_NUMBERS,
        *("USER", "PRIV_USER", "PROXY_USER", "OS_LOGIN", "HOST", "IP", "DB"),
        *("COMMAND_CLASS", "SQLTEXT"),
    )
)


def _where(event: Event) -> Fields:
    return {"HOST": event.host, "IP": event.ip}


def _filter_80(event: Event, user: str) -> Fields | None:
    """Order of the 8.0.34 plugin (2.4)."""
    head = {"RECORD_ID": event.record, "TIMESTAMP": event.stamp}
    number = {"CONNECTION_ID": str(event.connection_id)}
    if event.kind in SESSION:
        names = {CONNECT: "Connect", QUIT: "Disconnect", CHANGE_USER: "Change user"}
        return {
            "NAME": names[event.kind],
            **head,
            "COMMAND_CLASS": "connect",
            **number,
            **_where(event),
            "USER": event.user,
            "OS_LOGIN": event.os_login,
            "PRIV_USER": event.priv_user,
            "PROXY_USER": event.proxy_user,
            "DB": event.db,
            "STATUS": str(event.status),
            "CONNECTION_TYPE": "Socket",
        }
    if event.kind in {QUERY, COMMAND}:
        return {
            "NAME": event.command,
            **head,
            "COMMAND_CLASS": event.command_class,
            **number,
            **_where(event),
            "USER": user,
            "OS_LOGIN": event.os_login,
            "SQLTEXT": event.sql,
            "STATUS": str(event.status),
        }
    if event.kind == TABLE:
        return None  # the order of these fields is not known
    name = "Audit" if event.kind == AUDIT_START else "NoAudit"
    return {"NAME": name, **head, "SERVER_ID": "1"}


def _enterprise(event: Event, user: str, zone: str = " UTC") -> Fields | None:
    """Order of the Enterprise manual (3.2), which the filter of 9.x follows."""
    head = {"TIMESTAMP": event.stamp + zone, "RECORD_ID": event.record}
    if event.kind not in {*SESSION, QUERY, COMMAND, TABLE}:
        name = "Audit" if event.kind == AUDIT_START else "NoAudit"
        return {**head, "NAME": name, "SERVER_ID": "1"}
    names = {CONNECT: "Connect", QUIT: "Quit", CHANGE_USER: "Change user"}
    names |= {QUERY: event.command, COMMAND: event.command, TABLE: _TABLES[event.access]}
    session = event.kind in SESSION
    fields = {
        **head,
        "NAME": names[event.kind],
        "CONNECTION_ID": str(event.connection_id),
        "STATUS": str(event.status),
        "STATUS_CODE": str(int(event.status != 0)),
        "USER": event.user if session else user,
        "OS_LOGIN": event.os_login,
        **_where(event),
        "COMMAND_CLASS": "connect" if session else event.command_class,
    }
    if session:
        fields["CONNECTION_TYPE"] = "SSL/TLS"
    if event.kind in {CONNECT, CHANGE_USER}:
        fields |= {"PRIV_USER": event.priv_user, "PROXY_USER": event.proxy_user, "DB": event.db}
    if event.kind in {QUERY, COMMAND, TABLE}:
        fields["SQLTEXT"] = event.sql
    if event.kind == TABLE:
        fields |= {"DB": event.db, "TABLE": event.table}
    return fields


def _filter_9(event: Event, user: str) -> Fields | None:
    return _enterprise(event, user, zone="")


def _meaning(event: Event, fields: Fields, names: Fields, escaping: Escaping) -> dict[str, Any]:
    meaning: dict[str, Any] = {
        "kind": event.kind,
        "name": fields["NAME"],
        "record": event.record,
        "timestamp": f"{event.stamp}Z",
    }
    for key in _MEANT & fields.keys():
        value = fields[key]
        meaning[_KEYS.get(key, key.lower())] = (
            int(value) if key in _NUMBERS else escaping.carried(value)
        )
    return meaning | (names if event.kind in {QUERY, COMMAND, TABLE} else {})


def _written(
    event: Event,
    order: Callable[[Event, str], Fields | None],
    escaping: Escaping,
    layout: Callable[[Fields], str],
) -> Written | None:
    user, names = who(escaping, event.user, event.priv_user, event.host, event.ip)
    fields = order(event, user)
    if fields is None:
        return None
    meaning = _meaning(event, fields, names, escaping)
    text = layout({key: escaping.write(value) for key, value in fields.items()})
    return Written(text.encode(), meaning)


def _old(fields: Fields) -> str:
    return "  <AUDIT_RECORD\n" + "\n".join(f'    {k}="{v}"' for k, v in fields.items()) + "/>\n"


def _old_line(fields: Fields) -> str:
    """Enterprise 5.6: the whole record on one line (8b)."""
    return "<AUDIT_RECORD " + " ".join(f'{k}="{v}"' for k, v in fields.items()) + "/>\n"


def _new(fields: Fields, *, indent: str = " ", empty: bool = True) -> str:
    inner = "".join(
        f"{indent * 2}<{k}>{v}</{k}>\n" if v or not empty else f"{indent * 2}<{k}/>\n"
        for k, v in fields.items()
    )
    return f"{indent}<AUDIT_RECORD>\n{inner}{indent}</AUDIT_RECORD>\n"


_Row = tuple[str, str, Callable[[Event, str], Fields | None], Escaping, Callable[[Fields], str]]
_TABLE: tuple[_Row, ...] = (
    ("filter-new-8.0", "XmlNew", _filter_80, XML_FILTER, partial(_new, indent="  ", empty=False)),
    ("filter-old-8.0", "XmlOld", _filter_80, XML_FILTER, _old),
    ("filter-new-9.7", "XmlNew", _filter_9, XML_FILTER, partial(_new, indent="  ")),
    ("enterprise-new", "XmlNew", _enterprise, XML_ENTERPRISE, _new),
    ("enterprise-old", "XmlOld", _enterprise, XML_ENTERPRISE, _old),
    ("enterprise-old-5.6", "XmlOld", _enterprise, XML_ENTERPRISE, _old_line),
)

WRITERS = tuple(
    Writer(
        name=name,
        reader=reader,
        write=partial(_written, order=order, escaping=escaping, layout=layout),
        header=HEADER,
        footer=FOOTER,
    )
    for name, reader, order, escaping, layout in _TABLE
)
