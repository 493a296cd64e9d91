"""A proxy in front of a real HTTP server, for everything that goes wrong on the way.

    with proxy(server.url) as between:
        between.fault = lambda request: Answer(429)
        Settings(urls=(between.url,))

A fault is asked once a request. It gives None (the request goes through), an `Answer` (the server
never sees the request), or a function that does something to the connection.
"""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias
from urllib.parse import urlsplit


@dataclass
class Request:
    """A request on its way; `body` is plain, `sent` what it was on the wire."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    sent: bytes

    @property
    def is_bulk(self) -> bool:
        return self.path.startswith("/_bulk")


@dataclass
class Answer:
    """What the client gets."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Exchange:
    """One request and its connection, in the hands of a fault."""

    def __init__(self, handler: _Handler, request: Request) -> None:
        self._handler = handler
        self.request = request

    def forward(self, body: bytes | None = None) -> Answer:
        """Ask the real server; with another body, where one is given."""
        return self._handler.forward(self.request, body)

    def answer(self, answer: Answer, *, cut: int | None = None) -> None:
        """Answer; cut the body after so many bytes and hang up."""
        self._handler.answer(answer, cut)

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self._handler.hang_up()

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def pause(self, seconds: float) -> None:
        """Take one's time; raises OSError when the proxy ends."""
        if self._handler.server.ending.wait(seconds):
            raise ConnectionAbortedError

    def until_gone(self) -> None:
        """Do nothing until the client gives up, or the proxy ends."""
        while not self._handler.server.ending.wait(0.05):
            with suppress(BlockingIOError):
                flags = socket.MSG_PEEK | socket.MSG_DONTWAIT
                if not self._handler.connection.recv(1, flags):
                    break
        self.hang_up()


Fault: TypeAlias = Callable[[Request], Answer | Callable[[Exchange], None] | None]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_arguments: object) -> None:
        """Tests look at `requests` instead."""

    def handle_any(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = sent = self.rfile.read(size)
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body, sent)
        with self.server.lock:
            self.server.proxy.requests.append(request)
            fault = self.server.proxy.fault(request)
        if fault is None:
            self.answer(self.forward(request, None), None)
        elif isinstance(fault, Answer):
            self.answer(fault, None)
        else:
            fault(Exchange(self, request))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 the library's names

    def forward(self, request: Request, body: bytes | None) -> Answer:
        upstream = urlsplit(self.server.proxy.upstream)
        connection = http.client.HTTPConnection(str(upstream.hostname), upstream.port, timeout=60)
        try:
            kind = request.headers.get("content-type", "application/json")
            data = request.body if body is None else body
            headers = {"content-type": kind}
            if "authorization" in request.headers:
                headers["authorization"] = request.headers["authorization"]
            connection.request(request.method, request.path, data, headers)
            reply = connection.getresponse()
            return Answer(reply.status, reply.read(), {"content-type": "application/json"})
        except OSError as error:
            return Answer(502, f"<html>{error}</html>".encode(), {"content-type": "text/html"})
        finally:
            connection.close()

    def answer(self, answer: Answer, cut: int | None) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.hang_up()

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, proxy: Proxy, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy = proxy
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self._context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the connection's own thread."""
        if self._context is not None:
            request = self._context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, *_arguments: object) -> None:
        """Clients that hang up are what these tests are about."""


class Proxy:
    """A running proxy."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.requests: list[Request] = []
        self.fault: Fault = lambda _request: None
        self.url = ""

    @property
    def bulks(self) -> list[Request]:
        return [request for request in self.requests if request.is_bulk]


@contextmanager
def proxy(upstream: str, pair: tuple[str, str] | None = None, ca: str = "") -> Iterator[Proxy]:
    """Start a proxy; with TLS where a certificate and its key are given.

    `ca`: clients must show a certificate of this authority.
    """
    context = None
    if pair is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*pair)
        if ca:
            context.load_verify_locations(ca)
            context.verify_mode = ssl.CERT_REQUIRED
    between = Proxy(upstream)
    server = _Server(between, context)
    between.url = f"{'https' if pair else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield between
    finally:
        server.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


def some_busy(share: float, chance: Callable[[], float]) -> Callable[[Exchange], None]:
    """Let the server refuse a share of a bulk request's documents as being too busy for them.

    The real server gets and answers the others; those refused it never sees.
    """
    busy = {
        "status": 429,
        "error": {"type": "rejected_execution_exception", "reason": "queue is full"},
    }

    def fault(exchange: Exchange) -> None:
        lines = exchange.request.body.splitlines(keepends=True)
        pairs = [lines[at] + lines[at + 1] for at in range(0, len(lines), 2)]
        passed = [chance() >= share for _ in pairs]
        items: list[Any] = []
        if any(passed):
            kept = b"".join(pair for pair, good in zip(pairs, passed, strict=True) if good)
            items = json.loads(exchange.forward(kept).body)["items"]
        rest = iter(items)
        merged = [next(rest) if good else {"create": busy} for good in passed]
        body = json.dumps({"errors": True, "items": merged}).encode()
        exchange.answer(Answer(200, body, {"content-type": "application/json"}))

    return fault
