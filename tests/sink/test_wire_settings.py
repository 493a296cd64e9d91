"""Settings of the syslog and Fluentd sinks, as YAML has them."""

from __future__ import annotations

from typing import Any

from shipper.config.document import read_document
from shipper.config.loader import Loader
from shipper.sink import SINKS, SinkSettings, fluentd, syslog
from shipper.sink.wire import Tls

CHOICES: Any = {SinkSettings: {name: kind.settings for name, kind in SINKS.items()}}


def loaded(text: str) -> tuple[Any, list[str]]:
    value, problems = read_document(text, {})
    loader = Loader(CHOICES, lambda path: f"content of {path}\n")
    return loader.load(SinkSettings, value), [*problems, *loader.problems]


def test_a_whole_syslog_sink() -> None:
    settings, problems = loaded("""
type: syslog
name: siem
transport: tls
host: siem.example.com
tls: {ca_file: ca.pem, certificate_file: c.pem, key_file: c.key, server_name: siem}
facility: LOG_AUTHPRIV
failed_login_priority: LOG_WARNING
message: template
template: "{user} {status}"
message_bytes: 16KiB
timeout_seconds: 1m
""")
    assert problems == []
    assert settings == syslog.Settings(
        name="siem",
        transport="tls",
        host="siem.example.com",
        tls=Tls(ca_file="ca.pem", certificate_file="c.pem", key_file="c.key", server_name="siem"),
        facility="LOG_AUTHPRIV",
        failed_login_priority="LOG_WARNING",
        message="template",
        template="{user} {status}",
        message_bytes=16_384,
        timeout_seconds=60,
    )


def test_a_whole_fluentd_sink() -> None:
    settings, problems = loaded("""
type: fluentd
servers: [{host: a}, {host: b, port: 24225}]
tag: mysql.{kind}
compress: true
tls: {}
shared_key_file: /run/secrets/key
username: shipper
password_file: /run/secrets/password
""")
    assert problems == []
    assert settings == fluentd.Settings(
        servers=(fluentd.Server(host="a"), fluentd.Server(host="b", port=24225)),
        tag="mysql.{kind}",
        compress=True,
        tls=Tls(),
        shared_key="content of /run/secrets/key",
        username="shipper",
        password="content of /run/secrets/password",
    )


def test_mistakes_have_their_places() -> None:
    _, problems = loaded("""
type: syslog
transport: tcp
facility: LOG_LOCAL8
tls: {key_file: c.key}
""")
    assert [problem.partition(" ")[2] for problem in problems] == [
        "5: tls: key_file needs certificate_file"
    ]
    _, problems = loaded("type: syslog\ntransport: tcp\nfacility: LOG_LOCAL8\n")
    assert len(problems) == 2
    assert "transport tcp needs host" in problems[0]
    assert "'LOG_LOCAL8' is none of LOG_KERN" in problems[1]
    _, problems = loaded("type: fluentd\nservers: [{port: 70000}, {hots: x}]\n")
    assert any("servers[0].port" in problem for problem in problems)
    assert any("did you mean host?" in problem for problem in problems)
