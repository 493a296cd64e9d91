"""`retention: own`: the shipper deletes its expired indexes itself.

Deleted is an index only if three things agree: its name is one that this sink's pattern makes, the
mapping's `_meta` says that this program made it, and the day or month in its name is older than the
retention. Each is deleted by its full name. Many shippers may do it at once: an index that is gone
already is what all of them want.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import quote

from shipper.document.index_name import IndexName
from shipper.sink.opensearch_resources import is_ours
from shipper.sink.opensearch_settings import OpenSearchSettings
from shipper.sink.opensearch_steps import Caller, read_as
from shipper.sink.opensearch_wire import StatusError


def expired(cluster: Caller, settings: OpenSearchSettings, now: float) -> list[str]:
    """Name the indexes that are old enough to go, oldest first. Raises StatusError."""
    name = IndexName(settings.index)
    # Closed ones as well: an old index is closed to save memory, not to outlive its time.
    parameters = {
        "filter_path": "*.mappings._meta",
        "ignore_unavailable": "true",
        "expand_wildcards": "open,closed",
    }
    path = f"/{quote(name.wildcard, safe='*')}/_mapping"
    answer = cluster.call("GET", path, None, parameters)
    oldest = datetime.fromtimestamp(now, UTC).date() - timedelta(days=settings.retention_days)
    ended: list[tuple[date, str]] = []
    for index, found in read_as(dict[str, dict[str, Any]], path, answer).items():
        end, mappings = name.ends(index), found.get("mappings") or {}
        if end is not None and end <= oldest and is_ours(mappings.get("_meta")):
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


def delete_all(cluster: Caller, indexes: Sequence[str]) -> list[str]:
    """Delete these indexes; say of which that was not possible, and why, in one sentence or none.

    One that may not be deleted (read-only, in a snapshot) does not save those behind it. Raises
    UnavailableError and MisconfiguredError where the cluster cannot be asked.
    """
    kept: list[StatusError] = []
    for index in indexes:
        try:
            delete(cluster, index)
        except StatusError as error:
            kept.append(error)
    if not kept:
        return []
    more = f"; and {len(kept) - 1} more" if len(kept) > 1 else ""
    return [f"an expired index cannot be deleted: {kept[0]}{more}"]
