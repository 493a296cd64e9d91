"""Percona's own shape, for every input format: what the store of the article holds.

    {"audit_record":{"name":"Connect","record":"7_2024-09-03T01:53:14",
     "timestamp":"2024-09-03T01:53:33Z","connection_id":"993","status":1045,"user":"root",…}}

Key names, their order and their types are the plugin's (formats.md 1.2): `connection_id` is text,
`status` a number, general records say `os_user`. Two things are better than the plugin's: `user` is
always the login name, never the long form, and `startup_options` is spelt right. What the plugin
does not know stands under `extra`.
"""

from __future__ import annotations

from typing import Any, Final

from shipper.model import (
    ALERT,
    AUDIT_START,
    AUDIT_STOP,
    CHANGE_USER,
    CONNECT,
    DISCONNECT,
    QUERY,
    SESSION_KINDS,
    AuditRecord,
)

# The plugin's words, so that `name = 'Connect'` finds a MariaDB FAILED_CONNECT too.
_NAME_OF_KIND: Final = {
    CONNECT: "Connect",
    DISCONNECT: "Quit",
    CHANGE_USER: "Change user",
    ALERT: "Alert",  # no word of the plugin's; the rule stands under `extra`
    AUDIT_START: "Audit",
    AUDIT_STOP: "NoAudit",
}
_STATEMENTS: Final = frozenset(("Query", "Prepare", "Execute"))
_LIFTED: Final = ("mysql_version", "startup_options", "os_version")


def percona_name(record: AuditRecord) -> str:
    """Give the plugin's NAME for what the record tells."""
    if record.kind == QUERY:
        return record.name if record.name in _STATEMENTS else "Query"
    return _NAME_OF_KIND.get(record.kind, record.name)


def percona(record: AuditRecord) -> dict[str, Any]:
    """Write a record as the plugin would; fields that the record does not have are left out."""
    fields: dict[str, Any] = {
        "name": percona_name(record),
        "record": record.record,
        "timestamp": record.timestamp,
    }
    if record.command_class is not None:
        fields["command_class"] = record.command_class
    if record.connection_id is not None:
        fields["connection_id"] = str(record.connection_id)
    fields["status"] = record.status
    fields["sqltext"] = record.sqltext
    fields["user"] = record.user
    fields["priv_user"] = record.priv_user
    fields["os_login" if record.kind in SESSION_KINDS else "os_user"] = record.os_login
    fields["proxy_user"] = record.proxy_user
    fields["host"] = record.host
    fields["ip"] = record.ip
    fields["db"] = record.db
    extra = record.details
    if extra is not None:
        rest = {key: value for key, value in extra.items() if key not in _LIFTED}
        fields.update((key, extra[key]) for key in _LIFTED if key in extra)
        fields["extra"] = rest or None
    return {"audit_record": {key: value for key, value in fields.items() if value is not None}}
