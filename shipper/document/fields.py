"""The field table: every leaf that an ECS document of ours can have, with its OpenSearch type.

The index template, the dashboards and the tests use this table; `ecs.py` writes nothing that is not
in it. `flat_object` leaves take any object below them. A change that alters the mapping raises
VERSION.
"""

from __future__ import annotations

from typing import Any, Final

# Of the mapping that this table makes. Stands in the `_meta` of everything that setup writes.
VERSION: Final = 1

FIELDS: Final[dict[str, str]] = {
    "@timestamp": "date",
    "client.user.name": "keyword",
    "db.namespace": "keyword",
    "db.query.text": "match_only_text",
    "db.system.name": "keyword",
    "ecs.version": "keyword",
    "error.code": "keyword",
    "error.message": "match_only_text",
    "error.type": "keyword",
    "event.action": "keyword",
    "event.category": "keyword",
    "event.code": "keyword",
    "event.dataset": "keyword",
    "event.end": "date",
    "event.id": "keyword",
    "event.ingested": "date",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.outcome": "keyword",
    "event.severity": "long",
    "event.start": "date",
    "event.type": "keyword",
    "host.name": "keyword",
    "log.file.path": "keyword",
    "log.offset": "long",
    "log.segment": "keyword",
    "message": "match_only_text",
    "mysql.audit.alert.accounts": "long",
    "mysql.audit.alert.again": "boolean",
    "mysql.audit.alert.count": "long",
    "mysql.audit.alert.error_code": "long",
    "mysql.audit.alert.networks": "long",
    "mysql.audit.alert.samples": "keyword",
    "mysql.audit.command_class": "keyword",
    "mysql.audit.connection_id": "keyword",
    "mysql.audit.connection_type": "keyword",
    "mysql.audit.format": "keyword",
    "mysql.audit.kind": "keyword",
    "mysql.audit.name": "keyword",
    "mysql.audit.proxy_user": "keyword",
    "mysql.audit.raw": "flat_object",
    "mysql.audit.status": "long",
    "mysql.audit.table": "keyword",
    "related.hosts": "keyword",
    "related.ip": "ip",
    "related.user": "keyword",
    "rule.description": "keyword",
    "rule.name": "keyword",
    "service.name": "keyword",
    "service.type": "keyword",
    "source.domain": "keyword",
    "source.ip": "ip",
    "user.effective.name": "keyword",
    "user.name": "keyword",
}

# Longer values stay in the document but are not indexed: a term of more than 32,766 bytes would
# make the server refuse the whole document, and 1024 characters are 4096 bytes at most. No name of
# MySQL comes near; SQL does.
IGNORE_ABOVE: Final = 1024
_KEYWORD: Final[dict[str, Any]] = {"type": "keyword", "ignore_above": IGNORE_ABOVE}
# What a leaf's mapping says beside its type, and why.
_OPTIONS: Final[dict[str, dict[str, Any]]] = {
    # Words are searched in the text; equal statements are counted and sorted by the keyword, whose
    # column is enough for that: without an index of its own it costs half.
    "db.query.text": {"fields": {"keyword": _KEYWORD | {"index": False}}},
    # Different in every record: found by its value, never counted or sorted by.
    "event.id": {"doc_values": False},
    # Sorted by within a segment, never searched.
    "log.offset": {"index": False},
}


def mapping() -> dict[str, Any]:
    """Write the table as the `properties` of a mapping."""
    root: dict[str, Any] = {}
    for path, type_ in FIELDS.items():
        *parents, leaf = path.split(".")
        properties = root
        for parent in parents:
            properties = properties.setdefault(parent, {"properties": {}})["properties"]
        base = _KEYWORD if type_ == "keyword" else {"type": type_}
        properties[leaf] = base | _OPTIONS.get(path, {})
    return root
