"""Everything that goes wrong between the sink and a real server: nothing lost, nothing twice."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from clocks import FakeClock
from servers import free_port
from servers.proxy import Answer, Exchange, Fault, Proxy, Request, proxy, some_busy
from sink.blocks import SEGMENT, batch, failed_login
from sink.driving import drive
from sink.rigs.opensearch import OpenSearchRig, opensearch

from shipper.errors import MisconfiguredError, ShipperError, UnavailableError
from shipper.sink import Batch, Sink, Surroundings

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[OpenSearchRig]:
    with opensearch(tmp_path) as rig:
        yield rig


@pytest.fixture
def between(rig: OpenSearchRig) -> Iterator[Proxy]:
    with proxy(rig.server.url) as between:
        yield between


def behind(rig: OpenSearchRig, between: Proxy, **changes: Any) -> Sink:
    """A sink that goes through the proxy, prepared."""
    sink = rig.sink(**({"urls": (between.url,)} | changes))
    sink.prepare()
    return sink


def batches(count: int, records: int) -> list[Batch]:
    return [batch(*([failed_login()] * records), start=10 * records * at) for at in range(count)]


def once(count: int) -> Counter[tuple[str, int]]:
    return Counter({(SEGMENT, 10 * at): 1 for at in range(count)})


def first_bulk(action: Answer | Callable[[Exchange], None]) -> Fault:
    """A fault for the first bulk request only."""
    seen = threading.Event()

    def fault(request: Request) -> Answer | Callable[[Exchange], None] | None:
        if not request.is_bulk or seen.is_set():
            return None
        seen.set()
        return action

    return fault


def lose_the_answer(exchange: Exchange) -> None:
    exchange.forward()
    exchange.hang_up()


def cut_the_answer(exchange: Exchange) -> None:
    answer = exchange.forward()
    exchange.answer(answer, cut=len(answer.body) // 2)


def never_answer(exchange: Exchange) -> None:
    exchange.forward()
    exchange.until_gone()


def another_count(exchange: Exchange) -> None:
    answer = orjson.loads(exchange.forward().body)
    answer["items"].pop()
    exchange.answer(Answer(200, orjson.dumps(answer), JSON))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda exchange: exchange.hang_up(), "protocol"),
        (lambda exchange: exchange.send(b"\x15\x03\x01 not HTTP\r\n"), "protocol"),
        (lose_the_answer, "protocol"),
        (cut_the_answer, "protocol"),
        (another_count, "protocol"),
        (Answer(200, b"<html>please log in</html>", HTML), "protocol"),
        (Answer(200, b'{"errors":fal', JSON), "protocol"),
        (Answer(200, b"", JSON), "protocol"),
        (Answer(302, b"", {"location": "https://login.example/"}), "protocol"),
        (Answer(404, b"<html>nothing here</html>", HTML), "protocol"),
        (Answer(403, b"<html>no</html>", HTML), "protocol"),
        (Answer(503, b"<html>maintenance</html>", HTML), "unavailable"),
        (Answer(500, b"", HTML), "unavailable"),
        (Answer(429, b"slow down"), "throttled"),
    ],
)
def test_a_failed_request_is_sent_again_and_nothing_is_twice(
    rig: OpenSearchRig, between: Proxy, fault: Any, reason: str
) -> None:
    with closing(behind(rig, between)) as sink:
        first, second = batches(2, 20)
        sink.deliver(first)
        between.fault = first_bulk(fault)
        with pytest.raises(UnavailableError) as raised:
            sink.deliver(second)
        assert raised.value.reason == reason
        receipt = sink.deliver(second)
        assert receipt.new + receipt.duplicates == 20
    assert rig.held() == once(40)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(302, b"", {"location": "https://login.example/"}),
        Answer(404, b"<html>nothing here</html>", HTML),
        Answer(403, b"<html>no</html>", HTML),
        Answer(401, b"Unauthorized", HTML),
        Answer(200, b"<html>please log in</html>", HTML),
        Answer(200, b'{"errors":fal', JSON),
        Answer(200, b'{"acknowledged":true}', JSON),
        Answer(200, b'{"errors":false,"items":[]}', JSON),
    ],
)
def test_the_same_at_the_first_contact_is_a_wrong_url(
    rig: OpenSearchRig, between: Proxy, answer: Answer
) -> None:
    between.fault = lambda _request: answer
    with closing(rig.sink(urls=(between.url,), setup="off")) as sink:
        sink.prepare()
        with pytest.raises(MisconfiguredError):
            sink.deliver(batch(failed_login()))


def test_a_login_that_ends_stops_the_sink_whatever_was_before(
    rig: OpenSearchRig, between: Proxy
) -> None:
    with closing(behind(rig, between)) as sink:
        sink.deliver(batch(failed_login()))
        between.fault = lambda _request: Answer(401, b"Unauthorized")
        with pytest.raises(MisconfiguredError, match="the login was refused"):
            sink.deliver(batch(failed_login(), start=10))


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("86400", 300.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("soon", None),
        ("-1", None),
    ],
)
def test_retry_after_is_handed_on(
    rig: OpenSearchRig, between: Proxy, said: str, seconds: float | None
) -> None:
    # 22:13:20 on 14 November 2023
    sink = rig.sink(Surroundings(clock=FakeClock(1_700_000_000.0)), urls=(between.url,))
    with closing(sink):
        sink.prepare()
        between.fault = first_bulk(Answer(429, b"", {"retry-after": said}))
        with pytest.raises(UnavailableError) as raised:
            sink.deliver(batch(failed_login()))
    assert raised.value.retry_after == seconds


def test_a_peer_that_falls_silent_is_given_up(rig: OpenSearchRig, between: Proxy) -> None:
    """Half-open: the request arrives, even its effect is there, but no answer ever comes."""
    with closing(rig.sink()) as patient:
        patient.prepare()  # a second may be too little for setup
    with closing(behind(rig, between, read_seconds=1.0, setup="off")) as sink:
        between.fault = first_bulk(never_answer)
        with pytest.raises(UnavailableError) as raised:
            sink.deliver(batch(*[failed_login()] * 20))
        assert raised.value.reason == "timeout"
    with closing(rig.sink()) as patient:
        assert patient.deliver(batch(*[failed_login()] * 20)).duplicates == 20
    assert rig.held() == once(20)


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nx-waiting: ", b"."),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "head", "one that announces another"],
)
def test_an_answer_that_drips_has_a_deadline(
    rig: OpenSearchRig, between: Proxy, begin: bytes, drop: bytes
) -> None:
    def drip(exchange: Exchange) -> None:
        exchange.send(begin)
        while True:
            exchange.send(drop)
            exchange.pause(0.05)

    with closing(behind(rig, between, read_seconds=1.0, setup="off")) as sink:
        between.fault = first_bulk(drip)
        with pytest.raises(UnavailableError) as raised:
            sink.deliver(batch(failed_login()))
        assert raised.value.reason == "timeout"
    with closing(rig.sink()) as patient:
        assert patient.deliver(batch(failed_login())).new == 1


def test_an_answer_may_take_longer_than_connecting(rig: OpenSearchRig, between: Proxy) -> None:
    def slow(exchange: Exchange) -> None:
        exchange.pause(1.0)
        exchange.answer(exchange.forward())

    with closing(behind(rig, between, connect_seconds=0.5, setup="off")) as sink:
        sink.deliver(batch(failed_login()))
        between.fault = first_bulk(slow)
        assert sink.deliver(batch(failed_login(), start=10)).new == 1  # on a connection of before


def test_an_answer_without_an_end_is_cut_off(rig: OpenSearchRig, between: Proxy) -> None:
    def flood(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        while True:
            exchange.send(b" " * 1024 * 1024)

    with closing(behind(rig, between)) as sink:
        between.fault = first_bulk(flood)
        with pytest.raises(UnavailableError, match="an answer of more than") as raised:
            sink.deliver(batch(failed_login()))
        assert raised.value.reason == "protocol"
        assert sink.deliver(batch(failed_login())).new == 1


def test_nodes_are_tried_in_turn_and_the_good_one_is_kept(
    rig: OpenSearchRig, between: Proxy
) -> None:
    gone = f"http://127.0.0.1:{free_port()}"
    with closing(behind(rig, between, urls=(gone, between.url, rig.server.url))) as sink:
        assert sink.deliver(batch(failed_login())).new == 1
        assert len(between.bulks) == 1
        between.fault = lambda _request: Answer(503)
        assert sink.deliver(batch(failed_login(), start=10)).new == 1
        assert len(between.bulks) == 2
        # The third node answered, so it is asked first now.
        assert sink.deliver(batch(failed_login(), start=20)).new == 1
        assert len(between.bulks) == 2


@pytest.mark.parametrize(
    "said",
    [
        Answer(404, b"<html>nothing here</html>", HTML),
        Answer(200, b"<html>please log in</html>", HTML),
        Answer(500, b"", HTML),
        Answer(429, b"", HTML),
    ],
    ids=lambda said: str(said.status),
)
def test_a_node_that_answers_nonsense_is_not_the_only_one_to_be_asked(
    rig: OpenSearchRig, between: Proxy, said: Answer
) -> None:
    """A short absence of the good one must not leave us with the other for ever."""
    with proxy("http://127.0.0.1:9") as bad:
        bad.fault = lambda _request: said
        with closing(behind(rig, between, urls=(between.url, bad.url))) as sink:
            sink.deliver(batch(failed_login()))
            between.fault = lambda _request: Answer(503)
            with pytest.raises(UnavailableError):
                sink.deliver(batch(failed_login(), start=10))
            assert len(bad.bulks) == 1
            between.fault = lambda _request: None
            assert sink.deliver(batch(failed_login(), start=10)).new == 1
    assert rig.held() == once(2)


def test_without_any_node_it_is_an_outage(rig: OpenSearchRig) -> None:
    gone = tuple(f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with closing(rig.sink(urls=gone)) as sink:
        with pytest.raises(UnavailableError, match="cannot be reached"):
            sink.prepare()
        with pytest.raises(UnavailableError, match="cannot be reached"):
            sink.deliver(batch(failed_login()))
        assert "cannot be reached" in "".join(sink.check())


def test_a_storm_of_429_costs_no_request_of_its_own(rig: OpenSearchRig, between: Proxy) -> None:
    """Half of all requests refused for ten minutes of the lane's time."""
    chance, clock = random.Random(5), FakeClock()
    refused, due = 0, 0.0
    early: list[float] = []

    def storm(request: Request) -> Answer | None:
        nonlocal refused, due
        if request.is_bulk and clock.passed < due:
            early.append(clock.passed)
        if not request.is_bulk or clock.passed > 600 or chance.random() >= 0.5:
            return None
        refused += 1
        seconds = chance.randint(1, 20)
        due = clock.passed + seconds
        return Answer(429, b"", {"retry-after": str(seconds)})

    with closing(rig.sink(Surroundings(clock=clock), urls=(between.url,))) as sink:
        sink.prepare()
        between.fault = storm
        sent = batches(60, 20)
        receipts = drive(sink, sent, clock)
        assert sum(receipt.new for receipt in receipts) == 1200
    assert refused > 30
    # One request for each refusal, and none before the server wanted to see it.
    assert len(between.bulks) == len(sent) + refused
    assert early == []
    assert rig.held() == once(1200)


