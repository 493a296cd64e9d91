"""The field table: every leaf that an ECS document of ours can have, with its OpenSearch type.

The index template, the dashboards and the tests use this table; `ecs.py` writes nothing that is not
in it. `flat_object` leaves take any object below them.
"""

from __future__ import annotations

from typing import Final

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
    "event.id": "keyword",
    "event.ingested": "date",
    "event.kind": "keyword",
    "event.module": "keyword",
    "event.outcome": "keyword",
    "event.type": "keyword",
    "host.name": "keyword",
    "log.file.path": "keyword",
    "log.offset": "long",
    "mysql.audit.command_class": "keyword",
    "mysql.audit.connection_id": "keyword",
    "mysql.audit.connection_type": "keyword",
    "mysql.audit.format": "keyword",
    "mysql.audit.kind": "keyword",
    "mysql.audit.name": "keyword",
    "mysql.audit.proxy_user": "keyword",
    "mysql.audit.raw": "flat_object",
    "mysql.audit.segment": "keyword",
    "mysql.audit.status": "long",
    "mysql.audit.table": "keyword",
    "related.hosts": "keyword",
    "related.ip": "ip",
    "related.user": "keyword",
    "service.type": "keyword",
    "source.domain": "keyword",
    "source.ip": "ip",
    "user.effective.name": "keyword",
    "user.name": "keyword",
}
