"""The Fluentd sink against real receivers, and against one that misbehaves."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgpack
import pytest
from servers import free_port
from servers.certificates import Authority
from servers.forward import Receiver, node_receiver, otel_receiver, secured_receiver
from servers.shared import shared
from sink.blocks import SEGMENT, batch, failed_login
from sink.rigs.fluentd import login, settings
from sink.test_syslog import sampled

from shipper.document.ecs import EcsEncoder, Place
from shipper.document.percona import percona
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.model import QUERY, AuditRecord
from shipper.notices import Mended, Notice, Trouble
from shipper.sink import Sink, Surroundings, make_sink
from shipper.sink.fluentd import Server, Settings
from shipper.sink.fluentd_servers import AVOID_SECONDS
from shipper.sink.wire import Tls

both = pytest.mark.parametrize(
    "start", [node_receiver, otel_receiver], ids=lambda start: start.__name__
)
Start = Callable[[], Any]


@both
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("document", ["ecs", "percona"])
def test_every_sample_arrives_as_it_was_sent(start: Start, compress: bool, document: str) -> None:  # noqa: FBT001
    receiver, records = shared(start), sampled()
    since = receiver.size()
    target = settings(receiver, document=document, compress=compress)
    with closing(make_sink(target, Surroundings(instance="db-prod-7"))) as sink:
        sink.deliver(batch(*records))
    events = receiver.received(since, lambda found: len(found) >= len(records))
    assert len(events) == len(records)
    (block,) = batch(*records).blocks
    place = Place(SEGMENT, "audit.log", instance="db-prod-7")
    lines = EcsEncoder(place).documents(block).splitlines()
    for index, (event, record) in enumerate(zip(events, records, strict=True)):
        expected = {**percona(record), "segment": SEGMENT, "offset": 10 * index}
        if document == "ecs":
            expected = json.loads(lines[index])
            assert expected["service"]["name"] == "db-prod-7"
        assert event["record"] == expected
        assert event["tag"] == "mysql.audit"


def test_times_are_those_of_the_events() -> None:
    receiver = shared(node_receiver)
    since = receiver.size()
    with closing(make_sink(settings(receiver))) as sink:
        sink.deliver(batch(failed_login(at="2026-11-23T10:00:00.123456Z")))
    (event,) = receiver.received(since, lambda found: len(found) >= 1)
    assert (event["seconds"], event["nanoseconds"]) == (1_795_428_000, 123_456_000)


@both
def test_tags_by_template(start: Start) -> None:
    receiver = shared(start)
    since = receiver.size()
    query = AuditRecord(kind=QUERY, name="Query", sqltext="select 1", format="mariadb")
    target = settings(receiver, tag="mysql.{instance}.{kind}")
    with closing(make_sink(target, Surroundings(instance="db1"))) as sink:
        sink.deliver(batch(failed_login(), query, failed_login(), query))
    events = receiver.received(since, lambda found: len(found) >= 4)
    assert sorted(event["tag"] for event in events) == [
        *["mysql.db1.connect"] * 2,
        *["mysql.db1.query"] * 2,
    ]


def test_several_batches_at_once_all_arrive() -> None:
    receiver = shared(node_receiver)
    since = receiver.size()
    with closing(make_sink(settings(receiver, connections=4))) as sink:
        assert sink.in_flight == 4
        with ThreadPoolExecutor(4) as threads:
            batches = [batch(*[failed_login()] * 50, start=500 * index) for index in range(20)]
            receipts = list(threads.map(sink.deliver, batches))
    assert sum(receipt.new for receipt in receipts) == 1000
    events = receiver.received(since, lambda found: len(found) >= 1000)
    assert {event["record"]["offset"] for event in events} == set(range(0, 10_000, 10))
    assert len(events) == 1000


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"shared_key": "wrong"}, "refuses us"),
        ({"password": "wrong"}, "refuses us"),
        ({"username": "nobody"}, "refuses us"),
        ({"tls": Tls()}, "not trusted"),
        ({"tls": Tls(server_name="somebody.else")}, "not trusted"),
    ],
)
def test_who_may_not_in_is_told_why(wrong: dict[str, Any], message: str) -> None:
    receiver, authority = shared(secured_receiver)
    if wrong.get("tls", Tls()).server_name:
        wrong = {"tls": Tls(ca_file=str(authority.ca_file), server_name="somebody.else")}
    since = receiver.size()
    with closing(make_sink(settings(receiver, **login(authority, **wrong)))) as sink:
        with pytest.raises(MisconfiguredError, match=message) as caught:
            sink.deliver(batch(failed_login()))
        assert "right" not in str(caught.value)
        assert "a shared key" not in str(caught.value)
    with closing(make_sink(settings(receiver, **login(authority)))) as sink:
        sink.deliver(batch(failed_login("welcome")))
    (event,) = receiver.received(since, lambda found: len(found) >= 1)
    assert event["record"]["audit_record"]["user"] == "welcome"


def test_check_tells_what_is_wrong_with_each_server(tmp_path: Path) -> None:
    receiver, authority = shared(secured_receiver)
    target = settings(receiver, **login(authority, shared_key="wrong"))
    closed = Server(host="127.0.0.1", port=free_port())
    both_servers = Settings(
        servers=(*target.servers, closed), tls=target.tls, shared_key="wrong", timeout_seconds=30
    )
    problems = make_sink(both_servers).check()
    assert len(problems) == 2
    assert "refuses us" in problems[0]
    assert "refused" in problems[1]
    stranger = Authority(tmp_path)
    target = settings(receiver, **login(authority, tls=Tls(ca_file=str(stranger.ca_file))))
    assert "not trusted" in " ".join(make_sink(target).check())


class Clock:
    """Time that moves when the test says so, but for what is waited on a socket."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        self.seconds += seconds
        return stop.is_set()


