"""The syslog sink against rsyslog and syslog-ng, and against receivers that misbehave."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import SAMPLES
from servers.certificates import Authority
from servers.shared import shared
from servers.syslog import Daemon, rsyslog, syslog_ng
from sink.blocks import SEGMENT, batch, failed_login
from sink.rigs.syslog import settings
from sink.test_contract import HOSTILE

from shipper.decode import FORMATS, Decoder
from shipper.document.percona import percona
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.model import AuditRecord
from shipper.sink import Sink, Surroundings, make_sink
from shipper.sink.syslog import Settings
from shipper.sink.wire import Address, Tls, await_readable, connect

# By hand from <syslog.h> and RFC 5424 6.2.1, not from the program's own table.
FACILITIES = (
    *("LOG_KERN", "LOG_USER", "LOG_MAIL", "LOG_DAEMON", "LOG_AUTH", "LOG_SYSLOG", "LOG_LPR"),
    *("LOG_NEWS", "LOG_UUCP", "LOG_CRON", "LOG_AUTHPRIV", "LOG_FTP", "ntp", "LOG_SECURITY"),
    *("console", "clock", "LOG_LOCAL0", "LOG_LOCAL1", "LOG_LOCAL2", "local3", "local4", "local5"),
    *("LOG_LOCAL6", "LOG_LOCAL7"),
)
PRIORITIES = (
    *("LOG_EMERG", "LOG_ALERT", "LOG_CRIT", "LOG_ERR"),
    *("LOG_WARNING", "LOG_NOTICE", "info", "debug"),
)
TEMPLATE = "{kind} {user}@{host} {segment} {offset}"
# Every way into each daemon.
WAYS = [
    *((rsyslog, way) for way in ("udp", "tcp", "tls", "mutual", "unix-datagram", "unix")),
    *((syslog_ng, way) for way in ("udp", "tcp", "tls", "mutual", "unix-datagram", "unix-stream")),
]
ways = pytest.mark.parametrize(("start", "way"), WAYS, ids=lambda v: getattr(v, "__name__", v))
both = pytest.mark.parametrize("start", [rsyslog, syslog_ng], ids=lambda v: v.__name__)
Start = Callable[[], Any]


@cache
def sampled() -> list[AuditRecord]:
    """All records of all samples, and hostile ones."""
    records = []
    for path in sorted(SAMPLES.rglob("*")):
        if path.is_file() and path.suffix in {".json", ".xml", ".csv", ".log", ".jsonl", ".txt"}:
            decoder = Decoder(FORMATS)
            records += decoder.feed(path.read_bytes()).records + decoder.finish().records
    assert len({record.format for record in records}) >= 10
    hostile = failed_login(HOSTILE)
    hostile.host = hostile.db = hostile.sqltext = HOSTILE
    return [*records, hostile, failed_login()]


def delivered(daemon: Daemon, target: Settings, records: list[AuditRecord]) -> list[dict[str, Any]]:
    """What the daemon wrote. Few at a time, because UDP may drop what comes too fast."""
    since, step = daemon.output.stat().st_size, 20 if target.transport == "udp" else 10_000
    received: list[dict[str, Any]] = []
    with closing(make_sink(target, Surroundings(instance="db-prod-7"))) as sink:
        sink.prepare()
        for start in range(0, len(records), step):
            part = records[start : start + step]
            sink.deliver(batch(*part, start=10 * start))
            total = start + len(part)
            received = daemon.received(since, lambda found, total=total: len(found) >= total)  # type: ignore[misc]
    return received


def params(message: dict[str, Any]) -> dict[str, str]:
    found = re.findall(r' (\w+)="((?:[^"\\\]]|\\.)*)"', message["data"])
    return {name: re.sub(r'\\(["\\\]])', r"\1", value) for name, value in found}


@pytest.mark.parametrize(
    ("start", "way", "format_"),
    [
        (start, way, format_)
        for start, way in WAYS
        for format_ in ("rfc3164", "rfc5424")
        # On local sockets the daemons look for RFC 3164.
        if not (way.startswith("unix") and format_ == "rfc5424")
    ],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_every_sample_arrives_as_it_was_sent(start: Start, way: str, format_: str) -> None:
    daemon, records = shared(start), sampled()
    target = settings(
        daemon,
        way,
        format=format_,
        hostname="db1",
        zone="utc",
        message_bytes=60_000,
        failed_login_priority="LOG_NOTICE",
    )
    messages = delivered(daemon, target, records)
    assert len(messages) == len(records)
    for index, (message, record) in enumerate(zip(messages, records, strict=True)):
        assert json.loads(message["text"]) == percona(record)
        failed = record.kind in {"connect", "change_user"} and record.status
        assert message["pri"] == str(8 + (5 if failed else 6))
        assert message["app"] == "percona-audit"
        if not way.startswith("unix"):
            assert message["host"] == "db1"
        if format_ == "rfc5424":
            assert message["msgid"] == record.kind
            if record.timestamp is not None and record.timestamp[:2] == "20":
                assert message["time"][:19] == record.timestamp[:19]
            assert params(message)["segment"] == SEGMENT
            assert params(message)["offset"] == str(10 * index)


@ways
@pytest.mark.parametrize("message", ["ecs", "cef", "template"])
def test_every_shape_of_text_arrives_as_it_was_sent(start: Start, way: str, message: str) -> None:
    daemon, records = shared(start), sampled()
    template = TEMPLATE if message == "template" else None
    target = settings(daemon, way, message=message, template=template, message_bytes=60_000)
    messages = delivered(daemon, target, records)
    assert len(messages) == len(records)
    for index, (found, record) in enumerate(zip(messages, records, strict=True)):
        text = found["text"].removeprefix(" ")  # rsyslog keeps RFC 3164's blank
        if message == "ecs":
            document = json.loads(text)
            assert document["log"]["offset"] == 10 * index
            assert document["service"]["name"] == "db-prod-7"
            assert document.get("db", {}).get("query", {}).get("text") == record.sqltext
            assert document.get("user", {}).get("name") == (record.user or None)
        elif message == "cef":
            assert text.startswith("CEF:0|audit-shipper|")
            assert f"|{record.kind}|" in text
        else:
            assert text.startswith(f"{record.kind} ")
            assert text.endswith(f" {SEGMENT} {10 * index}")


@both
@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_every_facility_and_priority(
    start: Start, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shipper.sink.wire.VERDICT_SECONDS", 0)  # 192 connections
    daemon = shared(start)
    since = daemon.output.stat().st_size
    assert (len(FACILITIES), len(PRIORITIES)) == (24, 8)
    for facility in FACILITIES:
        for priority in PRIORITIES:
            target = settings(daemon, way, facility=facility, priority=priority, ident="x-1")
            with closing(make_sink(target)) as sink:
                sink.deliver(batch(failed_login(f"{facility} {priority}")))
    messages = daemon.received(since, lambda found: len(found) >= 192)
    users = {json.loads(m["text"])["audit_record"]["user"]: m["pri"] for m in messages}
    assert users == {
        f"{facility} {priority}": str(8 * number + severity)
        for number, facility in enumerate(FACILITIES)
        for severity, priority in enumerate(PRIORITIES)
    }


def test_unix_finds_a_stream_socket_too() -> None:
    daemon = shared(syslog_ng)
    messages = delivered(daemon, Settings(path=str(daemon.stream)), [failed_login("by stream")])
    assert "by stream" in messages[0]["text"]


def test_lines_by_choice() -> None:
    daemon = shared(rsyslog)
    target = settings(daemon, "tcp", framing="lf", format="rfc3164")
    messages = delivered(daemon, target, [failed_login(HOSTILE), failed_login("eve")])
    users = [json.loads(message["text"])["audit_record"]["user"] for message in messages]
    assert users == [HOSTILE, "eve"]


@both
def test_a_long_statement_is_cut_to_what_the_daemon_takes(start: Start) -> None:
    daemon = shared(start)
    record = failed_login()
    record.sqltext = "select '漢' " * 5000
    (message,) = delivered(daemon, settings(daemon, "tcp"), [record])
    sql = json.loads(message["text"])["audit_record"]["sqltext"]
    kept, _, rest = sql.rpartition("...[")
    assert record.sqltext.startswith(kept)
    assert rest == f"{len(record.sqltext) - len(kept)} more]"


@both
@pytest.mark.parametrize("way", ["tcp", "tls", "unix-datagram"])
def test_a_daemon_that_restarted_costs_no_failed_delivery(start: Start, way: str) -> None:
    daemon = shared(start)
    since = daemon.output.stat().st_size
    with closing(make_sink(settings(daemon, way))) as sink:
        sink.deliver(batch(failed_login("before")))
        daemon.received(since, lambda found: len(found) == 1)
        with daemon.away():
            pass
        if way == "unix-datagram":  # where only sending tells
            with pytest.raises(UnavailableError, match="refused"):
                sink.deliver(batch(failed_login("after")))
        sink.deliver(batch(failed_login("after")))
    messages = daemon.received(since, lambda found: len(found) >= 2)
    users = [json.loads(message["text"])["audit_record"]["user"] for message in messages]
    assert users == ["before", "after"]


@both
def test_a_certificate_of_another_authority_is_not_trusted(start: Start, tmp_path: Path) -> None:
    daemon = shared(start)
    stranger = Authority(tmp_path)
    for tls in (Tls(ca_file=str(stranger.ca_file)), Tls()):
        target = Settings(transport="tls", host="127.0.0.1", port=daemon.tls, tls=tls)
        with closing(make_sink(target)) as sink:
            with pytest.raises(MisconfiguredError, match="not trusted"):
                sink.prepare()
            assert "not trusted" in " ".join(sink.check())


@both
def test_a_certificate_of_another_name_is_not_trusted(start: Start) -> None:
    daemon = shared(start)
    tls = Tls(ca_file=str(daemon.authority.ca_file), server_name="somebody.else")
    target = Settings(transport="tls", host="127.0.0.1", port=daemon.tls, tls=tls)
    with closing(make_sink(target)) as sink, pytest.raises(MisconfiguredError, match="Hostname"):
        sink.prepare()


@both
def test_a_server_that_wants_our_certificate_gets_no_record_without(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A refusal always comes; a slow machine only needs the patience.
    monkeypatch.setattr("shipper.sink.wire.TLS_VERDICT_SECONDS", 30)
    daemon = shared(start)
    since = daemon.output.stat().st_size
    stranger = Authority(tmp_path)
    certificate, key = stranger.pair("stranger")
    authority = str(daemon.authority.ca_file)
    pair = {"certificate_file": str(certificate), "key_file": str(key)}
    for tls, said in (
        (Tls(ca_file=authority), "wants a client certificate: set certificate_file"),
        (Tls(ca_file=authority, **pair), "client certificate"),
    ):
        target = Settings(transport="tls", host="127.0.0.1", port=daemon.mutual, tls=tls)
        with closing(make_sink(target)) as sink, pytest.raises(MisconfiguredError, match=said):
            sink.prepare()
        assert said in "".join(sink.check())
    monkeypatch.undo()
    with closing(make_sink(settings(daemon, "mutual"))) as sink:
        sink.deliver(batch(failed_login("welcome")))
    (message,) = daemon.received(since, lambda found: len(found) >= 1)
    assert "welcome" in message["text"]


def test_tls_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    target = Settings(transport="tls", host="x", tls=Tls(ca_file=str(tmp_path / "no.pem")))
    with closing(make_sink(target)) as sink, pytest.raises(MisconfiguredError, match=r"no\.pem"):
        sink.prepare()


@contextmanager
def receiver(serve: Callable[[socket.socket], None], *, receive_buffer: int = 0) -> Iterator[int]:
    """A receiver that treats each connection as `serve` says; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if receive_buffer:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def tcp_sink(port: int, **more: Any) -> Sink:
    return make_sink(Settings(transport="tcp", host="127.0.0.1", port=port, **more))


