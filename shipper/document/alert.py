"""The ECS document of a finding, `event.kind: alert`, beside the records it is about.

    {"@timestamp":"2026-11-26T10:00:19.000Z","event":{"kind":"alert","action":"source_burst",…},
     "rule":{"name":"source_burst",…},"source":{"ip":"203.0.113.9"},"mysql":{"audit":{"alert":{…}}}}

`_id` is the finding's own (`Detection.id`), so a replay of the log is a duplicate and not a second
alert. `mysql.audit.alert.samples` holds the ids of records in the same indexes.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

import msgspec

from shipper.clock import rfc3339
from shipper.codes import lookup
from shipper.detection import RULES, Detection
from shipper.document.ecs_parts import ECS_VERSION

# ECS wants a number; the steps are those of Elastic's and OpenSearch's detection rules.
SEVERITIES: Final = {"critical": 99, "warning": 47, "info": 21}
_json: Final = msgspec.json.Encoder().encode


def alert(detection: Detection, *, path: str = "", ingested: str | None = None) -> dict[str, Any]:
    """Write a finding as one document; texts are exact, so escape them for a terminal."""
    rule = RULES[detection.rule]
    event = {
        "id": detection.id,
        "kind": "alert",
        "module": "mysql",
        "dataset": "mysql.audit",
        "category": ["intrusion_detection"],
        "type": ["info"],
        "action": detection.rule,
        "severity": SEVERITIES[rule.severity],
        "start": rfc3339(detection.first),
        "end": rfc3339(detection.last),
        "ingested": ingested,
    }
    document = {
        "@timestamp": rfc3339(detection.last),
        "ecs": {"version": ECS_VERSION},
        "service": {"type": "mysql"},
        "event": _present(event),
        "rule": {"name": detection.rule, "description": rule.meaning},
        "message": sentence(detection),
        **_who(detection),
        "mysql": {"audit": {"alert": _about(detection)}},
    }
    if path:
        document["log"] = {"file": {"path": path}, "offset": detection.at.offset}
    return document


def alert_lines(detection: Detection, index: str, *, path: str = "", ingested: str) -> bytes:
    """Write a finding as two bulk lines: `create` in the index of its day, and the document."""
    day = rfc3339(detection.last)[:10].replace("-", ".")
    action = {"create": {"_index": f"{index}{day}", "_id": detection.id}}
    return _json(action) + b"\n" + _json(alert(detection, path=path, ingested=ingested)) + b"\n"


def sentence(detection: Detection) -> str:
    """Say what was found, for a person; names in it come from the log and are not escaped."""
    rule = RULES[detection.rule]
    parts = [rule.meaning]
    if detection.source is not None:
        parts.append(f"from {detection.source}")
    if detection.user is not None:
        parts.append(f"account {detection.user or '(none)'}")
    if detection.error_code is not None:
        parts.append(f"error {detection.error_code}: {lookup(detection.error_code, '').meaning}")
    if detection.count > 1:
        parts.append(f"{detection.count} in {detection.last - detection.first} seconds")
    for number, word in ((detection.accounts, "accounts"), (detection.networks, "networks")):
        if number is not None and number > 1:
            parts.append(f"{number} {word}")
    if detection.again:
        parts.append("still going on")
    return ", ".join(parts)


def _about(detection: Detection) -> dict[str, Any]:
    return _present(
        {
            "count": detection.count,
            "accounts": detection.accounts,
            "networks": detection.networks,
            "error_code": detection.error_code,
            "again": detection.again,
            "samples": [f"{sample.segment}-{sample.offset}" for sample in detection.samples],
        }
    )


def _who(detection: Detection) -> dict[str, Any]:
    user, source = detection.user, detection.source
    who: dict[str, Any] = {"related": {}}
    if user:
        who["user"] = {"name": user}
        who["related"]["user"] = [user]
    if source and _is_address(source):
        who["source"] = {"ip": source}
        who["related"]["ip"] = [source]
    elif source:
        who["source"] = {"domain": source}
        who["related"]["hosts"] = [source]
    return {key: value for key, value in who.items() if value}


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
