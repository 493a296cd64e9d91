"""Kill the daemon between detection and delivery, with targets that come and go; compare alerts.

    python tests/crash/alerts.py [--kills 100] [--seed 1]

A server's log grows and rotates while addresses guess at accounts. What has to come out is what the
detector says of the whole log in one go. In the end each of these alerts is in OpenSearch and in
SQLite exactly once, in the JSON lines and in syslog at least once, and nothing else is. Exit status
1 where not.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from command import audit_shipper
from servers.opensearch import shared as opensearch
from servers.proxy import Answer, Proxy, Request, proxy
from servers.shared import shared, stop_shared
from servers.syslog import Daemon, rsyslog
from servers.waiting import until
from sink.rigs.opensearch import OpenSearchRig

from shipper.decode import FORMATS, Decoder
from shipper.detect import Detector
from shipper.lane.identify import segment_of

INSTANCE = "crash"
BEGIN = datetime(2026, 11, 23, 23, 50, tzinfo=UTC)
ROTATE_LINES = 900
PAUSE_SECONDS = 0.02
LINES = 4  # at once; every 25 of them an attack
CONFIG = """\
state: {folder}/state
instance: crash
sources:
- {{type: file, name: main, path: {folder}/audit.log, poll_seconds: 0.02, settle_seconds: 0.3}}
sinks:
- {{type: metrics}}
- {{type: opensearch, alerts: on, urls: ['{url}'], index: '{base}-%Y.%m.%d', retention: off}}
- {{type: sqlite, alerts: on, path: {folder}/audit.db}}
- {{type: jsonl, alerts: only, path: {folder}/alerts.jsonl}}
- {{type: syslog, alerts: only, transport: tcp, host: 127.0.0.1, port: {port}, message: ecs}}
drain_seconds: 120
"""


class Attacked(threading.Thread):
    """A server that everybody tries; each address makes a burst, and goes."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.files = [path]  # the oldest first
        self.ending = threading.Event()
        self._lines = 0

    def run(self) -> None:
        file = self.path.open("ab", buffering=0)
        try:
            while not self.ending.wait(PAUSE_SECONDS):
                file.write("".join(self._line() for _ in range(LINES)).encode())
                if self._lines // ROTATE_LINES >= len(self.files):
                    rotated = self.path.with_name(f"audit.log.{len(self.files):04}")
                    self.path.rename(rotated)
                    self.files.insert(-1, rotated)
                    file.close()
                    file = self.path.open("ab", buffering=0)
        finally:
            file.close()

    def _line(self) -> str:
        number = self._lines
        self._lines += 1
        at = BEGIN + timedelta(seconds=number / 2)  # midnight comes after 1,200
        attack = number // 25
        client = f"203.0.{attack // 200}.{attack % 200}"
        user = f"user{attack}\\'\\n"
        return f"{at:%Y%m%d %H:%M:%S},db1,{user},{client},{number},0,FAILED_CONNECT,,,1045\n"


def expected(files: Iterable[Path]) -> set[str]:
    """The ids of what the detector finds in the whole log, in one go and one process."""
    detector = Detector()
    found: set[str] = set()
    for path in files:
        data = path.read_bytes()
        decoder = Decoder(FORMATS)
        for block in (decoder.feed(data), decoder.finish()):
            name = segment_of(data[: data.index(b"\n") + 1], INSTANCE)
            found.update(detection.id for detection in detector.see(block, name))
    return found


@dataclass
class Outcome:
    """What came of a run."""

    kills: int
    expected: set[str]
    indexed: Counter[str]
    stored: Counter[str]
    lines: Counter[str]
    messages: Counter[str]
    verified: str

    def complaints(self) -> list[str]:
        once = dict.fromkeys(self.expected, 1)
        found = [
            f"{name}: {len(self.expected - held.keys())} lost, "
            f"{sum(count > 1 for count in held.values())} twice, "
            f"{len(held.keys() - self.expected)} unknown"
            for name, held in (("OpenSearch", self.indexed), ("SQLite", self.stored))
            if held != once
        ]
        found += [
            f"{name}: {len(self.expected ^ held.keys())} lost or unknown"
            for name, held in (("lines", self.lines), ("syslog", self.messages))
            if held.keys() != self.expected
        ]
        return found if self.verified.startswith("complete") else [*found, self.verified]


