r"""Percona's first plugin, `audit_log`: OLD, NEW, JSON and CSV of each generation (formats.md 1).

<AUDIT_RECORD\n  NAME="Query"\n  RECORD="7_2024-09-03T01:53:14"\n  …\n  DB=""\n/>\n
<AUDIT_RECORD>\n  <NAME>Query</NAME>\n  …\n  <DB></DB>\n</AUDIT_RECORD>\n
{"audit_record":{"name":"Query","record":"7_2024-09-03T01:53:14",…,"db":""}}\n
"Query","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","select","11",0,"SELECT 1",…,""\n
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from corpus import escaping as esc
from corpus.escaping import Escaping, who
from corpus.event import (
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    COMMAND,
    CONNECT,
    QUERY,
    QUIT,
    SESSION,
    Event,
    Writer,
    Written,
)

XML_HEADER = b'<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
XML_FOOTER = b"</AUDIT>\n"
_NAMES = {CONNECT: "Connect", QUIT: "Quit", CHANGE_USER: "Change user"}
_PLAIN = ("NAME", "COMMAND_CLASS", "STARTUP_OPTIONS")  # never escaped (1.2, 1.3)


@dataclass(frozen=True)
class Generation:
    """What differs between the servers of one plugin."""

    name: str
    xml: Escaping
    json: Escaping
    zone: str = " UTC"
    general_db: bool = True
    quit_filled: bool = True


GENERATIONS = (
    Generation("5.6", esc.XML_A, esc.JSON_A, general_db=False, quit_filled=False),
    Generation("5.7.17", esc.XML_A, esc.JSON_57),
    Generation("5.7.21", esc.XML_B, esc.JSON_80),
    Generation("5.7.38", esc.XML_C, esc.JSON_80),
    Generation("8.0", esc.XML_80, esc.JSON_80, zone="Z"),
)


@dataclass(frozen=True)
class _Record:
    fields: dict[str, str]  # NAME -> value before escaping, in the order of the layout
    meaning: dict[str, Any]


def _session(event: Event, generation: Generation, escaping: Escaping) -> _Record:
    if event.kind == QUIT and not generation.quit_filled:
        event = replace(event, user="", priv_user="", host="", ip="", db="")
    fields = {
        "USER": event.user,
        "PRIV_USER": event.priv_user,
        "OS_LOGIN": event.os_login,
        "PROXY_USER": event.proxy_user,
        "HOST": event.host,
        "IP": event.ip,
        "DB": event.db,
    }
    meaning = {key.lower(): escaping.carried(value) for key, value in fields.items()}
    head = {"CONNECTION_ID": str(event.connection_id), "STATUS": str(event.status)}
    return _Record(head | fields, meaning)


def _general(event: Event, generation: Generation, escaping: Escaping) -> _Record:
    command_class, sql = event.command_class, event.sql
    if event.kind == COMMAND:
        command_class, sql = "error", ""  # 8b: also for Ping and Init DB
    user, meaning = who(escaping, event.user, event.priv_user, event.host, event.ip)
    fields = {
        "COMMAND_CLASS": command_class,
        "CONNECTION_ID": str(event.connection_id),
        "STATUS": str(event.status),
        "SQLTEXT": sql,
        "USER": user,
        "HOST": event.host,
        "OS_USER": event.os_login,
        "IP": event.ip,
    }
    meaning |= {
        "command_class": command_class,
        "sqltext": escaping.carried(sql),
        "host": escaping.carried(event.host),
        "os_login": escaping.carried(event.os_login),
        "ip": escaping.carried(event.ip),
    }
    if generation.general_db:
        fields["DB"] = event.db
        meaning["db"] = escaping.carried(event.db)
    return _Record(fields, meaning)


def _record(event: Event, generation: Generation, escaping: Escaping) -> _Record | None:
    if event.kind in SESSION:
        name, rest = _NAMES[event.kind], _session(event, generation, escaping)
    elif event.kind in (QUERY, COMMAND):
        name, rest = event.command, _general(event, generation, escaping)
    elif event.kind in (AUDIT_START, AUDIT_STOP):
        name = "Audit" if event.kind == AUDIT_START else "NoAudit"
        fields = {
            "MYSQL_VERSION": "8.0.36-28",
            "STARTUP_OPTIONS": "--basedir=/usr --port=3306",
            "OS_VERSION": "x86_64-Linux",
        }
        rest = _Record(fields, {})
    else:
        return None  # there are no table records (1.3)
    head = {"NAME": name, "RECORD": event.record, "TIMESTAMP": event.stamp + generation.zone}
    meaning = {
        "kind": event.kind,
        "name": name,
        "record": event.record,
        "timestamp": f"{event.stamp}Z",
        **rest.meaning,
    }
    if "CONNECTION_ID" in rest.fields:
        meaning |= {"connection_id": event.connection_id, "status": event.status}
    return _Record(head | rest.fields, meaning)


def _escaped(record: _Record, escaping: Escaping) -> Iterator[tuple[str, str]]:
    for key, value in record.fields.items():
        yield key, value if key in _PLAIN else escaping.write(value)


def _old(event: Event, generation: Generation) -> Written | None:
    record = _record(event, generation, generation.xml)
    if record is None:
        return None
    fields = "".join(f'  {key}="{value}"\n' for key, value in _escaped(record, generation.xml))
    return Written(f"<AUDIT_RECORD\n{fields}/>\n".encode(), record.meaning)


def _new(event: Event, generation: Generation) -> Written | None:
    record = _record(event, generation, generation.xml)
    if record is None:
        return None
    fields = "".join(
        f"  <{key}>{value}</{key}>\n" for key, value in _escaped(record, generation.xml)
    )
    return Written(f"<AUDIT_RECORD>\n{fields}</AUDIT_RECORD>\n".encode(), record.meaning)


def _json(event: Event, generation: Generation) -> Written | None:
    record = _record(event, generation, generation.json)
    if record is None:
        return None
    parts = []
    for key, value in _escaped(record, generation.json):
        word = "startup_optionsi" if key == "STARTUP_OPTIONS" else key.lower()
        parts.append(f'"{word}":{value}' if key == "STATUS" else f'"{word}":"{value}"')
    return Written(f'{{"audit_record":{{{",".join(parts)}}}}}\n'.encode(), record.meaning)


def _csv(event: Event, generation: Generation) -> Written | None:
    record = _record(event, generation, esc.CSV)
    if record is None:
        return None
    cells = (value if key == "STATUS" else f'"{value}"' for key, value in _escaped(record, esc.CSV))
    return Written(f"{','.join(cells)}\n".encode(), record.meaning)


def _fit(event: Event) -> Event:
    # Names travel as NUL-terminated strings in the client's handshake: they hold none.
    return replace(
        event,
        **{
            key: getattr(event, key).replace("\0", "")
            for key in ("user", "priv_user", "os_login", "proxy_user", "host", "ip", "db")
        },
    )


# Generations that a layout does not tell apart.
_SAME = {("json", "5.7.21"), ("csv", "5.7.17"), ("csv", "5.7.21")}


def _writers() -> Iterator[Writer]:
    layouts: tuple[tuple[str, str, Callable[..., Written | None]], ...] = (
        ("old", "XmlOld", _old),
        ("new", "XmlNew", _new),
        ("json", "PerconaJson", _json),
        ("csv", "PerconaCsv", _csv),
    )
    for layout, reader, write in layouts:
        for generation in GENERATIONS:
            if (layout, generation.name) in _SAME:
                continue
            xml = layout in {"old", "new"}
            yield Writer(
                name=f"percona-{layout}-{generation.name}",
                reader=reader,
                write=partial(write, generation=generation),
                header=XML_HEADER if xml else b"",
                footer=XML_FOOTER if xml else b"",
                fit=_fit,
            )


WRITERS = tuple(_writers())
