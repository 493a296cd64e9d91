"""Requests to a cluster: several nodes, one after the other, each request with a deadline.

opensearch-py brings the client, its API and its signer; its connection class is replaced by ours
(`opensearch_node`). Importing this module costs 25 MB of memory, so only a sink that is used does.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import urllib3
from opensearchpy import JSONSerializer, OpenSearch, Urllib3AWSV4SignerAuth
from opensearchpy.serializer import Deserializer
from urllib3.exceptions import InsecureRequestWarning

from shipper.clock import Clock
from shipper.errors import MisconfiguredError, ShipperError, UnavailableError
from shipper.settings import NO_PASSPHRASE
from shipper.sink.opensearch_body import Body
from shipper.sink.opensearch_node import Node
from shipper.sink.opensearch_settings import Aws, OpenSearchSettings
from shipper.sink.opensearch_wire import FILTER_PATH, Reading, StatusError, judged, read

Answered = TypeVar("Answered")
# Nodes beside the first whose reasons are told: a screen's worth.
TOLD_MAX: Final = 3


class Cluster:
    """The nodes of one cluster. Calls may come from several threads at once."""

    def __init__(self, settings: OpenSearchSettings, clock: Clock) -> None:
        """Read certificates and credentials; connect to nothing yet.

        Raises MisconfiguredError where one of them cannot be read.
        """
        options = _options(settings, clock)
        self._nodes = [_client(url, options) for url in settings.urls]
        self._pipeline = {"pipeline": settings.pipeline} if settings.pipeline else {}
        self._current = 0
        self._lock = threading.Lock()
        self._proven = False  # whether it has taken documents

    def bulk(self, body: Body) -> Reading:
        """Send a bulk request and read the answer.

        Raises StatusError for 413 alone, UnavailableError or MisconfiguredError for the rest.
        """
        params = {"filter_path": FILTER_PATH, **self._pipeline}
        headers = {} if body.plain_size is None else {"content-encoding": "gzip"}

        def ask(node: OpenSearch) -> Reading:
            # Not `client.bulk`, which puts a line feed behind what does not end with one: gzip.
            answer: bytes = node.transport.perform_request(
                "POST", "/_bulk", params=params, headers=headers, body=body.lines
            )
            return self._read(answer, body)

        try:
            reading = self._in_turn(ask)
        except StatusError as error:
            if error.status == 413:
                raise
            raise judged(error, proven=self._proven) from error
        self._proven = True
        return reading

    def _read(self, answer: bytes, body: Body) -> Reading:
        """Read an answer; what is none is a wrong url, before anything was taken."""
        try:
            return read(answer, body)
        except UnavailableError as error:
            if self._proven:
                raise
            raise MisconfiguredError(f"this does not look like OpenSearch: {error}") from error

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        """Make any other call; body as JSON. Raises StatusError where the answer is not 2xx."""
        answer: bytes = self._in_turn(
            lambda node: node.transport.perform_request(
                method, path, params=dict(params or {}), body=body
            )
        )
        return answer

    def close(self) -> None:
        """Close all connections."""
        for node in self._nodes:
            node.close()

    def _in_turn(self, request: Callable[[OpenSearch], Answered]) -> Answered:
        """Ask the node that answered last; where it gives no answer, each other one once."""
        errors: list[ShipperError] = []
        first = self._current
        for step in range(len(self._nodes)):
            number = (first + step) % len(self._nodes)
            try:
                answer = request(self._nodes[number])
            except StatusError as error:
                if not error.passing:
                    # One that has too much to do, or is broken, is not asked first again.
                    troubled = error.status == 429 or error.status >= 500
                    self._keep((number + troubled) % len(self._nodes))
                    raise
                errors.append(error)
            except (UnavailableError, MisconfiguredError) as error:
                errors.append(error)
            else:
                self._keep(number)
                return answer
        # One node that may come back is reason enough to wait.
        first_of_all, *others = sorted(errors, key=self._is_final)
        raise _joined(first_of_all, others)

    def _keep(self, number: int) -> None:
        if number != self._current:
            with self._lock:
                self._current = number

    def _is_final(self, error: ShipperError) -> bool:
        if isinstance(error, StatusError):
            error = judged(error, proven=self._proven)
        return isinstance(error, MisconfiguredError)


def _joined(error: ShipperError, others: Sequence[ShipperError]) -> ShipperError:
    """Say of the other nodes too why they did not answer: it is one of them that can be mended."""
    more = f"; and {len(others) - TOLD_MAX} more" if len(others) > TOLD_MAX else ""
    text = "; ".join(map(str, (error, *others[:TOLD_MAX]))) + more
    if not others or isinstance(error, StatusError):
        return error
    if isinstance(error, UnavailableError):
        return UnavailableError(text, retry_after=error.retry_after, reason=error.reason)
    return MisconfiguredError(text)


def _options(settings: OpenSearchSettings, clock: Clock) -> dict[str, Any]:
    options: dict[str, Any] = {
        "connection_class": Node,
        "max_retries": 0,
        "http_compress": settings.gzip,
        "pool_maxsize": settings.in_flight,
        "timeout": settings.read_seconds,
        "connect_seconds": settings.connect_seconds,
        "clock": clock,
    }
    if settings.username is not None:
        options["http_auth"] = (settings.username, settings.password)
    if settings.api_key is not None:
        options["headers"] = {"authorization": f"ApiKey {settings.api_key}"}
    if settings.aws is not None:
        options["http_auth"] = _signer(settings.aws)
    if any(url.startswith("https:") for url in settings.urls):
        options["ssl_context"] = _trust(settings)
    return options


def _client(url: str, options: dict[str, Any]) -> OpenSearch:
    parts = urlsplit(url)
    https = parts.scheme == "https"
    node = {
        "host": parts.hostname,
        "port": parts.port or (443 if https else 80),
        "use_ssl": https,
        "url_prefix": parts.path.strip("/"),
    }
    client = OpenSearch(hosts=[node], **options)
    client.transport.deserializer = _Raw({"application/json": JSONSerializer()})
    return client


class _Raw(Deserializer):
    """Hand answers on as they came: whoever asked knows their shape."""

    def loads(self, s: Any, mimetype: str | None = None) -> Any:  # noqa: ARG002 the library's
        return s


def _trust(settings: OpenSearchSettings) -> ssl.SSLContext:
    """Make the TLS context; raises MisconfiguredError with the file's name."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if not settings.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            urllib3.disable_warnings(InsecureRequestWarning)
        if settings.client_cert is not None:
            context.load_cert_chain(settings.client_cert, settings.client_key, NO_PASSPHRASE)
    except (OSError, ssl.SSLError) as error:
        for name in (settings.ca_file, settings.client_cert, settings.client_key):
            if name is not None and not Path(name).is_file():
                raise MisconfiguredError(f"there is no file {name}") from error
        raise MisconfiguredError(
            "cannot use the certificates ca_file, client_cert, client_key (which must have no "
            f"passphrase): {error}"
        ) from error
    return context


def _signer(aws: Aws) -> Urllib3AWSV4SignerAuth:
    try:
        from botocore.session import Session  # noqa: PLC0415 an extra, only for this
    except ImportError as error:
        raise MisconfiguredError("aws needs botocore: pip install 'audit-shipper[aws]'") from error
    credentials = Session().get_credentials()
    if credentials is None:
        raise MisconfiguredError("aws: there are no credentials in environment, profile or role")
    return Urllib3AWSV4SignerAuth(credentials, aws.region, "es")