def flood(sink: Sink, record: AuditRecord) -> None:
    """More than all buffers on the way hold."""
    for _ in range(1000):
        sink.deliver(batch(*[record] * 100))


@contextmanager
def deaf_receiver(receive_buffer: int = 0) -> Iterator[int]:
    """A receiver that accepts and never reads."""
    done = threading.Event()
    with receiver(lambda _connection: done.wait() and None, receive_buffer=receive_buffer) as port:
        try:
            yield port
        finally:
            done.set()


def test_a_receiver_that_stops_reading_is_a_timeout() -> None:
    record = failed_login()
    record.sqltext = "x" * 7000
    with deaf_receiver() as port, closing(tcp_sink(port, timeout_seconds=0.3)) as sink:
        with pytest.raises(UnavailableError) as caught:
            flood(sink, record)
        assert caught.value.reason == "timeout"


def test_bytes_that_only_our_own_kernel_has_are_not_delivered() -> None:
    record = failed_login()
    record.sqltext = "x" * 7000
    with (
        deaf_receiver(receive_buffer=4096) as port,
        closing(tcp_sink(port, timeout_seconds=0.5)) as sink,
        pytest.raises(UnavailableError, match="stopped reading"),
    ):
        sink.deliver(batch(*[record] * 12))  # fits into the send buffer: the write succeeds