def test_busy_documents_are_sent_again_alone(rig: OpenSearchRig, between: Proxy) -> None:
    """Half of the documents of each request refused: each refusal costs one document more."""
    chance, clock = random.Random(7), FakeClock()
    busy = some_busy(0.5, chance.random)
    with closing(rig.sink(Surroundings(clock=clock), urls=(between.url,))) as sink:
        sink.prepare()
        between.fault = lambda request: busy if request.is_bulk else None
        receipts = drive(sink, batches(5, 200), clock)
        assert [(receipt.new, receipt.duplicates) for receipt in receipts] == [(200, 0)] * 5
    documents = sum(request.body.count(b"\n") // 2 for request in between.bulks)
    assert documents <= 1.2 * 2 * 1000  # a half, a quarter, an eighth … of the first time
    assert rig.held() == once(1000)


def test_requests_shrink_under_429_and_grow_again(rig: OpenSearchRig, between: Proxy) -> None:
    with closing(behind(rig, between)) as sink:
        most = sink.batch_bytes
        between.fault = lambda _request: Answer(429)
        for _ in range(10):
            with pytest.raises(UnavailableError):
                sink.deliver(batch(failed_login()))
        assert sink.batch_bytes == 256 * 1024
        between.fault = lambda _request: None
        for at in range(8):
            sink.deliver(batch(failed_login(), start=10 * at))
        assert sink.batch_bytes == most


def test_too_large_a_request_is_split_and_too_large_a_record_refused(
    rig: OpenSearchRig, between: Proxy
) -> None:
    limit = 20_000
    between.fault = lambda request: Answer(413) if len(request.body) > limit else None
    records = [failed_login() for _ in range(100)]
    records[37].sqltext = "x" * limit
    with closing(behind(rig, between)) as sink:
        receipt = sink.deliver(batch(*records))
        assert (receipt.new, receipt.duplicates) == (99, 0)
        ((offset, reason, detail, _),) = receipt.refusals
        assert (offset, reason) == (370, "too_large")
        assert "413" in detail
        before = len(between.bulks)
        # What was learnt is kept: no request runs into the limit again.
        sink.deliver(batch(*[failed_login()] * 100, start=10_000))
        assert all(len(request.body) <= limit for request in between.bulks[before:])
    assert len(rig.held()) == 199


def test_a_body_above_the_limit_is_cut_before_it_is_sent(
    rig: OpenSearchRig, between: Proxy
) -> None:
    with closing(behind(rig, between, body_bytes_max=64 * 1024)) as sink:
        assert sink.deliver(batch(*[failed_login()] * 500)).new == 500
    assert len(between.bulks) > 1
    assert all(len(request.body) <= 64 * 1024 for request in between.bulks)
    assert rig.held() == once(500)


POISONS = {
    "script": ({"source": "throw new IllegalArgumentException('not this one')"}, "not this one"),
    "fail": ({"message": "not this one"}, "not this one"),
    # The server answers 500 for this one and for the one above.
    "dissect": ({"field": "user.name", "pattern": "%{a}-%{b}"}, "dissect pattern"),
    "grok": ({"field": "user.name", "patterns": ["%{IP:a}"]}, "Grok"),
}


@pytest.mark.parametrize("kind", POISONS)
def test_one_bad_record_of_a_thousand_is_refused_and_later_replayed(
    rig: OpenSearchRig, kind: str
) -> None:
    """The server's own words come back; once the cause is gone, only that record is new."""
    pipeline = f"{rig.base}-check"
    options, words = POISONS[kind]
    processor = {kind: {"if": "ctx.user?.name == 'poison'"} | options}
    rig.server.call("PUT", f"/_ingest/pipeline/{pipeline}", {"processors": [processor]})
    records = [failed_login() for _ in range(1000)]
    records[500].user = "poison"
    with closing(rig.sink(pipeline=pipeline)) as sink:
        sink.prepare()
        receipt = sink.deliver(batch(*records))
        assert (receipt.new, receipt.duplicates) == (999, 0)
        ((offset, _, detail, document),) = receipt.refusals
        assert offset == 5000
        assert words in detail
        assert orjson.loads(document)["user"]["name"] == "poison"
        rig.server.call("PUT", f"/_ingest/pipeline/{pipeline}", {"processors": []})
        # A replay sends the record at its old place; the whole batch does no harm either.
        assert sink.deliver(batch(records[500], start=5000)).new == 1
        assert sink.deliver(batch(*records)).duplicates == 1000
    rig.server.call("DELETE", f"/_ingest/pipeline/{pipeline}")
    assert rig.held() == once(1000)


def test_a_mapping_that_contradicts_refuses_the_record_and_no_other(rig: OpenSearchRig) -> None:
    properties = {"mysql": {"properties": {"audit": {"properties": {"table": {"type": "long"}}}}}}
    body = {"template": {"mappings": {"properties": properties}}}
    rig.server.call("PUT", f"/_component_template/{rig.base}-custom", body)
    records = [failed_login() for _ in range(1000)]
    records[3].extra = {"table": "orders"}
    with closing(rig.sink()) as sink:
        sink.prepare()
        receipt = sink.deliver(batch(*records))
    assert receipt.new == 999
    ((offset, reason, detail, _),) = receipt.refusals
    assert (offset, reason) == (30, "mapping")
    assert "mysql.audit.table" in detail


def test_a_missing_pipeline_costs_no_record(rig: OpenSearchRig) -> None:
    with closing(rig.sink(pipeline="nowhere")) as sink:
        sink.prepare()
        with pytest.raises(MisconfiguredError, match="pipeline"):
            sink.deliver(batch(failed_login()))


@pytest.mark.parametrize("how", ["_close", "read_only", "write"])
def test_a_closed_or_blocked_index_is_waited_for(rig: OpenSearchRig, how: str) -> None:
    index = f"{rig.base}-2026.11.23"
    with closing(rig.sink()) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login()))
        if how == "_close":
            rig.server.call("POST", f"/{index}/_close")
        else:
            rig.server.call("PUT", f"/{index}/_settings", {f"index.blocks.{how}": True})
        with pytest.raises(UnavailableError) as raised:
            sink.deliver(batch(failed_login(), start=10))
        assert raised.value.reason == "rejected"
        if how == "_close":
            rig.server.call("POST", f"/{index}/_open")
        else:
            rig.server.call("PUT", f"/{index}/_settings", {f"index.blocks.{how}": None})
        assert sink.deliver(batch(failed_login(), start=10)).new == 1
    assert rig.held() == once(2)


