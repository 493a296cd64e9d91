"""The HTTP endpoint, over real sockets."""

from __future__ import annotations

import base64
import datetime as dt
import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from clocks import FakeClock
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shipper.errors import MisconfiguredError
from shipper.observe.http import Endpoint, HttpSettings
from shipper.observe.metrics import Metrics
from shipper.observe.routes import Reply, Request, Route, health_route, metrics_route

WAIT_SECONDS = 30


@contextmanager
def running(settings: HttpSettings, wrong: list[str] | None = None) -> Iterator[Endpoint]:
    metrics = Metrics(FakeClock())
    routes = {
        "/metrics": metrics_route(metrics.collect),
        "/livez": health_route(list),
        "/readyz": health_route(lambda: wrong or []),
        "/echo": Route(lambda request: Reply(json.dumps(request).encode(), "application/json")),
    }
    endpoint = Endpoint(settings, routes)
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.close()


def settings(**other: object) -> HttpSettings:
    return HttpSettings(host="127.0.0.1", port=0, **other)  # type: ignore[arg-type]


def get(
    endpoint: Endpoint,
    path: str,
    method: str = "GET",
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> tuple[int, bytes, str]:
    made: http.client.HTTPConnection
    if context is None:
        made = http.client.HTTPConnection("127.0.0.1", endpoint.port, timeout=WAIT_SECONDS)
    else:
        made = http.client.HTTPSConnection(
            "localhost", endpoint.port, timeout=WAIT_SECONDS, context=context
        )
    try:
        made.request(method, path, headers=headers)
        reply = made.getresponse()
        return reply.status, reply.read(), reply.headers.get("Content-Type", "")
    finally:
        made.close()


def test_metrics_in_the_form_the_client_asks_for() -> None:
    with running(settings()) as endpoint:
        status, body, kind = get(endpoint, "/metrics")
        assert (status, kind.partition(";")[0]) == (200, "text/plain")
        assert b"audit_shipper_build_info" in body
        accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
        status, body, kind = get(endpoint, "/metrics", Accept=accept)
        assert kind.partition(";")[0] == "application/openmetrics-text"
        assert body.endswith(b"# EOF\n")


def test_health_with_its_reasons() -> None:
    with running(settings(), ["the source db is not open\x1b"]) as endpoint:
        assert get(endpoint, "/livez")[:2] == (200, b"ok\n")
        assert get(endpoint, "/readyz")[:2] == (503, b"the source db is not open\x1b\n")


def test_routes() -> None:
    with running(settings()) as endpoint:
        status, body, _ = get(endpoint, "/echo?x=1")
        assert (status, json.loads(body)) == (200, list(Request("/echo", "")))
        assert get(endpoint, "/metrics", "HEAD")[:2] == (200, b"")
        status, body, _ = get(endpoint, "/nothing")
        assert (status, b"/metrics\n" in body) == (404, True)
        assert get(endpoint, "/metrics", "POST")[0] == 501


def test_a_password_for_everything_but_health() -> None:
    with running(settings(password="right")) as endpoint:
        assert get(endpoint, "/livez")[0] == 200
        assert get(endpoint, "/metrics")[0] == 401
        assert get(endpoint, "/nothing")[0] == 401
        for given, status in (("metrics:right", 200), ("metrics:wrong", 401), ("x:right", 401)):
            coded = base64.b64encode(given.encode()).decode()
            assert get(endpoint, "/metrics", Authorization=f"Basic {coded}")[0] == status
        assert get(endpoint, "/metrics", Authorization="Basic ???")[0] == 401


def test_slow_and_many_clients_keep_nobody_out() -> None:
    limited = settings(connections_max=4, connection_seconds=0.3)
    with running(limited) as endpoint, ExitStack() as stack:
        slow = []
        for _ in range(4):
            client = socket.create_connection(("127.0.0.1", endpoint.port), timeout=WAIT_SECONDS)
            stack.enter_context(client)
            client.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
            slow.append(client)
        for client in slow:  # hung up on, though they had more to say
            assert client.recv(1) == b""
        for _ in range(100):
            try:
                if get(endpoint, "/livez")[0] == 200:
                    break
            except (ConnectionError, http.client.HTTPException):
                continue
        else:
            pytest.fail("the slow clients still hold their places")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = (tmp_path / "cert.pem", tmp_path / "key.pem")
    pem[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(pem[0]), str(pem[1])


def test_tls(certificate: tuple[str, str]) -> None:
    secure = settings(tls_certificate=certificate[0], tls_key=certificate[1])
    context = ssl.create_default_context(cafile=certificate[0])
    with running(secure) as endpoint:
        assert get(endpoint, "/livez", context=context)[0] == 200
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            get(endpoint, "/livez")
        assert get(endpoint, "/livez", context=context)[0] == 200


def test_tls_with_client_certificates(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    mutual = settings(tls_certificate=cert, tls_key=key, tls_client_ca=cert)
    context = ssl.create_default_context(cafile=cert)
    with running(mutual) as endpoint:
        with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            get(endpoint, "/livez", context=context)
        context.load_cert_chain(cert, key)
        assert get(endpoint, "/livez", context=context)[0] == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_by_default_both_kinds_of_addresses_are_served(host: str) -> None:
    """Where pods have IPv6 alone, kubelet and Prometheus ask there."""
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    with running(HttpSettings(port=0)) as endpoint:
        made = http.client.HTTPConnection(host, endpoint.port, timeout=WAIT_SECONDS)
        made.request("GET", "/livez")
        assert made.getresponse().status == 200
        made.close()


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_without_ipv6_the_other_kind_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel without it cannot be had here; what Python finds on one is."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with running(HttpSettings(port=0)) as endpoint:
        assert get(endpoint, "/livez")[0] == 200


def test_what_cannot_be_is_told() -> None:
    with running(settings()) as endpoint:
        taken = HttpSettings(host="127.0.0.1", port=endpoint.port)
        with pytest.raises(MisconfiguredError, match="cannot listen"):
            Endpoint(taken, {})
    with pytest.raises(MisconfiguredError, match="TLS"):
        Endpoint(settings(tls_certificate="/nowhere", tls_key="/nowhere"), {})
    assert list(HttpSettings(tls_key="k").problems())
    assert list(HttpSettings(tls_client_ca="c").problems())