def test_a_receiver_that_left_with_our_bytes_unread_has_not_taken_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def serve(connection: socket.socket) -> None:
        await_readable(connection, 30)  # and close, which says that nobody will read this

    def acknowledged(connection: socket.socket, _timeout: float, _clock: object) -> None:
        await_readable(connection, 30)

    # The farewell may come after the acknowledgement; here it has come by then.
    monkeypatch.setattr("shipper.sink.syslog_net.drain", acknowledged)
    with (
        receiver(serve) as port,
        closing(tcp_sink(port)) as sink,
        pytest.raises(UnavailableError, match="send to 127"),
    ):
        sink.deliver(batch(failed_login()))


def test_a_receiver_that_resets_after_reading_a_part_has_not_taken_the_batch() -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(10)
        # Closing with unread bytes and no linger is a reset, as a crash is.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    record = failed_login()
    record.sqltext = "x" * 7000
    with (
        receiver(serve) as port,
        closing(tcp_sink(port)) as sink,
        pytest.raises(UnavailableError, match="send to 127"),
    ):
        flood(sink, record)


def test_a_farewell_is_noticed_before_anything_is_sent() -> None:
    received: list[bytes] = []
    leave, left = threading.Semaphore(0), threading.Semaphore(0)

    def serve(connection: socket.socket) -> None:
        received.append(connection.recv(65536))
        leave.acquire()
        connection.close()
        left.release()

    with receiver(serve) as port, closing(tcp_sink(port)) as sink:
        for user in ("first", "second", "third"):
            sink.deliver(batch(failed_login(user)))
            leave.release()
            assert left.acquire(timeout=30)
    users = [re.findall(rb'"user":"(\w+)"', text) for text in received]
    assert users == [[b"first"], [b"second"], [b"third"]]


