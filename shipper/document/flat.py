"""The flat document of `audit-shipper decode`: Percona's vocabulary for every format.

One object a record, keys in a fixed order, a key only where the record has the field:

    {"kind":"connect","name":"FAILED_CONNECT","timestamp":"2019-07-10T00:06:28Z","connection_id":3,
     "status":1045,"user":"unknownuser","host":"localhost","db":"","format":"mariadb",
     "extra":{…},"span":[160,250]}
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from shipper.model import AuditRecord, Defect, Span

_KEYS: Final = (
    "kind",
    "name",
    "timestamp",
    "record",
    "connection_id",
    "status",
    "user",
    "priv_user",
    "proxy_user",
    "os_login",
    "host",
    "ip",
    "db",
    "command_class",
    "sqltext",
    "format",
    "details",
)
_NAMES: Final = (*_KEYS[:-1], "extra")
_values: Final = attrgetter(*_KEYS)


def flat(item: AuditRecord | Defect, span: Span) -> dict[str, Any]:
    """Write a record or a defect as one flat object; `span` is a pair of byte offsets."""
    if isinstance(item, Defect):
        return {
            "defect": item.reason.value,
            "reason": item.detail,
            "span": list(span),
            "excerpt": item.excerpt.decode("utf-8", "backslashreplace"),
        }
    values = zip(_NAMES, _values(item), strict=True)
    document = {key: value for key, value in values if value is not None and value != {}}
    document["span"] = list(span)
    return document
