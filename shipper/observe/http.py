"""The HTTP endpoint: a table of routes (`routes.py`), served to whoever can reach the port.

So no client may cost much: at most `connections_max` at once,
each for at most `connection_seconds`, one request a connection, GET and HEAD only.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import socket
import ssl
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from msgspec import Meta

from shipper.errors import MisconfiguredError
from shipper.observe.routes import Reply, Request, Routes
from shipper.settings import NO_PASSPHRASE, Positive, Seconds, Secret, Settings


class HttpSettings(Settings, frozen=True, kw_only=True):
    """Where and how the endpoint listens."""

    # Empty: all addresses, of IPv4 and IPv6, for a scrape comes from another machine or pod.
    # Nothing secret is served without `password`, but user names and addresses are (see the sink
    # `metrics`).
    host: str = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 9619  # 0: any free one
    # PEM files; both or none. With `tls_client_ca`, clients need a certificate of that authority.
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_client_ca: str | None = None
    # Basic authentication for everything but /livez and /readyz, which kubelet asks without.
    user: str = "metrics"
    password: Secret = ""
    # /status and /status.json, for people: behind the same password as /metrics. They show the last
    # refused logins, with names; a password that was typed for a name is among them.
    status_page: bool = True
    # Two Prometheus servers, a probe, a person and some curious ones.
    connections_max: Positive = 32
    # A scrape takes milliseconds; Prometheus itself gives up after 10 s.
    connection_seconds: Seconds = 15.0

    def problems(self) -> Iterator[str]:
        """Say which fields disagree."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            yield "tls_certificate and tls_key: give both or none"
        if self.tls_client_ca is not None and self.tls_certificate is None:
            yield "tls_client_ca needs tls_certificate and tls_key"


class Endpoint:
    """The running server."""

    def __init__(self, settings: HttpSettings, routes: Routes) -> None:
        """Listen; nothing is answered before `start`. Raises MisconfiguredError."""
        context = _tls(settings)
        handler = _handler(settings, routes)
        try:
            self._server = _Server(handler, settings, context)
        except OSError as error:
            where = settings.host or "all addresses"
            text = f"cannot listen on {where}, port {settings.port}: {error.strerror}"
            raise MisconfiguredError(f"http: {text}") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="http")
        self._thread.daemon = True

    @property
    def port(self) -> int:
        """Give the port that is listened on."""
        port: int = self._server.server_address[1]
        return port

    def start(self) -> None:
        """Answer requests, in threads of their own."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; requests under way end with the process."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()


def _tls(settings: HttpSettings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key, NO_PASSPHRASE)
        if settings.tls_client_ca is not None:
            context.load_verify_locations(settings.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        raise MisconfiguredError(f"http: cannot use the TLS files: {error}") from error
    return context


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self,
        handler: type[BaseHTTPRequestHandler],
        settings: HttpSettings,
        context: ssl.SSLContext | None,
    ) -> None:
        host = settings.host or ("::" if socket.has_dualstack_ipv6() else "0.0.0.0")  # noqa: S104
        self._both = not settings.host and host == "::"
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._seconds = settings.connection_seconds
        self._free = threading.BoundedSemaphore(settings.connections_max)
        self._context = context
        super().__init__((host, settings.port), handler)

    def server_bind(self) -> None:
        if self._both:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Not HTTPServer's own, which asks the DNS for a name that nobody here uses.
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        # A time-out of the socket alone would let a client send one byte now and then for ever.
        limit = threading.Timer(self._seconds, _hang_up, (request,))
        limit.daemon = True
        limit.start()
        try:
            request.settimeout(self._seconds)
            if self._context is not None:
                request = self._context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError:  # a client that went away, or speaks no TLS
            self.shutdown_request(request)
        finally:
            limit.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: what a client does wrong is not worth a line of ours."""


def _hang_up(request: socket.socket) -> None:
    with contextlib.suppress(OSError):
        socket.socket.shutdown(request, socket.SHUT_RDWR)


def _handler(settings: HttpSettings, routes: Routes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "audit-shipper", ""

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            request = Request(urlsplit(self.path).path, self.headers.get("Accept", ""))
            reply, extra = _reply(settings, routes, request, self.headers.get("Authorization", ""))
            self.send_response(reply.status)
            for name, value in (*extra, *reply.headers):
                self.send_header(name, value)
            self.send_header("Content-Type", reply.content_type)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            if with_body:
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 http.server's name
            """Say nothing: a line for each scrape helps nobody."""

    return Handler


_CHALLENGE: Final = (("WWW-Authenticate", 'Basic realm="audit-shipper"'),)


def _reply(
    settings: HttpSettings, routes: Routes, request: Request, authorization: str
) -> tuple[Reply, tuple[tuple[str, str], ...]]:
    route = routes.get(request.path)
    if settings.password and not (route and route.public) and not _knows(settings, authorization):
        return Reply(b"password needed\n", status=HTTPStatus.UNAUTHORIZED), _CHALLENGE
    if route is None:
        known = "".join(f"{path}\n" for path in sorted(routes)).encode()
        return Reply(b"not here; there are:\n" + known, status=HTTPStatus.NOT_FOUND), ()
    return route.answer(request), ()


def _knows(settings: HttpSettings, authorization: str) -> bool:
    scheme, _, coded = authorization.partition(" ")
    try:
        given = base64.b64decode(coded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    wanted = f"{settings.user}:{settings.password}".encode()
    return scheme.lower() == "basic" and hmac.compare_digest(given, wanted)
