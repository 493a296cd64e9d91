"""What the OpenSearch sink can be told. Each field: unit, default, reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta

from shipper.document.index_name import PATTERN, IndexName
from shipper.settings import Seconds, Secret, Settings
from shipper.sink.base import SinkSettings

KIB = 1024
MIB = 1024 * KIB


class Aws(Settings, frozen=True, kw_only=True):
    """Sign requests for the Amazon service (Signature Version 4), with the credentials of the pod.

    Needs the extra `aws` (botocore), which finds them: environment, profile, web identity, role.
    """

    region: str  # eu-central-1


class OpenSearchSettings(SinkSettings, frozen=True, kw_only=True, tag="opensearch"):
    """An OpenSearch cluster."""

    # Base URLs of one cluster's nodes, tried in turn; one that answers is kept.
    urls: Annotated[tuple[str, ...], Meta(min_length=1, max_length=64)]
    # One way to log in, or none: name and password; an API key; a client certificate; AWS.
    username: str | None = None
    password: Secret | None = None
    api_key: Secret | None = None  # sent as `Authorization: ApiKey …`
    client_cert: str | None = None  # PEM file, the chain up to the authority
    client_key: str | None = None  # PEM file without a passphrase
    aws: Aws | None = None
    ca_file: str | None = None  # PEM; default: the authorities that the system trusts
    verify: bool = True  # False also takes a forged certificate: for a first try only

    # Index of a record, by its own time: daily, monthly (%Y.%m), or one plain name. See
    # docs/opensearch.md for what each costs.
    index: Annotated[str, Meta(pattern=f"^(?:{PATTERN})$")] = "mysql-audit-%Y.%m.%d"
    data_stream: bool = False  # `index` names a data stream; then it has no date in it
    pipeline: str | None = None  # an ingest pipeline that every document goes through
    schema: Literal["ecs"] = "ecs"  # shape of the documents

    # auto: make what is missing, say what could not be made, ship in any case. require: do not
    # ship without it. off: no call beside _bulk.
    setup: Literal["auto", "require", "off"] = "auto"
    # ism: the cluster deletes old indexes, by a policy of ours. own: we do. off: nobody does.
    retention: Literal["ism", "own", "off"] = "ism"
    # A year is what PCI DSS and most auditors ask for.
    retention_days: Annotated[int, Meta(ge=1, le=36_500)] = 365
    # Of a new index. One shard holds some 30 GB: more than a day of most servers.
    shards: Annotated[int, Meta(ge=1, le=1024)] = 1
    # Copies of a new index; default: one, where there is a second node for it.
    replicas: Annotated[int, Meta(ge=0, le=20)] | None = None

    # Plain log bytes of a request: 3 to 8 MiB of documents, which compress to a tenth. A tenth less
    # CPU than 384 KiB; more gains little, and MariaDB's documents come near to body_bytes_max.
    batch_bytes: Annotated[int, Meta(ge=64 * KIB, le=64 * MIB)] = 1792 * KIB
    # Requests under way at once. One waits for the server; two keep it busy, four where it is far
    # away; more only make it answer "too many requests" sooner.
    in_flight: Annotated[int, Meta(ge=1, le=16)] = 2
    # A larger body is split before it is sent: the limit of Amazon's small instances.
    body_bytes_max: Annotated[int, Meta(ge=64 * KIB, le=100 * MIB)] = 10 * MIB
    gzip: bool = True  # the fastest level: a tenth of the bytes for half a microsecond a record
    # To connect and to send one body. Three retransmissions of a lost packet are 7 s.
    connect_seconds: Seconds = 10.0
    # For the whole answer. The server's own limit for a bulk request is 60 s.
    read_seconds: Seconds = 75.0

    def problems(self) -> Iterator[str]:
        """Say which fields do not go together."""
        for url in self.urls:
            yield from _url_problems(url)
        yield from self._login_problems()
        if self.data_stream and IndexName(self.index).dated:
            yield f"index {self.index!r} has a date, but a data stream has none: index: mysql-audit"
        if self.retention == "own" and not IndexName(self.index).dated:
            yield "retention: own deletes dated indexes, and index has no date: use ism or off"

    def _login_problems(self) -> Iterator[str]:
        if (self.username is None) != (self.password is None):
            yield "username and password belong together"
        if self.client_key is not None and self.client_cert is None:
            yield "client_key has no client_cert"
        ways = {
            "username": self.username,
            "api_key": self.api_key,
            "aws": self.aws,
        }
        given = [name for name, value in ways.items() if value is not None]
        if len(given) > 1:
            yield f"{' and '.join(given)} are given: log in one way"
        https = all(url.startswith("https://") for url in self.urls)
        if (self.client_cert or self.ca_file) and not https:
            yield "client_cert and ca_file need https:// in every url"


def _url_problems(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        yield f"urls: {url!r} is not like https://opensearch:9200"
        return
    if parts.username or parts.password:
        yield "urls: name and password do not belong in a url: use username and password"
    if parts.query or parts.fragment:
        yield f"urls: {url!r} has a query or a fragment"


__all__ = ["Aws", "OpenSearchSettings"]