def test_a_second_server_stands_in_and_the_first_is_gone_back_to() -> None:
    notices: list[Notice] = []
    clock = Clock()
    with node_receiver() as first:
        second = shared(node_receiver)
        target = settings(first, second, name="central")
        with closing(make_sink(target, Surroundings(clock=clock, tell=notices.append))) as sink:
            sink.deliver(batch(failed_login()))
            assert users(first, 0, 1) == ["bob"]
            since = second.size()
            with first.away():
                sink.deliver(batch(failed_login("while away")))
                assert users(second, since, 1) == ["while away"]
            since_first = first.size()
            sink.deliver(batch(failed_login("still there")))
            assert users(second, since, 2) == ["while away", "still there"]
            with second.away():  # its failure brings the first back, although it failed lately
                sink.deliver(batch(failed_login("back")))
            assert users(first, since_first, 1) == ["back"]
            clock.seconds += AVOID_SECONDS + 1
    troubles = [notice for notice in notices if isinstance(notice, Trouble)]
    mended = [notice for notice in notices if isinstance(notice, Mended)]
    assert [f":{first.port}:" in t.detail for t in troubles] == [True, False]
    assert [f":{first.port} " in m.detail for m in mended] == [True]
    assert {notice.sink for notice in (*troubles, *mended)} == {"central"}


def users(receiver: Receiver, since: int, count: int) -> list[str]:
    events = receiver.received(since, lambda found: len(found) >= count)
    return [event["record"]["audit_record"]["user"] for event in events]


def test_no_server_at_all_is_unavailable_and_one_that_refuses_does_not_end_the_process() -> None:
    receiver, authority = shared(secured_receiver)
    closed = Server(host="127.0.0.1", port=free_port())
    wrong = settings(receiver, **login(authority, shared_key="wrong"))
    for servers in ((closed,), (closed, *wrong.servers), (*wrong.servers, closed)):
        target = Settings(servers=servers, tls=wrong.tls, shared_key="wrong", timeout_seconds=30)
        with closing(make_sink(target)) as sink, pytest.raises(UnavailableError, match="refused"):
            sink.prepare()


