r"""McAfee/Trellix, Outbrain and Azure: JSON lines of their own (formats.md 4.6 and 5).

{"msg-type":"activity","date":"1725328413000","thread-id":"11","query-id":"7","user":"app",…}\n
{"ts":"2024-09-03 01:53:33","type":"failed_login","myhost":"db1","thread":"11",…}\n
{"records":[{"category":"MySqlAuditLogs","properties":{"event_class":"general_log",…}}]}\n
"""

from __future__ import annotations

import json
from typing import Any

from corpus.event import COMMAND, CONNECT, QUERY, QUIT, Event, Writer, Written


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _mcafee(event: Event) -> Written | None:
    if event.kind not in {CONNECT, QUIT, QUERY}:
        return None
    words = {CONNECT: "Failed Login" if event.status else "Connect", QUIT: "Quit"}
    command = words.get(event.kind, event.command_class)
    host = event.host or event.ip
    seconds = int(event.time.timestamp())
    document = {
        "msg-type": "activity",
        "date": f"{seconds}{event.sequence % 1000:03}",
        "thread-id": str(event.connection_id),
        "query-id": str(event.sequence if event.kind == QUERY else 0),
        "user": event.user,
        "priv_user": event.priv_user,
        "ip": event.ip,
        "host": host,
        "status": str(event.status),
        "cmd": command,
        "query": event.sql if event.kind == QUERY and event.sql else command,
    }
    meaning = {
        "kind": event.kind,
        "timestamp": f"{event.stamp}.{event.sequence % 1000:03}Z",
        "connection_id": event.connection_id,
        "user": event.user,
        "priv_user": event.priv_user,
        "ip": event.ip,
        "host": host,
        "status": event.status,
    }
    if event.kind == QUERY and event.sql:
        meaning["sqltext"] = event.sql
    return Written(_line(document), meaning)


def _outbrain(event: Event) -> Written | None:
    if event.kind != CONNECT:
        return None
    document = {
        "ts": f"{event.time:%Y-%m-%d %H:%M:%S}",
        "type": "failed_login" if event.status else "successful_login",
        "myhost": event.server,
        "thread": str(event.connection_id),
        "user": event.user,
        "priv_user": event.priv_user,
        "host": event.host,
        "ip": event.ip or "(null)",
    }
    meaning = {
        "kind": CONNECT,
        "timestamp": f"{event.stamp}Z",
        "connection_id": event.connection_id,
        "user": event.user,
        "priv_user": event.priv_user,
        "host": event.host,
    }
    return Written(_line(document), meaning | ({"ip": event.ip} if event.ip else {}))


def _azure(event: Event) -> Written | None:
    if event.kind not in {CONNECT, QUIT, QUERY, COMMAND}:
        return None
    session = event.kind in {CONNECT, QUIT}
    subclass = {CONNECT: "CONNECT", QUIT: "DISCONNECT"}.get(event.kind, "LOG")
    properties: dict[str, Any] = {
        "event_class": "connection_log" if session else "general_log",
        "event_subclass": subclass,
        "event_time": f"{event.stamp}.{event.sequence % 10_000_000:07}Z",
        "error_code": event.status,
        "connection_id" if session else "thread_id": event.connection_id,
        "host": event.host,
        "ip": event.ip,
        "user": event.user,
    }
    if not session:
        properties["sql_text"] = event.sql
    envelope = {"category": "MySqlAuditLogs", "properties": properties, "resourceId": "/SERVERS/X"}
    meaning = {
        "kind": event.kind,
        "timestamp": properties["event_time"],
        "connection_id": event.connection_id,
        "status": event.status,
        "host": event.host,
        "ip": event.ip,
        "user": event.user,
    }
    if not session:
        meaning["sqltext"] = event.sql
    return Written(_line({"records": [envelope]}), meaning)


WRITERS = (
    Writer(
        name="mcafee",
        reader="McAfee",
        write=_mcafee,
        # `query` repeats `cmd` where there is no SQL; `cmd` mixes commands and SQL classes.
        open=frozenset(("command_class", "db", "sqltext")),
    ),
    Writer(
        name="outbrain",
        reader="Outbrain",
        write=_outbrain,
        open=frozenset(("status", "ip")),  # only the word `failed_login` says so
    ),
    Writer(
        name="azure",
        reader="Azure",
        write=_azure,
        open=frozenset(("priv_user", "command_class", "db", "record", "kind", "user")),
    ),
)
