"""Logins that no server here can check: what is sent is looked at, by the rules of who would."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from app.running import configure
from clocks import FakeClock
from cryptography.hazmat.primitives import serialization
from servers import free_port
from servers.certificates import Authority
from servers.proxy import Answer, Proxy, Request, proxy
from sink.blocks import batch, failed_login

from shipper.errors import MisconfiguredError
from shipper.sink import Surroundings
from shipper.sink.opensearch import OpenSearchSink, Settings

STORED = b'{"errors":false,"items":[{"create":{"status":201}}]}'
KEY_ID, KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.fixture
def between() -> Iterator[Proxy]:
    with proxy("http://127.0.0.1:9") as between:
        between.fault = lambda _request: Answer(200, STORED, {"content-type": "application/json"})
        yield between


def ship(between: Proxy, **settings: Any) -> Request:
    made = Settings(urls=(between.url,), setup="off", retention="off", **settings)
    with closing(OpenSearchSink(made, Surroundings(clock=FakeClock()))) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login())).new == 1
    (request,) = between.requests
    return request


def test_an_api_key_goes_with_every_request(between: Proxy) -> None:
    assert ship(between, api_key="c2VjcmV0").headers["authorization"] == "ApiKey c2VjcmV0"


def test_a_pipeline_goes_with_every_request(between: Proxy) -> None:
    assert "pipeline=clean" in ship(between, pipeline="clean").path


@pytest.mark.parametrize("gzip", [True, False])
def test_a_request_is_signed_for_amazon(
    between: Proxy, monkeypatch: pytest.MonkeyPatch, *, gzip: bool
) -> None:
    pytest.importorskip("botocore")
    from shipper.sink.opensearch_settings import Aws  # noqa: PLC0415 beside what it needs

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    request = ship(between, aws=Aws(region="eu-central-1"), gzip=gzip)
    said = request.headers["authorization"]
    assert said.startswith(f"AWS4-HMAC-SHA256 Credential={KEY_ID}/")
    assert said.endswith(f"Signature={signature(request)}")


def signature(request: Request) -> str:
    """Sign the request again, after Amazon's description of Signature Version 4."""
    said = request.headers["authorization"]
    scope = said.partition(f"Credential={KEY_ID}/")[2].partition(",")[0]
    names = said.partition("SignedHeaders=")[2].partition(",")[0]
    parts = urlsplit(request.path)
    query = "&".join(sorted(parts.query.split("&")))
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in names.split(";"))
    payload = hashlib.sha256(request.sent).hexdigest()
    canonical = f"{request.method}\n{parts.path}\n{query}\n{headers}\n{names}\n{payload}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(("AWS4-HMAC-SHA256", request.headers["x-amz-date"], scope, digest))
    key = f"AWS4{KEY}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_without_credentials_it_says_where_it_looked(
    between: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("botocore")
    from shipper.sink.opensearch_settings import Aws  # noqa: PLC0415 beside what it needs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    settings = Settings(urls=(between.url,), aws=Aws(region="eu-central-1"))
    with (
        closing(OpenSearchSink(settings)) as sink,
        pytest.raises(MisconfiguredError, match="no credentials"),
    ):
        sink.prepare()


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked_for_it(tmp_path: Path) -> None:
    """OpenSSL would ask on the terminal, or on standard input, and the daemon would hang there."""
    certificate, key = Authority(tmp_path / "ca").pair("client")
    private = serialization.load_pem_private_key(Path(key).read_bytes(), password=None)
    form = serialization.BestAvailableEncryption(b"secret")
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    Path(key).write_bytes(private.private_bytes(*pem, form))
    syslog = f"{{type: syslog, transport: tls, host: 127.0.0.1, port: {free_port()}, tls: "
    syslog += f"{{certificate_file: {certificate}, key_file: {key}}}}}"
    search = f"{{type: opensearch, urls: ['https://127.0.0.1:{free_port()}'], "
    search += f"client_cert: {certificate}, client_key: {key}}}"
    config = configure(tmp_path, sinks=f"{search}, {syslog}")
    with subprocess.Popen(
        [sys.executable, "-m", "shipper", "check", "-c", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            status = process.wait(60)
        finally:
            process.kill()
        assert process.stdout is not None
        said = process.stdout.read()
    assert status == 1, said
    assert b"must have no passphrase" in said
    assert b"cannot use the TLS files" in said
