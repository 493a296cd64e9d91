"""Everything from the server to the person on call, for real: `make demo` and the proof.

MariaDB with its audit plugin writes a log; the shipper follows it as a process; Prometheus scrapes
the shipper with the rules that are shipped; Alertmanager notifies a webhook. As a program it runs
until Ctrl-C, with a burst of failed logins at the start.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import yaml
from servers import free_port
from servers.mariadb import MariaDb, mariadb
from servers.prometheus import Server, alertmanager, prometheus, rules
from servers.waiting import answers, until, until_ready

STOP_SECONDS = 60
# What docs/metrics.md recommends; the rule files say themselves that they are evaluated every 15 s.
SCRAPE_INTERVAL = "10s"
GROUP_WAIT = "10s"


class Webhook:
    """Receives notifications of Alertmanager; `changed` is notified of each."""

    def __init__(self, show: Callable[[dict[str, Any]], None] = lambda _alert: None) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.changed = threading.Condition()
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                with webhook.changed:
                    webhook.alerts += sent["alerts"]
                    webhook.changed.notify_all()
                for alert in sent["alerts"]:
                    show(alert)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], seconds: float
    ) -> dict[str, Any] | None:
        """The first notification that is wanted, or None when the time is over."""

        def found() -> dict[str, Any] | None:
            return next(filter(wanted, self.alerts), None)

        with self.changed:
            return self.changed.wait_for(found, seconds)


@dataclass
class Stack:
    """What is running."""

    server: MariaDb
    shipper: str  # URL of its HTTP endpoint
    prometheus: Server
    alertmanager: Server
    webhook: Webhook

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by its text."""
        with urllib.request.urlopen(f"{self.shipper}/metrics", timeout=10) as reply:
            lines = reply.read().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


@contextmanager
def shipper(folder: Path, server: MariaDb) -> Iterator[str]:
    """The shipper as a process of its own; gives the URL of its endpoint."""
    port = free_port()
    config = {
        "state": str(folder / "state"),
        "sources": [{"type": "file", "name": "mariadb", "path": str(server.log)}],
        "sinks": [
            {"type": "metrics"},
            {"type": "jsonl", "path": str(folder / "records.jsonl")},
        ],
        "http": {"host": "127.0.0.1", "port": port},
    }
    (folder / "state").mkdir(mode=0o700)
    file = folder / "shipper.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    with (folder / "shipper.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shipper", "run", "-c", str(file)],
            stdout=log,
            stderr=log,
            cwd=Path(__file__).parents[2],
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until_ready(process, lambda: answers(f"{url}/readyz"), folder / "shipper.log")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def stack(
    more_rules: Callable[[Path], list[Path]] = lambda _folder: [],
    show: Callable[[dict[str, Any]], None] = lambda _alert: None,
) -> Iterator[Stack]:
    """Start all of it; stop all of it, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="proof-"))
    with ExitStack() as running:
        running.callback(shutil.rmtree, folder)
        enter = running.enter_context
        webhook = enter(Webhook(show))
        server = enter(mariadb())
        url = enter(shipper(folder, server))
        alerts = enter(alertmanager(folder, webhook.url, GROUP_WAIT))
        target = url.removeprefix("http://")
        files = [*rules(), *more_rules(folder)]
        scraper = enter(prometheus(folder, target, alerts, interval=SCRAPE_INTERVAL, rules=files))
        _await_scrape(scraper)
        yield Stack(server, url, scraper, alerts, webhook)


def _await_scrape(scraper: Server) -> None:
    """Wait for the first scrape: what failed before it is a total, and no increase."""
    until(lambda: any(scraper.samples("up == 1").values()))


def guess(server: MariaDb, times: int, user: str = "victim") -> None:
    """Failed logins by the real client over TCP."""
    for number in range(times):
        server.sql("select 1", user=user, password=f"wrong-{number}", tcp=True)


def _show(alert: dict[str, Any]) -> None:
    now = datetime.now(UTC)
    labels = " ".join(f"{name}={value}" for name, value in sorted(alert["labels"].items()))
    print(f"{now:%H:%M:%S} {alert['status']}: {labels}", flush=True)


def main() -> None:
    """Run for a person until Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    print("starting MariaDB, the shipper, Prometheus and Alertmanager ...", flush=True)
    try:
        with stack(show=_show) as running:
            client = f"mariadb --protocol=tcp -h 127.0.0.1 -P {running.server.port}"
            print(
                f"metrics       {running.shipper}/metrics\n"
                f"Prometheus    {running.prometheus.url}/classic/alerts\n"
                f"Alertmanager  {running.alertmanager.url}/api/v2/alerts\n"
                f"audit log     {running.server.log}\n"
                f"fail a login  {client} -u victim -pwrong\n"
                "30 failed logins now; notifications follow within a minute. Ctrl-C ends it.",
                flush=True,
            )
            guess(running.server, 30)
            threading.Event().wait()
    except KeyboardInterrupt:
        print("\nstopped", flush=True)


if __name__ == "__main__":
    main()
