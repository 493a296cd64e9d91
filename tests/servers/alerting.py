"""A stand-in for the monitors of the Alerting plugin, which cannot be had here.

What it copies of the plugin, from its documentation and its model classes: it makes the ids;
search goes over `monitor.*`, and says 404 before the first monitor is made; writing over a monitor
needs the sequence number and primary term of what was read, else 409; what is read back carries
more than what was written. It runs no monitor.
"""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers.proxy import Answer, Request

PATH = "/_plugins/_alerting/monitors"
JSON = {"content-type": "application/json"}


class Alerting:
    """The monitors of one cluster; `fault` goes into a proxy in front of the real server."""

    def __init__(self) -> None:
        self.monitors: dict[str, tuple[int, dict[str, Any]]] = {}
        self.writes = 0

    def fault(self, request: Request) -> Answer | None:
        parts = urlsplit(request.path)
        if not parts.path.startswith(PATH):
            return None
        rest = parts.path.removeprefix(PATH).strip("/")
        body = json.loads(request.body)
        if request.method == "POST" and rest == "_search":
            return self._search(body)
        if request.method == "POST" and not rest:
            return self._put(f"id-{len(self.monitors)}", -1, body)
        assert request.method == "PUT"
        query = parse_qs(parts.query)
        number, _ = self.monitors[rest]
        if (query.get("if_seq_no"), query.get("if_primary_term")) != ([str(number)], ["1"]):
            kind = "version_conflict_engine_exception"
            return _answer(409, {"error": {"type": kind, "reason": "newer"}, "status": 409})
        return self._put(rest, number, body)

    def _search(self, body: dict[str, Any]) -> Answer:
        if not self.monitors:
            kind, reason = "index_not_found_exception", "Configured indices are not found"
            return _answer(404, {"error": {"type": kind, "reason": reason}, "status": 404})
        ((field, name),) = body["query"]["term"].items()
        assert field == "monitor.name.keyword"
        hits = [
            _numbers(id_, number) | {"_source": {"monitor": _decorated(monitor)}}
            for id_, (number, monitor) in self.monitors.items()
            if monitor["name"] == name
        ]
        return _answer(200, {"hits": {"total": {"value": len(hits)}, "hits": hits}})

    def _put(self, id_: str, number: int, monitor: dict[str, Any]) -> Answer:
        self.monitors[id_] = (number + 1, monitor)
        self.writes += 1
        written = _numbers(id_, number + 1) | {"monitor": _decorated(monitor)}
        return _answer(201 if number < 0 else 200, written)


def _numbers(id_: str, number: int) -> dict[str, Any]:
    return {"_id": id_, "_version": number + 1, "_seq_no": number, "_primary_term": 1}


def _decorated(written: dict[str, Any]) -> dict[str, Any]:
    monitor = copy.deepcopy(written)
    monitor |= {"schema_version": 8, "last_update_time": 1_700_000_000_000, "owner": "alerting"}
    monitor["enabled_time"] = 1_700_000_000_000 if monitor["enabled"] else None
    for number, each in enumerate(monitor["triggers"]):
        for trigger in each.values():
            trigger["id"] = f"trigger-{number}"
            for action in trigger["actions"]:
                action["id"] = f"action-{number}"
    return monitor


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), JSON)
