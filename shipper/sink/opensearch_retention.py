"""`retention: own`: the shipper deletes its expired indexes itself.

Deleted is an index only if three things agree: its name is one that this sink's pattern makes, the
mapping's `_meta` says that this program made it, and the day or month in its name is older than the
retention. Each is deleted by its full name. Many shippers may do it at once: an index that is gone
already is what all of them want.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import orjson

from shipper.document.index_name import IndexName
from shipper.sink.opensearch_resources import is_ours
from shipper.sink.opensearch_settings import OpenSearchSettings
from shipper.sink.opensearch_steps import Caller
from shipper.sink.opensearch_wire import StatusError


def expired(cluster: Caller, settings: OpenSearchSettings, now: float) -> list[str]:
    """Name the indexes that are old enough to go, oldest first. Raises StatusError."""
    name = IndexName(settings.index)
    parameters = {"filter_path": "*.mappings._meta", "ignore_unavailable": "true"}
    answer = cluster.call("GET", f"/{quote(name.wildcard, safe='*')}/_mapping", None, parameters)
    oldest = datetime.fromtimestamp(now, UTC).date() - timedelta(days=settings.retention_days)
    ended: list[tuple[date, str]] = []
    for index, found in orjson.loads(answer).items():
        end = name.ends(index)
        if end is not None and end <= oldest and is_ours(found["mappings"].get("_meta")):
            ended.append((end, index))
    return [index for _, index in sorted(ended)]


def delete(cluster: Caller, index: str) -> bool:
    """Delete one index; False where it is gone already. Raises StatusError."""
    try:
        cluster.call("DELETE", f"/{quote(index, safe='')}")
    except StatusError as error:
        if error.status == 404:
            return False
        raise
    return True
