"""The daemon with every kind of input: what real tools send and store arrives, once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conftest import SAMPLES
from servers import need
from source.archives import gzip, openssl
from source.listening import eventually

JSON = SAMPLES / "percona-json/percona_8.0_json_logins.json"
XML = SAMPLES / "percona-old/percona_8.0_old_Z.xml"
CSV = SAMPLES / "percona-csv/percona_5.7_csv.csv"


@contextmanager
def daemon(folder: Path) -> Iterator[None]:
    """Run it; at the end ask it to stop, which it must do with status 0."""
    command = [sys.executable, "-m", "shipper", "run", "-c", folder / "shipper.yaml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors


def shipped(folder: Path, source: str) -> list[dict[str, Any]]:
    """What a source's sink has, without the place that it had in its file."""
    path = folder / f"{source}.jsonl"
    if not path.exists():
        return []
    whole, _, _ = path.read_text().rpartition("\n")
    return [bare(json.loads(line)) for line in whole.splitlines()]


def bare(document: dict[str, Any]) -> dict[str, Any]:
    dropped = ("span", "segment", "source", "extra")
    return {key: value for key, value in document.items() if key not in dropped}


def expected(sample: Path) -> list[dict[str, Any]]:
    lines = Path(f"{sample}.expected.jsonl").read_text().splitlines()
    return [bare(json.loads(line)) for line in lines]


def configure(folder: Path, *sources: str) -> None:
    listed = "\n".join(f"- {source}" for source in sources)
    sink = f"- {{type: jsonl, path: '{folder}/{{source}}.jsonl'}}"
    (folder / "shipper.yaml").write_text(
        f"state: {folder}/state\nsources:\n{listed}\nsinks:\n{sink}\ndrain_idle_seconds: 0.2\n"
    )


def test_pipe_and_syslog_arrive_also_after_a_restart(tmp_path: Path) -> None:
    local, pipe = tmp_path / "socket", tmp_path / "fifo"
    configure(tmp_path, f"{{type: syslog, unix: {local}}}", f"{{type: fifo, path: {pipe}}}")
    records = JSON.read_text().splitlines()
    for times in (1, 2):
        with daemon(tmp_path):
            eventually(lambda: pipe.exists() and local.exists())
            for record in records:
                tag = ["-t", "percona-audit", "-p", "user.info"]
                subprocess.run([need("logger"), "-u", local, *tag, record], check=True)
            subprocess.run(["sh", "-c", 'cat "$0" > "$1"', XML, pipe], check=True)
        # What was handed over before the stop is delivered before the end.
        assert shipped(tmp_path, "syslog") == expected(JSON) * times
        assert shipped(tmp_path, "fifo") == expected(XML) * times


def test_archives_are_caught_up_with_and_not_again_after_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    (tmp_path / "password").write_text("secret\n")
    log.write_bytes(JSON.read_bytes())
    (tmp_path / "audit.log.1.gz").write_bytes(gzip(XML.read_bytes()))
    encrypted = openssl(gzip(CSV.read_bytes()), password="secret")
    (tmp_path / "audit.log.2.gz.20180110T130749-1.enc").write_bytes(encrypted)
    secret = f"passwords: {{default_file: {tmp_path}/password}}"
    configure(tmp_path, f"{{type: file, path: {log}, {secret}}}")
    samples = (CSV, XML, JSON)
    whole = [document for sample in samples for document in expected(sample)]
    with daemon(tmp_path):
        eventually(lambda: len(shipped(tmp_path, "file")) >= len(whole))
    with log.open("ab") as file:
        file.write(JSON.read_bytes())
    with daemon(tmp_path):
        eventually(lambda: len(shipped(tmp_path, "file")) >= len(whole) + len(expected(JSON)))
    arrived = shipped(tmp_path, "file")
    assert sorted(map(str, arrived)) == sorted(map(str, whole + expected(JSON)))
    assert arrived[-len(expected(JSON)) :] == expected(JSON)
