"""One node of a cluster: one request, one whole answer, or a reason why there is none.

opensearch-py's connection class with another way to send. It keeps what this program needs to know
(status and Retry-After of a failure), bounds what the library leaves open (time and size of a whole
answer), compresses with level 1 instead of 9, and neither logs nor warns: requests hold SQL.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Collection, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

import urllib3
from isal import igzip
from opensearchpy import Urllib3HttpConnection
from urllib3 import exceptions as failures

from shipper.clock import Clock
from shipper.errors import MisconfiguredError, ShipperError, UnavailableError
from shipper.sink.opensearch_wire import StatusError

# An answer to 20,000 documents of which each was refused is 10 MB; a wrong url may stream for ever.
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
READ_BYTES: Final = 64 * 1024
# Longer wishes are cut: somebody may have mended the cluster meanwhile.
RETRY_AFTER_SECONDS_MAX: Final = 300.0
# A peer that vanished without a word (firewall, power) is noticed by the kernel after this long,
# also on a connection that was idle.
SILENCE_SECONDS_MAX: Final = 30
_SOCKET_OPTIONS: Final = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_SECONDS_MAX * 1000),
]


class _Until(io.RawIOBase):
    """What a peer sends, up to a deadline for all of it: head, body, and what is between them.

    A timeout of the socket is one for each piece, however small.
    """

    def __init__(self, connection: socket.socket, raw: io.RawIOBase, clock: Clock) -> None:
        super().__init__()
        self._connection = connection
        self._raw = raw
        self._clock = clock
        self._due = clock.monotonic() + (connection.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._due - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the answer comes too slowly")
        self._connection.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _connection_class(kind: type[Any], clock: Clock) -> type[Any]:
    """Give the library's class of connections, with a deadline for whole answers."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, connection: socket.socket, *arguments: Any, **named: Any) -> None:
            super().__init__(connection, *arguments, **named)
            self.fp = io.BufferedReader(_Until(connection, self.fp.detach(), clock))

    return type("Connection", (kind,), {"response_class": Answer})


class Node(Urllib3HttpConnection):
    """One node. Used by several threads at once; each has a connection of its own."""

    def __init__(self, *, clock: Clock, connect_seconds: float, **options: Any) -> None:
        """Take the library's options, and two of ours."""
        super().__init__(**options)
        self._clock = clock
        self._timeout = urllib3.Timeout(connect=connect_seconds, read=self.timeout)
        self.pool.conn_kw["socket_options"] = _SOCKET_OPTIONS
        self.pool.ConnectionCls = _connection_class(self.pool.ConnectionCls, clock)

    def perform_request(  # noqa: PLR0913, PLR0917 the library's signature
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        timeout: float | None = None,  # noqa: ARG002 likewise
        ignore: Collection[int] = (),  # noqa: ARG002 likewise
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Send one request and read the whole answer.

        Raises StatusError where it is not 2xx, and what `unreachable` makes of no answer.
        """
        target = self.url_prefix + url + (f"?{urlencode(params)}" if params else "")
        sent = {**self.headers, **(headers or {})}
        sent.pop("accept-encoding", None)
        if body is not None and self.http_compress and "content-encoding" not in sent:
            body = igzip.compress(body, compresslevel=1)
            sent["content-encoding"] = "gzip"
        if callable(self.http_auth):
            sent.update(self.http_auth(method, self.host + target, body))
        try:
            status, answered, answer = self._exchange(method, target, body, sent)
        except (failures.HTTPError, OSError) as error:
            raise unreachable(error, self.host) from error
        if not 200 <= status < 300:
            after = _retry_after(answered.get("retry-after"), self._clock.now())
            raise StatusError(self.host, status, answer, after)
        return status, answered, answer

    def _exchange(
        self, method: str, target: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = self.pool.urlopen(
            method,
            target,
            body,
            headers,
            retries=False,
            redirect=False,
            timeout=self._timeout,
            preload_content=False,
        )
        try:
            answer = _whole(response)
        except BaseException:
            response.close()  # what is left of the answer must not begin the next one
            raise
        return response.status, response.headers, answer


def _whole(response: urllib3.BaseHTTPResponse) -> bytes:
    pieces, size = [], 0
    # read1 gives what has come; read would wait for a whole piece.
    while piece := response.read1(READ_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > ANSWER_BYTES_MAX:
            raise failures.ProtocolError(f"an answer of more than {ANSWER_BYTES_MAX} bytes")
    return b"".join(pieces)


def _retry_after(value: str | None, now: float) -> float | None:
    """Read Retry-After, seconds or a date, into seconds from now."""
    if not value:
        return None
    try:
        seconds = (
            float(value) if value.isdigit() else parsedate_to_datetime(value).timestamp() - now
        )
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), RETRY_AFTER_SECONDS_MAX)


# TLS failures that waiting does not mend, by OpenSSL's names, and what to do.
_TLS_HINTS: Final = {
    "WRONG_VERSION_NUMBER": "it does not speak TLS there: http:// instead of https://?",
    "HTTP_REQUEST": "it does not speak TLS there: http:// instead of https://?",
    "CERTIFICATE_EXPIRED": "the client certificate has expired: renew client_cert",
    "CERTIFICATE_REQUIRED": "it wants a client certificate: set client_cert and client_key",
    "BAD_CERTIFICATE": "it does not take the client certificate",
    "CERTIFICATE_UNKNOWN": "it does not take the client certificate",
    "CERTIFICATE_REVOKED": "the client certificate was revoked: renew client_cert",
    # Of an authority that has the right name and another key.
    "DECRYPT_ERROR": "it cannot verify the client certificate",
    "UNKNOWN_CA": "it does not know the authority of the client certificate",
}
# X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED: renewed there, it works again here, untouched.
_TIME_OF_CERTIFICATE: Final = (9, 10)


def unreachable(error: Exception, host: str) -> ShipperError:
    """Say what it means that there was no whole answer (docs/opensearch.md, "No answer")."""
    cause = _tls_cause(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        text = f"{host}: its certificate is not trusted: {cause.verify_message}"
        if cause.verify_code in _TIME_OF_CERTIFICATE:
            return UnavailableError(text, reason="auth")
        return MisconfiguredError(f"{text}. Set ca_file, or the host name that it was made for")
    if cause is not None:
        for name, hint in _TLS_HINTS.items():
            if name in str(cause.reason):
                return MisconfiguredError(f"{host}: {hint} ({cause.reason})")
    refused = isinstance(error, failures.NewConnectionError)  # for the library a timeout too
    if isinstance(error, failures.TimeoutError) and not refused:
        return UnavailableError(f"{host} did not answer in time: {error}", reason="timeout")
    reason = "protocol" if isinstance(error, failures.ProtocolError) else "unavailable"
    # TLS 1.3 has the client speak before the server has judged its certificate.
    hung_up = isinstance(cause, ssl.SSLEOFError) or isinstance(_inner(error), ConnectionResetError)
    asks = "a client certificate" if host.startswith("https") else "https://"
    hint = f" (does it want {asks}?)" if hung_up else ""
    return UnavailableError(f"{host} cannot be reached: {error}{hint}", reason=reason)


def _inner(error: BaseException) -> BaseException | None:
    return next((each for each in error.args if isinstance(each, BaseException)), error.__cause__)


def _tls_cause(error: BaseException | None) -> ssl.SSLError | None:
    """Find the TLS failure inside the library's own exceptions."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return error
        error = _inner(error)
    return None