def test_a_receiver_that_accepts_and_hangs_up_gets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hang_up = threading.Event()

    def patient(connection: socket.socket, _seconds: float) -> bool:
        hang_up.set()
        return await_readable(connection, 30)

    monkeypatch.setattr("shipper.sink.wire.await_readable", patient)
    with receiver(lambda _connection: hang_up.wait() and None) as port:
        try:
            with closing(tcp_sink(port)) as sink, pytest.raises(UnavailableError, match="at once"):
                sink.deliver(batch(failed_login()))
        finally:
            hang_up.set()


def test_dead_connections_are_given_up() -> None:
    with receiver(lambda connection: connection.recv(1) and None) as port:
        connection = connect(Address("127.0.0.1", port, timeout=7))
        with closing(connection):
            tcp = socket.IPPROTO_TCP
            assert connection.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 7000
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert connection.getsockopt(tcp, socket.TCP_KEEPIDLE) == 30


def test_the_largest_messages_fit_into_their_datagrams(tmp_path: Path) -> None:
    record = failed_login()
    record.sqltext = "x" * 300_000
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as local,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        local.bind(str(tmp_path / "log"))
        udp.bind(("127.0.0.1", 0))
        for server, target in (
            (udp, {"transport": "udp", "host": "127.0.0.1", "port": udp.getsockname()[1]}),
            (local, {"transport": "unix", "path": str(tmp_path / "log")}),
        ):
            limit = 65_507 if server is udp else 212_000
            reader: list[bytes] = []
            thread = threading.Thread(target=lambda s=server, r=reader: r.append(s.recv(400_000)))
            thread.start()
            with closing(make_sink(Settings(message_bytes=limit, **target))) as sink:  # type: ignore[arg-type]
                sink.deliver(batch(record))
            thread.join()
            assert len(reader[0]) == limit


def test_a_missing_socket_and_a_closed_port_are_told(tmp_path: Path) -> None:
    sink = make_sink(Settings(path=str(tmp_path / "log")))
    assert "No such file" in " ".join(sink.check())
    with pytest.raises(UnavailableError, match="No such file"):
        sink.prepare()
    with receiver(lambda _connection: None) as port:
        pass
    assert "refused" in " ".join(tcp_sink(port).check())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"transport": "tcp"}, "needs host"),
        ({"host": "x"}, "goes to path"),
        ({"facility": "LOG_LOCAL8"}, "none of LOG_KERN, LOG_USER"),
        ({"failed_login_priority": "high"}, "none of LOG_EMERG"),
        ({"transport": "tls", "host": "x", "framing": "lf"}, "always octet-counted"),
        ({"message": "template"}, "need each other"),
        ({"template": "{user}"}, "need each other"),
        ({"message": "template", "template": "{usr}"}, "none of timestamp"),
        ({"transport": "udp", "host": "x", "message_bytes": 70_000}, "at most 65507"),
        ({"ident": "x" * 40}, "32 characters"),
    ],
)
def test_settings_that_disagree_are_told(given: dict[str, Any], problem: str) -> None:
    assert problem in " ".join(Settings(**given).problems())


def test_the_defaults_are_the_plugins() -> None:
    target = Settings()
    assert (target.facility, target.ident, target.priority) == (
        "LOG_USER",
        "percona-audit",
        "LOG_INFO",
    )
    assert list(target.problems()) == []
