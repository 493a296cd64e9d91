"""The index resources that setup makes: what they are called, and what stands in them. Pure.

    ISM policy        mysql-audit            deletes indexes that are old enough, of dated ones
    component         mysql-audit-settings   shards, copies, codec
    component         mysql-audit-fields     the field table (document/fields.py)
    component         mysql-audit-custom     empty: the operator's own, stronger than the two above
    index template    mysql-audit            for the indexes, or the data stream, of the sink

The order is that of the table: a policy attaches only to indexes that are made after it, and a
template needs its components.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from shipper.document.fields import VERSION, mapping
from shipper.document.index_name import IndexName
from shipper.sink.opensearch_settings import OpenSearchSettings

MANAGED_BY: Final = "audit-shipper"
# Above OpenSearch's own templates (100) and those of most others; below what catalogues use (900).
PRIORITY: Final = 500
POLICIES: Final = "/_plugins/_ism/policies"


class Resource(Struct, frozen=True):
    """One object of the cluster."""

    name: str
    path: str
    body: dict[str, Any]
    owned: bool = True  # False: the operator's, made empty where it is missing, then left alone


def templates(settings: OpenSearchSettings) -> tuple[Resource, ...]:
    """Give the component templates and the index template, in the order of their making."""
    name = IndexName(settings.index)
    components = [f"{name.base}-settings", f"{name.base}-fields", f"{name.base}-custom"]
    bodies: list[dict[str, Any]] = [
        {"settings": {"index": _index_settings(settings)}},
        {"mappings": {"dynamic": False, "_meta": _meta(), "properties": mapping()}},
        {},
    ]
    made = [
        Resource(each, f"/_component_template/{each}", _versioned({"template": body}), owned)
        for each, body, owned in zip(components, bodies, (True, True, False), strict=True)
    ]
    template: dict[str, Any] = {
        "index_patterns": name.all_patterns,
        "priority": PRIORITY,
        "composed_of": components,
    }
    if settings.data_stream:
        # Spelt out as the cluster gives it back, so that it compares equal.
        template["data_stream"] = {"timestamp_field": {"name": "@timestamp"}}
    return (*made, Resource(name.base, f"/_index_template/{name.base}", _versioned(template)))


def policy(settings: OpenSearchSettings) -> Resource | None:
    """Give the ISM policy. A policy has no `_meta`; its description says whose it is.

    None for one plain index: what deletes it when it is old deletes the newest records with it.
    """
    name = IndexName(settings.index)
    if not name.dated and not settings.data_stream:
        return None
    kept: dict[str, Any] = {"name": "kept", "actions": [], "transitions": []}
    if settings.data_stream:
        # 30 GB: the usual size of a shard of logs. A day: so that deleting comes in days.
        kept["actions"] = [{"rollover": {"min_index_age": "1d", "min_primary_shard_size": "30gb"}}]
    age = "min_rollover_age" if settings.data_stream else "min_index_age"
    conditions = {age: f"{settings.retention_days}d"}
    kept["transitions"] = [{"state_name": "deleted", "conditions": conditions}]
    body = {
        "policy": {
            "description": f"{MANAGED_BY} {VERSION}: deletes {name.wildcard} after "
            f"{settings.retention_days} days",
            "default_state": "kept",
            "states": [
                kept,
                {"name": "deleted", "actions": [{"delete": {}}], "transitions": []},
            ],
            "ism_template": [{"index_patterns": name.by_year, "priority": PRIORITY}],
        }
    }
    return Resource(name.base, f"{POLICIES}/{name.base}", body)


def _index_settings(settings: OpenSearchSettings) -> dict[str, Any]:
    made: dict[str, Any] = {
        "number_of_shards": str(settings.shards),
        # Half the size of the default, for a few per cent of indexing. zstd is refused by Security
        # Analytics.
        "codec": "best_compression",
        # Seen within 5 s; the default of 1 s makes five times as many segments.
        "refresh_interval": "5s",
    }
    if settings.replicas is None:
        made["auto_expand_replicas"] = "0-1"
    else:
        made["number_of_replicas"] = str(settings.replicas)
    return made


def _meta() -> dict[str, Any]:
    return {"managed_by": MANAGED_BY, "version": VERSION}


def _versioned(body: dict[str, Any]) -> dict[str, Any]:
    return body | {"version": VERSION, "_meta": _meta()}


def is_ours(meta: object) -> bool:
    """Say whether a `_meta` is of an object that this program made."""
    return isinstance(meta, dict) and meta.get("managed_by") == MANAGED_BY


def same(wanted: object, found: object) -> bool:
    """Compare a body with what the cluster gives back for it.

    The cluster writes numbers and truth values of settings and mappings as text, and adds what was
    left out; only what is wanted is looked at. Lists must be equal, with the same length.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return not wanted and not found
        return all(same(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(same(*pair) for pair in zip(wanted, found, strict=True))
        )
    return _text(wanted) == _text(found)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