def test_a_red_index_is_waited_for(rig: OpenSearchRig, between: Proxy) -> None:
    index = f"{rig.base}-2026.11.23"
    nowhere = {"settings": {"index.routing.allocation.require._name": "nowhere"}}
    rig.server.call("PUT", f"/{index}?wait_for_active_shards=0", nowhere)

    def impatient(exchange: Exchange) -> None:
        # The server waits a minute for the shard; not in a test.
        exchange.request.path += "&timeout=1s"
        exchange.answer(exchange.forward())

    with closing(behind(rig, between)) as sink:
        between.fault = lambda request: impatient if request.is_bulk else None
        with pytest.raises(UnavailableError, match="unavailable_shards"):
            sink.deliver(batch(failed_login()))
        rig.server.call(
            "PUT", f"/{index}/_settings", {"index.routing.allocation.require._name": None}
        )
        rig.server.call("GET", f"/_cluster/health/{index}?wait_for_status=yellow")
        assert sink.deliver(batch(failed_login())).new == 1


def test_a_shard_limit_is_waited_for(rig: OpenSearchRig) -> None:
    shards = rig.server.call("GET", "/_cluster/health")["active_shards"]
    setting = "cluster.max_shards_per_node"
    with closing(rig.sink()) as sink:
        sink.prepare()
        rig.server.call("PUT", "/_cluster/settings", {"transient": {setting: max(shards, 1)}})
        try:
            with pytest.raises(UnavailableError) as raised:
                sink.deliver(batch(failed_login()))
            assert raised.value.reason == "rejected"
        finally:
            rig.server.call("PUT", "/_cluster/settings", {"transient": {setting: None}})
        assert sink.deliver(batch(failed_login())).new == 1


