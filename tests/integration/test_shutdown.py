"""Server and shipper are told to stop at the same moment, as a pod's containers are.

A real MariaDB writes until its end; what it wrote must reach the index, or be named as left over
and reach it after the next start.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import yaml
from command import audit_shipper
from servers import free_port
from servers.mariadb import MariaDb, mariadb
from sink.rigs.opensearch import OpenSearchRig, shared

GRACE_SECONDS = 30  # what Kubernetes gives a pod when nobody says otherwise
WORKING_SECONDS_MAX = 60
POLL_SECONDS = 0.1
COMPLETE, UNFINISHED = 0, 4

# Three servers start and stop here, on a machine that may do other things.
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def index() -> Iterator[OpenSearchRig]:
    rig = OpenSearchRig(shared())
    yield rig
    rig.remove()


def configured(folder: Path, log: Path, url: str, index: OpenSearchRig, **more: object) -> Path:
    path = folder / "shipper.yaml"
    config = {
        "state": str(folder / "state"),
        "http": {"host": "127.0.0.1", "port": free_port()},
        "instance": "db/mysql-0",
        "sources": [{"type": "file", "path": str(log)}],
        "sinks": [
            {
                "type": "opensearch",
                "urls": [url],
                "index": f"{index.base}-%Y.%m.%d",
                "retention": "off",
            }
        ],
        **more,
    }
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        await_ready(process, yaml.safe_load(config.read_text())["http"]["port"])
        yield process
    finally:
        process.kill()
        process.communicate()


def await_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Until /readyz says so, as the startup probe of a native sidecar waits."""
    for _ in range(int(WORKING_SECONDS_MAX / POLL_SECONDS)):
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5).close()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=POLL_SECONDS)
            break
    _out, err = process.communicate()
    raise AssertionError(err.decode())


class Clients:
    """Clients that log in, work and are refused, until the server takes no more."""

    def __init__(self, server: MariaDb) -> None:
        self._server = server
        self._busy = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        rounds = 0
        while self._server.sql("select 'a long day'", user="root").returncode == 0:
            self._server.sql("select 1", user="guest", password="guess", tcp=True)
            rounds += 1
            if rounds == 3:
                self._busy.set()

    def await_busy(self) -> None:
        assert self._busy.wait(WORKING_SECONDS_MAX)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(WORKING_SECONDS_MAX)
            assert not thread.is_alive()


def stopped_together(server: MariaDb, shipper: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Tell both at once, while clients work; give the shipper's status and words."""
    clients = Clients(server)
    clients.await_busy()
    server_id = int((server.folder / "pid").read_text())
    shipper.send_signal(signal.SIGTERM)
    os.kill(server_id, signal.SIGTERM)
    clients.join()
    _out, err = shipper.communicate(timeout=GRACE_SECONDS + WORKING_SECONDS_MAX)
    return shipper.returncode, err.decode()


def written(log: Path) -> list[tuple[int, str | None, int | None]]:
    """What the whole log says, by an independent reading of the file."""
    run = audit_shipper("decode", log)
    assert run.returncode == 0, run.stderr
    records = map(orjson.loads, run.stdout.splitlines())
    return sorted((each["span"][0], each.get("user"), each.get("status")) for each in records)


def indexed(index: OpenSearchRig) -> list[int]:
    return sorted(hit["_source"]["log"]["offset"] for hit in index.documents())


def test_everything_is_drained_to_the_last_byte(tmp_path: Path, index: OpenSearchRig) -> None:
    with mariadb() as server:
        config = configured(tmp_path, server.log, index.server.url, index)
        with running(config) as shipper:
            status, words = stopped_together(server, shipper)
            assert status == COMPLETE, words
        spans = [offset for offset, _user, _status in written(server.log)]
        assert indexed(index) == spans
        verified = audit_shipper("verify", "-c", config)
        assert verified.returncode == 0, verified.stdout


def test_a_dead_target_leaves_a_named_remainder_and_no_gap(
    tmp_path: Path, index: OpenSearchRig
) -> None:
    with mariadb() as server:
        nobody = f"http://127.0.0.1:{free_port()}"
        dead = configured(tmp_path, server.log, nobody, index, drain_seconds=3)
        with running(dead) as shipper:
            status, words = stopped_together(server, shipper)
        size = server.log.stat().st_size
        assert status == UNFINISHED, words
        assert f"{size:,} bytes of {server.log} not shipped to opensearch" in words
        assert indexed(index) == []
        again = configured(tmp_path, server.log, index.server.url, index)
        with running(again) as shipper:
            shipper.send_signal(signal.SIGTERM)
            _out, err = shipper.communicate(timeout=WORKING_SECONDS_MAX)
            assert shipper.returncode == COMPLETE, err
        assert indexed(index) == [offset for offset, _user, _status in written(server.log)]