class Scripted:
    """A server that does with each message what the script says next."""

    def __init__(self, *script: Callable[[socket.socket, str], None]) -> None:
        self.script = list(script)
        self.users: list[str] = []  # of all records that ever came
        self.chunks: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        unpacker = msgpack.Unpacker()
        while data := connection.recv(65536):
            unpacker.feed(data)
            for _, body, options in unpacker:
                entries = msgpack.Unpacker()
                entries.feed(body)
                self.users += [record["audit_record"]["user"] for _, record in entries]
                self.chunks.append(options["chunk"])
                self.script.pop(0)(connection, options["chunk"])


def good(connection: socket.socket, chunk: str) -> None:
    connection.sendall(msgpack.packb({"ack": chunk}))


def silent(_connection: socket.socket, _chunk: str) -> None:
    pass


def wrong(connection: socket.socket, _chunk: str) -> None:
    connection.sendall(msgpack.packb({"ack": "of something else"}))


def twice(connection: socket.socket, chunk: str) -> None:
    connection.sendall(msgpack.packb({"ack": chunk}) * 2)


def hangs_up(connection: socket.socket, _chunk: str) -> None:
    connection.shutdown(socket.SHUT_RDWR)


def says(data: bytes) -> Callable[[socket.socket, str], None]:
    return lambda connection, _chunk: connection.sendall(data)


@contextmanager
def scripted(server: Scripted, **more: Any) -> Iterator[Sink]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                thread = threading.Thread(target=attend, args=(connection,))
                threads.append(thread)
                thread.start()

        def attend(connection: socket.socket) -> None:
            with connection:
                try:
                    server.serve(connection)
                except OSError:
                    return

        threads = [threading.Thread(target=accept)]
        threads[0].start()
        address = Server(host="127.0.0.1", port=listener.getsockname()[1])
        more = {"document": "percona", "ack_timeout_seconds": 30, **more}
        try:
            with closing(make_sink(Settings(servers=(address,), **more))) as sink:
                yield sink
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (silent, "timeout"),
        (wrong, "protocol"),
        (hangs_up, "unavailable"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol"),
        (says(b"\xc1"), "protocol"),
        (says(b"\xdb\xff\xff\xff\xff" + b"x" * 100_000), "protocol"),
        (says(msgpack.packb([1, [2, [3]]])), "protocol"),
    ],
    ids=["no ack", "wrong ack", "hangs up", "http", "no msgpack", "endless", "other msgpack"],
)
def test_without_the_right_ack_a_batch_is_sent_again(fault: Any, reason: str) -> None:
    server = Scripted(fault, good, good)
    patience = 0.3 if fault is silent else 30
    with scripted(server, ack_timeout_seconds=patience) as sink:
        with pytest.raises(UnavailableError) as caught:
            sink.deliver(batch(failed_login("once"), failed_login("twice")))
        assert caught.value.reason == reason
        sink.deliver(batch(failed_login("once"), failed_login("twice")))
        sink.deliver(batch(failed_login("later"), start=20))
    assert server.users == ["once", "twice", "once", "twice", "later"]
    assert server.chunks[0] == server.chunks[1] != server.chunks[2]


def test_an_ack_that_comes_too_late_is_not_taken_for_another() -> None:
    late: list[tuple[socket.socket, str]] = []

    def later(connection: socket.socket, chunk: str) -> None:
        late.append((connection, chunk))

    def with_the_late_one(connection: socket.socket, chunk: str) -> None:
        late.append((connection, chunk))
        for waiting, old in late:
            try:
                good(waiting, old)
            except OSError:  # the sink has closed that connection
                assert waiting is not connection

    server = Scripted(later, with_the_late_one, good)
    with scripted(server, ack_timeout_seconds=2) as sink:
        with pytest.raises(UnavailableError, match="timed out"):
            sink.deliver(batch(failed_login("a")))
        sink.deliver(batch(failed_login("a")))
        sink.deliver(batch(failed_login("b"), start=10))
    assert server.users == ["a", "a", "b"]


