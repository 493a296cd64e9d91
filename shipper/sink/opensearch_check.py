"""What `audit-shipper check` asks a cluster: nothing that the daemon's account need not be allowed.

A call that the account may not make is no finding, unless the daemon makes it too: setup's, where
setup is not off, and retention's, where that is ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from shipper.errors import MisconfiguredError
from shipper.sink.opensearch_retention import expired
from shipper.sink.opensearch_settings import OpenSearchSettings
from shipper.sink.opensearch_setup import Setup
from shipper.sink.opensearch_steps import Caller, read_as, troubles
from shipper.sink.opensearch_wire import StatusError, judged


def obstacles(cluster: Caller, settings: OpenSearchSettings, now: float) -> Sequence[str]:
    """Say what stands in the way, each once. Raises StatusError where the cluster fails."""
    _greet(cluster)
    found = []
    if settings.setup != "off":
        found += troubles(Setup(cluster, settings, now, write=False).run())
    found += _pipeline(cluster, settings.pipeline)
    if settings.retention == "own":
        found += _retention(cluster, settings, now)
    return tuple(dict.fromkeys(found))


def _greet(cluster: Caller) -> None:
    """Find a wrong url or login. An account that may not even ask who is there has logged in.

    Raises MisconfiguredError where the url's path leads into OpenSearch: it is taken for an index.
    """
    try:
        read_as(dict[str, object], "/", cluster.call("GET", "/"))
    except StatusError as error:
        if error.status == 404:
            text = f"this does not look like OpenSearch (a wrong path in the url?): {error}"
            raise MisconfiguredError(text) from error
        if error.status != 403 or not error.kind:
            raise


def _pipeline(cluster: Caller, name: str | None) -> Iterator[str]:
    if name is None:
        return
    try:
        cluster.call("GET", f"/_ingest/pipeline/{quote(name, safe='')}")
    except StatusError as error:
        if error.status == 404:
            yield f"there is no ingest pipeline {name}: make it, or change `pipeline`"
        elif error.status != 403:
            raise


def _retention(cluster: Caller, settings: OpenSearchSettings, now: float) -> Iterator[str]:
    try:
        expired(cluster, settings, now)
    except StatusError as error:
        yield f"retention: {judged(error, proven=False)}"
