"""The daemon as an operator runs it: a process with a configuration file."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from servers.waiting import until

SECONDS_MAX = 120  # of a busy machine
FILE = (
    "{{type: file, name: {name}, path: {folder}/{name}.log, poll_seconds: 0.05, "
    "settle_seconds: 0.2}}"
)
JSONL = "{{type: jsonl, path: '{folder}/{{source}}.jsonl'}}"


def configure(folder: Path, *, sources: str = "", sinks: str = "", more: str = "") -> Path:
    """Write a configuration; `sources` and `sinks` are YAML lists in flow style, without [ ]."""
    sources = sources or FILE.format(folder=folder, name="main")
    sinks = sinks or JSONL.format(folder=folder)
    path = folder / "shipper.yaml"
    path.write_text(
        f"state: {folder}/state\nsources: [{sources}]\nsinks: [{sinks}]\n"
        f"drain_idle_seconds: 0.3\n{more}\n"
    )
    return path


class Daemon:
    """A running daemon."""

    def __init__(self, process: subprocess.Popen[bytes], errors: Path) -> None:
        self.process = process
        self._errors = errors

    @property
    def log(self) -> str:
        return self._errors.read_text()

    def says(self, text: str) -> None:
        """Wait until its log has this."""

        def said() -> bool:
            assert self.process.poll() is None or text in self.log, self.log
            return text in self.log

        until(said)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end; its exit status."""
        self.signal(signal.SIGTERM)
        return self.process.wait(timeout=SECONDS_MAX)


@contextmanager
def daemon(config: Path, stdin: Path | None = None) -> Iterator[Daemon]:
    """Start it; a test that did not stop it has failed, and then it is killed."""
    errors = config.with_name("stderr")
    command = [sys.executable, "-m", "shipper", "run", "-c", str(config)]
    with (stdin or Path("/dev/null")).open("rb") as given, errors.open("wb") as file:
        process = subprocess.Popen(command, stdin=given, stderr=file)
    try:
        yield Daemon(process, errors)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def scrape(port: int) -> str:
    """Give /metrics, once the daemon has them."""

    def answer() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
                text: str = reply.read().decode()
                return text
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 503:
                    raise
            return ""

    return until(answer)


def users(folder: Path, source: str = "main") -> list[str]:
    """The users of the records that a source's file of lines has."""
    path = folder / f"{source}.jsonl"
    whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
    documents: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]
    return [document["user"] for document in documents if "user" in document]
