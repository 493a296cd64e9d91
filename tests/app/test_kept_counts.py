"""Counts that outlive a process never show less, or nothing: that would be a burst to a rule."""

from __future__ import annotations

import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.running import configure, daemon
from prometheus_client.parser import text_string_to_metric_families
from servers import free_port
from servers.waiting import until

FAILURES = 30
WATCHED = ("mysql_audit_connects", "mysql_audit_connect_failures_by_source")


# An answer that is there and has no count. To a rule the series is then younger than its target:
# its whole value is an increase.
EMPTY = (-1.0,)


def counts(port: int) -> tuple[float, ...]:
    """The sum of each watched family; () where nobody answers, or not well."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return ()
    families = (one for one in text_string_to_metric_families(text) if one.name in WATCHED)
    sums = (sum(sample.value for sample in one.samples) for one in families if one.samples)
    return tuple(sums) or EMPTY


class Watch:
    """Asks without a pause, as no Prometheus would, and keeps each different answer."""

    def __init__(self, port: int) -> None:
        self.seen: set[tuple[float, ...]] = set()
        self.answers = 0
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.seen.add(counts(self._port))
            self.answers += 1

    def waits_for(self, more: int) -> None:
        wanted = self.answers + more
        until(lambda: self.answers >= wanted)

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


def test_neither_a_reload_nor_a_restart_shows_less(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "main.log").write_text(
        "".join(
            f"20261126 10:00:{second:02},db1,eve,10.0.0.{second},{second},0,FAILED_CONNECT,,,1045\n"
            for second in range(FAILURES)
        )
    )
    http = f"http: {{host: 127.0.0.1, port: {port}}}"
    config = configure(tmp_path, sinks="{type: metrics}", more=http)
    kept = (FAILURES, FAILURES)
    watch = Watch(port)
    with daemon(config) as shipper:
        until(lambda: counts(port) == kept)
        with watch.watching():
            for _ in range(3):
                before = shipper.log.count("opened")
                shipper.signal(signal.SIGHUP)
                until(lambda before=before: shipper.log.count("opened") > before)
                watch.waits_for(5)
            assert shipper.stop() == 0
            with daemon(config) as again:
                until(lambda: counts(port) == kept)
                watch.waits_for(5)
                again.stop()
    assert watch.seen <= {(), kept}
    assert kept in watch.seen