def test_a_node_that_crashes_has_everything_once(rig: OpenSearchRig) -> None:
    clock = FakeClock()
    with closing(rig.sink(Surroundings(clock=clock))) as sink:
        sink.prepare()
        sent = batches(30, 20)
        drive(sink, sent[:10], clock)
        rig.server.stop(signal.SIGKILL)
        with pytest.raises(UnavailableError):
            sink.deliver(sent[10])
        rig.server.start()
        # Some of what was there before is sent again, as after a lost cursor.
        receipts = drive(sink, sent[5:], clock)
        assert sum(receipt.duplicates for receipt in receipts) == 100
    assert rig.held() == once(600)


def test_several_requests_at_once_through_a_storm(rig: OpenSearchRig, between: Proxy) -> None:
    """As a lane with requests in flight does it: several threads, one sink."""
    chance = random.Random(3)
    lock = threading.Lock()

    def storm(request: Request) -> Any:
        if not request.is_bulk:
            return None
        with lock:
            faults = [Answer(429), lose_the_answer, cut_the_answer, lambda e: e.hang_up()]
            return chance.choice([None, None, None, *faults])

    errors: list[ShipperError] = []
    with closing(behind(rig, between)) as sink:
        between.fault = storm
        sent = batches(60, 10)

        def work(share: list[Batch]) -> None:
            try:
                drive(sink, share, FakeClock())
            except ShipperError as error:
                errors.append(error)

        threads = [
            threading.Thread(target=work, args=(sent[number :: sink.in_flight],))
            for number in range(sink.in_flight)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not errors
    assert rig.held() == once(600)