def test_an_ack_more_than_was_asked_for_is_noticed() -> None:
    server = Scripted(twice, good, good)
    with scripted(server) as sink:
        sink.deliver(batch(failed_login("a")))
        with pytest.raises(UnavailableError) as caught:
            sink.deliver(batch(failed_login("b"), start=10))
        assert caught.value.reason == "protocol"
        sink.deliver(batch(failed_login("b"), start=10))
    assert set(server.users) == {"a", "b"}


def test_a_part_of_a_batch_that_was_acknowledged_is_sent_again_with_the_rest() -> None:
    server = Scripted(good, hangs_up, good, good)
    query = AuditRecord(kind=QUERY, user="q", timestamp="2026-11-23T10:00:00Z")
    with scripted(server, tag="mysql.{kind}") as sink:
        with pytest.raises(UnavailableError):
            sink.deliver(batch(failed_login("c"), query))
        assert sink.deliver(batch(failed_login("c"), query)).new == 2
    assert server.users == ["c", "q", "c", "q"]


def test_a_server_that_wants_a_login_is_told_of() -> None:
    class Asking(Scripted):
        def serve(self, connection: socket.socket) -> None:
            connection.sendall(msgpack.packb(["HELO", {"nonce": b"n", "auth": b""}]))
            while connection.recv(65536):
                pass

    with (
        scripted(Asking()) as sink,
        pytest.raises(MisconfiguredError, match="wants us to log in: set shared_key"),
    ):
        sink.deliver(batch(failed_login()))
    with scripted(Asking()) as sink:
        (finding,) = sink.check()
        assert "wants us to log in: set shared_key" in finding


@both
def test_check_finds_nothing_where_no_login_is_wanted(start: Start) -> None:
    assert list(make_sink(settings(shared(start))).check()) == []


def test_a_real_server_that_wants_a_login_takes_nothing_without() -> None:
    receiver, authority = shared(secured_receiver)
    since = receiver.size()
    target = settings(receiver, tls=Tls(ca_file=str(authority.ca_file)))
    # This one may hang up before it has asked.
    refused = (MisconfiguredError, UnavailableError)
    with closing(make_sink(target)) as sink, pytest.raises(refused):
        sink.deliver(batch(failed_login()))
    assert len(make_sink(target).check()) == 1
    with closing(make_sink(settings(receiver, **login(authority)))) as sink:
        sink.deliver(batch(failed_login("welcome")))
    assert users(receiver, since, 1) == ["welcome"]


def test_an_impostor_gets_no_records() -> None:
    """It does not know the shared key, and says that we may come in."""
    heard: list[bytes] = []

    class Impostor(Scripted):
        def serve(self, connection: socket.socket) -> None:
            connection.sendall(msgpack.packb(["HELO", {"nonce": b"n", "auth": b""}]))
            heard.append(connection.recv(65536))
            connection.sendall(msgpack.packb(["PONG", True, "", "server", "0" * 128]))
            heard.append(connection.recv(65536))

    with (
        scripted(Impostor(), shared_key="key") as sink,
        pytest.raises(MisconfiguredError, match="does not know the shared key"),
    ):
        sink.deliver(batch(failed_login()))
    assert heard[0].startswith(b"\x96\xa4PING")
    assert heard[1] == b""


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"servers": ()}, "name at least one"),
        ({"tag": "{user}"}, "none of kind"),
        ({"username": "u"}, "need each other"),
        ({"username": "u", "password": "p"}, "needs shared_key"),
    ],
)
def test_settings_that_disagree_are_told(given: dict[str, Any], problem: str) -> None:
    target = Settings(**{"servers": (Server(host="x"),), **given})
    assert problem in " ".join(target.problems())
