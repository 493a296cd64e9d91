"""A finding as a record like any other, and its ECS document, `event.kind: alert`.

    {"@timestamp":"2026-11-26T10:00:19.000Z","event":{"kind":"alert","action":"source_burst",…},
     "rule":{"name":"source_burst",…},"source":{"ip":"203.0.113.9"},"mysql":{"audit":{"alert":{…}}}}

As a record (`record_of`) it goes to every sink in every shape: who and from where stand in the
fields that audit records have for it, all else under `extra`. `_id` is the finding's own
(`Detection.id`), so a replay of the log is a duplicate and not a second alert.
`mysql.audit.alert.samples` holds the ids of records in the same indexes.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from shipper.clock import rfc3339
from shipper.codes import lookup
from shipper.detection import RULES, Detection
from shipper.document.ecs_parts import ECS_VERSION
from shipper.model import ALERT, AuditRecord

FORMAT: Final = "finding"  # `format` of such a record
# ECS wants a number; the steps are those of Elastic's and OpenSearch's detection rules.
SEVERITIES: Final = {"critical": 99, "warning": 47, "info": 21}
_NUMBERS: Final = ("count", "accounts", "networks", "error_code", "again", "samples")


def record_of(detection: Detection) -> AuditRecord:
    """Write a finding as a record; texts are exact, so escape them for a terminal.

    It has no status: nothing that counts refused logins may count it.
    """
    source = detection.source
    is_address = source is not None and _is_address(source)
    last = rfc3339(detection.last)
    extra = {
        "rule": detection.rule,
        "severity": detection.severity,
        "description": RULES[detection.rule].meaning,
        "message": sentence(detection),
        "first": rfc3339(detection.first),
        "last": last,
        "count": detection.count,
        "accounts": detection.accounts,
        "networks": detection.networks,
        "users": list(filter(None, detection.users)) or None,
        "addresses": detection.addresses,
        "sources": list(detection.sources) or None,
        "error_code": detection.error_code,
        "again": detection.again,
        "samples": [f"{sample.segment}-{sample.offset}" for sample in detection.samples],
    }
    return AuditRecord(
        name=detection.rule,
        record=detection.id,
        timestamp=last,
        user=detection.user,
        host=None if is_address else source,
        ip=source if is_address else None,
        kind=ALERT,
        format=FORMAT,
        extra=_present(extra),
    )


def alert(
    finding: AuditRecord, *, instance: str = "", ingested: str | None = None
) -> dict[str, Any]:
    """Write a finding as one document; `instance` names the server whose log it was found in."""
    about = finding.extra or {}
    event = {
        "id": finding.record,
        "kind": "alert",
        "module": "mysql",
        "dataset": "mysql.audit",
        "category": ["intrusion_detection"],
        "type": ["info"],
        "action": finding.name,
        "severity": SEVERITIES[about["severity"]],
        "start": about["first"],
        "end": about["last"],
        "ingested": ingested,
    }
    numbers = {key: about.get(key) for key in _NUMBERS}
    return {
        "@timestamp": finding.timestamp,
        "ecs": {"version": ECS_VERSION},
        "service": {"type": "mysql"} | ({"name": instance} if instance else {}),
        "event": _present(event),
        "rule": {"name": finding.name, "description": about["description"]},
        "message": about["message"],
        **_who(finding),
        "mysql": {"audit": {"alert": _present(numbers)}},
    }


def sentence(detection: Detection) -> str:
    """Say what was found, for a person; names in it come from the log and are not escaped."""
    rule = RULES[detection.rule]
    parts = [rule.meaning]
    if detection.source is not None:
        parts.append(f"from {detection.source}")
    user = detection.user
    if user is None and len(detection.users) == detection.accounts == 1:
        (user,) = detection.users
    if user is not None:
        parts.append(f"account {user or '(none)'}")
    if detection.sources:
        parts.append(_where_from(detection))
    if detection.error_code is not None:
        parts.append(f"error {detection.error_code}: {_meaning(detection.error_code)}")
    if detection.count > 1:
        parts.append(f"{detection.count} in {detection.last - detection.first} seconds")
    if detection.accounts is not None and detection.accounts > 1:
        names = ", ".join(user or "(none)" for user in detection.users)
        more = ", …" if detection.accounts > len(detection.users) else ""
        parts.append(f"{detection.accounts} accounts" + (f" ({names}{more})" if names else ""))
    if detection.networks is not None and detection.networks > 1:
        parts.append(f"{detection.networks} networks")
    if detection.again:
        parts.append("still going on")
    return ", ".join(parts)


def _where_from(detection: Detection) -> str:
    named, number = ", ".join(detection.sources), detection.addresses or 0
    if number < 2:
        return f"from {named}"
    return f"from {number} addresses ({named}{', …' if number > len(detection.sources) else ''})"


def _meaning(status: int) -> str:
    """Say what a number means; one that MySQL does not refuse logins with is MariaDB's."""
    mysql = lookup(status, "")
    return (mysql if mysql.symbol else lookup(status, "mariadb")).meaning


def _who(finding: AuditRecord) -> dict[str, Any]:
    user, host, address = finding.user, finding.host, finding.ip
    source, about = {"ip": address, "domain": host}, finding.extra or {}
    own = address or host
    sources: list[str] = [own] if own else about.get("sources", [])
    addresses = [each for each in sources if _is_address(each)]
    related = {
        "user": [user] if user else about.get("users"),
        "ip": addresses or None,
        "hosts": [each for each in sources if each not in addresses] or None,
    }
    who = {
        "user": {"name": user} if user else None,
        "source": {key: value for key, value in source.items() if value} or None,
        "related": _present(related) or None,
    }
    return _present(who)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
