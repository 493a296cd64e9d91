"""A stand-in for the policies of the Index State Management plugin, which cannot be had here.

What it copies of the plugin, from its documentation and its client's types: a policy has a sequence
number; writing over one needs `if_seq_no` and `if_primary_term` of what was read, else 409; what is
read back carries more than what was written. It says nothing about what a policy does.
"""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from servers.proxy import Answer, Request

PATH = "/_plugins/_ism/policies/"
JSON = {"content-type": "application/json"}


class Ism:
    """The policies of one cluster; `fault` goes into a proxy in front of the real server."""

    def __init__(self) -> None:
        self.policies: dict[str, tuple[int, dict[str, Any]]] = {}
        self.writes = 0

    def fault(self, request: Request) -> Answer | None:
        parts = urlsplit(request.path)
        if not parts.path.startswith(PATH):
            return None
        name = parts.path.removeprefix(PATH)
        if request.method == "GET":
            return self._get(name)
        assert request.method == "PUT"
        return self._put(name, parse_qs(parts.query), json.loads(request.body))

    def _get(self, name: str) -> Answer:
        if name not in self.policies:
            return _answer(404, {"error": {"type": "status_exception"}, "status": 404})
        number, policy = self.policies[name]
        return _answer(200, _numbers(name, number) | {"policy": _decorated(name, policy)})

    def _put(self, name: str, query: dict[str, list[str]], body: dict[str, Any]) -> Answer:
        number, _ = self.policies.get(name, (-1, {}))
        asked = query.get("if_seq_no"), query.get("if_primary_term")
        if asked != ((None, None) if number < 0 else ([str(number)], ["1"])):
            kind = "version_conflict_engine_exception"
            return _answer(409, {"error": {"type": kind, "reason": "exists"}, "status": 409})
        self.policies[name] = (number + 1, body["policy"])
        self.writes += 1
        return _answer(201 if number < 0 else 200, _numbers(name, number + 1) | {"policy": body})


def _numbers(name: str, number: int) -> dict[str, Any]:
    return {"_id": name, "_version": number + 1, "_seq_no": number, "_primary_term": 1}


def _decorated(name: str, written: dict[str, Any]) -> dict[str, Any]:
    policy = copy.deepcopy(written)
    policy |= {"policy_id": name, "last_updated_time": 1_700_000_000_000, "schema_version": 21}
    policy["error_notification"] = None
    for state in policy["states"]:
        for action in state["actions"]:
            action["retry"] = {"count": 3, "backoff": "exponential", "delay": "1m"}
            if "rollover" in action:
                action["rollover"]["copy_alias"] = False
    for template in policy["ism_template"]:
        template["last_updated_time"] = 1_700_000_000_000
    return policy


def _answer(status: int, body: dict[str, Any]) -> Answer:
    return Answer(status, json.dumps(body).encode(), JSON)