class Story:
    """The daemon, its log and its targets."""

    def __init__(self, folder: Path, rig: OpenSearchRig, between: Proxy, siem: Daemon) -> None:
        self._folder = folder
        self._rig = rig
        self._between = between
        self._siem = siem
        self._since = siem.output.stat().st_size
        self._config = folder / "shipper.yaml"
        text = CONFIG.format(folder=folder, url=between.url, base=rig.base, port=siem.tcp)
        self._config.write_text(text)

    def run(self, kills: int, seed: int) -> Outcome:
        chance = random.Random(seed)
        log = Attacked(self._folder / "audit.log")
        log.start()
        try:
            for number in range(kills):
                # Every other life finds OpenSearch away: what it detects must outlive it.
                self._between.fault = _away if number % 2 == 0 else _here
                if number == kills // 2:
                    with self._siem.away():
                        self._life(chance.uniform(1.0, 3.0))
                else:
                    self._life(chance.uniform(0.5, 3.0))
        finally:
            log.ending.set()
            log.join()
        self._between.fault = _here
        return self._judge(kills, expected(log.files))

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "shipper", "run", "-c", str(self._config)]
        with (self._folder / "daemon.log").open("ab") as errors:
            return subprocess.Popen(command, stderr=errors)

    def _life(self, seconds: float) -> None:
        """Let it live so long from the moment that it has found something new, and kill it."""
        daemon = self._start()
        try:
            found = self._findings()
            until(lambda: self._findings() > found or daemon.poll() is not None)
            with suppress(subprocess.TimeoutExpired):
                daemon.wait(timeout=seconds)
            assert daemon.poll() is None, (self._folder / "daemon.log").read_text()[-3000:]
        finally:
            daemon.kill()
            daemon.wait()

    def _findings(self) -> int:
        folder = self._folder / "state/findings/main"
        paths = list(folder.iterdir()) if folder.exists() else []
        return sum(path.stat().st_size for path in paths)

    def _judge(self, kills: int, wanted: set[str]) -> Outcome:
        log = self._folder / "daemon.log"
        said = log.stat().st_size
        daemon = self._start()
        try:
            # The life before may have stored all: then this one must be there to be asked to end.
            until(lambda: log.stat().st_size > said and len(self._stored()) >= len(wanted))
            daemon.terminate()
            status = daemon.wait(timeout=180)
        finally:
            if daemon.poll() is None:
                daemon.kill()
                daemon.wait()
        assert status == 0, f"{status}: {log.read_text()[-3000:]}"
        verified = audit_shipper("verify", "-c", self._config).stdout.decode().splitlines()
        return Outcome(
            kills=kills,
            expected=wanted,
            indexed=self._indexed(),
            stored=self._stored(),
            lines=self._lines(),
            messages=self._messages(wanted),
            verified=verified[-1],
        )

    def _indexed(self) -> Counter[str]:
        server, base = self._rig.server, self._rig.base
        server.call("POST", f"/{base}*/_refresh")
        query = {"size": 10_000, "query": {"term": {"event.kind": "alert"}}}
        hits: list[Any] = server.ask(f"/{base}*/_search", query)["hits"]["hits"]
        assert all(hit["_id"] == hit["_source"]["event"]["id"] for hit in hits)
        return Counter(hit["_source"]["event"]["id"] for hit in hits)

    def _stored(self) -> Counter[str]:
        path = self._folder / "audit.db"
        if not path.exists():
            return Counter()
        query = "SELECT json_extract(info, '$.audit_record.record') FROM audit_data"
        with closing(sqlite3.connect(path)) as store:
            return Counter(id_ for (id_,) in store.execute(f"{query} WHERE kind = 'alert'"))

    def _lines(self) -> Counter[str]:
        text = (self._folder / "alerts.jsonl").read_text()
        return Counter(json.loads(line)["record"] for line in text.splitlines())

    def _messages(self, wanted: set[str]) -> Counter[str]:
        def ids(messages: list[dict[str, Any]]) -> list[str]:
            return [json.loads(message["text"])["event"]["id"] for message in messages]

        return Counter(ids(self._siem.received(self._since, lambda found: {*ids(found)} >= wanted)))


def _away(_request: Request) -> Answer:
    return Answer(503)


def _here(_request: Request) -> None:
    """Let it through."""


def story(folder: Path, kills: int, seed: int) -> Outcome:
    """Run one story in an empty folder."""
    rig = OpenSearchRig(opensearch("core"))
    try:
        with proxy(rig.server.url) as between:
            return Story(folder, rig, between, shared(rsyslog)).run(kills, seed)
    finally:
        rig.remove()


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="crash-") as folder:
            outcome = story(Path(folder), arguments.kills, arguments.seed)
    finally:
        stop_shared()
    wrong = outcome.complaints()
    repeated = outcome.lines.total() - len(outcome.lines)
    print(
        f"{outcome.kills} kills, {len(outcome.expected)} alerts: {outcome.indexed.total()} in "
        f"OpenSearch, {outcome.stored.total()} in SQLite, {outcome.lines.total()} lines "
        f"({repeated} repeated), {outcome.messages.total()} messages; {outcome.verified}"
    )
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
