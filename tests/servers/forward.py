"""Real receivers of the forward protocol, both with acknowledgements.

`node_receiver`: the server of npm's @fluent-org/logger; handshake, TLS, all modes.
`otel_receiver`: an OpenTelemetry collector with its fluentforward receiver and debug exporter.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers import free_port, need, need_file
from servers.certificates import Authority
from servers.waiting import listens, until_ready

FOLDER = Path(__file__).parents[2] / ".servers/forward"
COLLECTOR = FOLDER / "otelcol-v0.164.0"
MODULES = FOLDER / "node_modules"
STOP_SECONDS = 30
VISIBLE_SECONDS = 30
POLL_SECONDS = 0.02
Event = dict[str, Any]  # tag, seconds, record


class Receiver(ABC):
    """A forward receiver; it can be killed and started again at the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.output = folder / "output"
        self.output.touch()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def events(self, output: bytes) -> list[Event]:
        """What it printed."""

    def start(self) -> None:
        with self.output.open("ab") as output, (self.folder / "errors").open("ab") as errors:
            merged = subprocess.STDOUT if isinstance(self, Collector) else errors
            self._process = subprocess.Popen(self.command(), stdout=output, stderr=merged)
        log = self.output if isinstance(self, Collector) else self.folder / "errors"
        until_ready(self._process, lambda: listens(self.port), log)

    def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            (process.kill if kill else process.terminate)()
            process.wait(timeout=STOP_SECONDS)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Killed while the context lasts."""
        self.stop(kill=True)
        try:
            yield
        finally:
            self.start()

    def size(self) -> int:
        """Bytes of its output so far; events behind it are later ones."""
        return self.output.stat().st_size

    def received(self, since: int, enough: Callable[[list[Event]], bool]) -> list[Event]:
        """The events behind byte `since`, as soon as they are enough, or time is over."""
        deadline = time.monotonic() + VISIBLE_SECONDS
        while True:
            with self.output.open("rb") as file:
                file.seek(since)
                events = self.events(file.read())
            if enough(events) or time.monotonic() > deadline:
                return events
            threading.Event().wait(POLL_SECONDS)


class Node(Receiver):
    def __init__(self, folder: Path, **security: Any) -> None:
        super().__init__(folder)
        self._security = security

    def command(self) -> list[str]:
        settings = {"modules": str(FOLDER), "port": self.port, **self._security}
        script = Path(__file__).with_suffix(".mjs")
        return [need("node"), str(script), json.dumps(settings, default=str)]

    def events(self, output: bytes) -> list[Event]:
        whole, _, _ = output.rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]


_RECORD = re.compile(r"^LogRecord #\d+$", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^     -> ([^:\n]+): (\w+)\((.*)\)$", re.MULTILINE)
_BODY = re.compile(r"^Body: Map\((.*)\)$", re.MULTILINE)
_TIME = re.compile(r"^Timestamp: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)", re.MULTILINE)


class Collector(Receiver):
    def command(self) -> list[str]:
        configuration = self.folder / "collector.yaml"
        configuration.write_text(f"""
receivers: {{fluentforward: {{endpoint: "127.0.0.1:{self.port}"}}}}
exporters: {{debug: {{verbosity: detailed, sampling_initial: 1000000, use_internal_logger: false}}}}
service:
  telemetry: {{metrics: {{level: none}}, logs: {{level: error}}}}
  pipelines: {{logs: {{receivers: [fluentforward], exporters: [debug]}}}}
""")
        return [str(COLLECTOR), f"--config={configuration}"]

    def events(self, output: bytes) -> list[Event]:
        return [self._event(text) for text in _RECORD.split(output.decode())[1:]]

    def _event(self, text: str) -> Event:
        record = {
            name: json.loads(value) if kind in {"Map", "Slice", "Int", "Double"} else value
            for name, kind, value in _ATTRIBUTE.findall(text)
        }
        body = _BODY.search(text)
        if body is not None:
            record["log"] = json.loads(body[1])  # the collector takes this key for the message
        found = _TIME.search(text)
        return {
            "tag": record.pop("fluent.tag", None),
            "time": found and found[1],
            "record": record,
        }


@contextmanager
def _running(make: Callable[[Path], Receiver]) -> Iterator[Receiver]:
    folder = Path(tempfile.mkdtemp(prefix="forward-"))
    try:
        receiver = make(folder)
        try:
            receiver.start()
            yield receiver
        finally:
            receiver.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def node_receiver(**security: Any) -> Iterator[Receiver]:
    """`security`: sharedKey, users (name -> password), key and cert files."""
    need("node")
    need_file(MODULES / "@fluent-org")
    with _running(lambda folder: Node(folder, **security)) as receiver:
        yield receiver


KEY = "a shared key"
USER, PASSWORD = "shipper", "right"


@contextmanager
def secured_receiver() -> Iterator[tuple[Receiver, Authority]]:
    """With TLS, a shared key and an account."""
    folder = Path(tempfile.mkdtemp(prefix="certificates-"))
    try:
        authority = Authority(folder)
        cert, key = authority.pair("localhost")
        with node_receiver(sharedKey=KEY, users={USER: PASSWORD}, key=key, cert=cert) as receiver:
            yield receiver, authority
    finally:
        shutil.rmtree(folder)


@contextmanager
def otel_receiver() -> Iterator[Receiver]:
    need_file(COLLECTOR)
    with _running(Collector) as receiver:
        yield receiver
