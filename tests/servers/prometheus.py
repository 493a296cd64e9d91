"""Real Prometheus and Alertmanager servers, with the rules that the project ships."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from servers import free_port, need
from servers.waiting import answers, until_ready

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alert-rules" / "prometheus"
READY_SECONDS = 60
POLL_SECONDS = 0.1


class Server:
    """A running server that speaks HTTP."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, output: Path) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.output = output

    def get(self, path: str, **query: str) -> Any:
        """The JSON of an API's answer."""
        encoded = f"?{urllib.parse.urlencode(query)}" if query else ""
        with urllib.request.urlopen(f"{self.url}{path}{encoded}", timeout=10) as reply:
            return json.load(reply)

    def post(self, path: str, body: object) -> None:
        """Send JSON to an API."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10):
            pass

    def samples(self, expression: str) -> dict[str, float]:
        """An instant query of Prometheus: labels as JSON -> value."""
        found = self.get("/api/v1/query", query=expression)["data"]["result"]
        return {json.dumps(one["metric"]): float(one["value"][1]) for one in found}

    def await_ready(self) -> None:
        """Wait until the server says that it is ready."""
        until_ready(self.process, lambda: answers(f"{self.url}/-/ready"), self.output)


@contextmanager
def _running(folder: Path, name: str, port: int, command: list[str]) -> Iterator[Server]:
    output = folder / f"{name}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        server = Server(process, port, output)
        server.await_ready()
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=READY_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def alertmanager(folder: Path, webhook: str, group_wait: str = "1s") -> Iterator[Server]:
    """An Alertmanager that sends everything to one webhook."""
    config = {
        "route": {
            "receiver": "test",
            "group_by": ["alertname", "namespace", "pod"],
            "group_wait": group_wait,
            "group_interval": "5s",
            "repeat_interval": "4h",
        },
        "receivers": [
            {"name": "test", "webhook_configs": [{"url": webhook, "send_resolved": True}]}
        ],
    }
    file = folder / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    with alertmanager_of(file, folder) as server:
        yield server


@contextmanager
def alertmanager_of(file: Path, folder: Path) -> Iterator[Server]:
    """An Alertmanager with a configuration, its data in a folder."""
    program = need("prometheus-alertmanager")
    port = free_port()
    command = [
        program,
        f"--config.file={file}",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _running(folder, "alertmanager", port, command) as server:
        yield server


@contextmanager
def prometheus(
    folder: Path, target: str, alerts_to: Server | None, *, interval: str, rules: list[Path]
) -> Iterator[Server]:
    """A Prometheus that scrapes one shipper, with the labels that the rules want."""
    scrape = {
        "job_name": "audit-shipper",
        "static_configs": [
            {"targets": [target], "labels": {"namespace": "demo", "pod": "mariadb-0"}}
        ],
    }
    config = {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(rule) for rule in rules],
        "scrape_configs": [scrape],
    }
    if alerts_to is not None:
        receivers = {"targets": [alerts_to.url.removeprefix("http://")]}
        config["alerting"] = {"alertmanagers": [{"static_configs": [receivers]}]}
    with prometheus_of(config, folder) as server:
        yield server


@contextmanager
def prometheus_of(config: dict[str, Any], folder: Path) -> Iterator[Server]:
    """A Prometheus with a configuration, its data in a folder."""
    program = need("prometheus")
    port = free_port()
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [
        program,
        f"--config.file={file}",
        f"--storage.tsdb.path={folder}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(folder, "prometheus", port, command) as server:
        yield server


def rules() -> list[Path]:
    """The rules as they are shipped."""
    return sorted(RULES.glob("*.rules.yml"))


def tenfold_rules(folder: Path) -> list[Path]:
    """The login rules with a tenth of their windows, so that a test sees them end.

    Expressions and thresholds stay what they are. Alerts carry `windows="tenth"` besides.
    """
    text = (RULES / "mysql-audit.rules.yml").read_text(encoding="utf-8")
    for window, tenth in (("5m", "30s"), ("15m", "90s")):
        for form in ("increase%s", "[%s]", "offset %s"):
            text = text.replace(form % window, form % tenth)
    document = yaml.safe_load(text)
    for group in document["groups"]:
        group["name"] += ".tenth"
        group["interval"] = "5s"
        for rule in group["rules"]:
            if "keep_firing_for" in rule:
                rule["keep_firing_for"] = "5s"
            if "alert" in rule:
                rule["labels"]["windows"] = "tenth"
    file = folder / "tenth.rules.yml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    return [file]
