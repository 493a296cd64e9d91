"""A target that refuses us ends the daemon; with `refused_retry_seconds` it is only asked again."""

from __future__ import annotations

import signal
import sqlite3
import urllib.request
from pathlib import Path

import pytest
from app.running import JSONL, configure, daemon, scrape, users
from lane.logs import Log
from servers import free_port
from servers.waiting import until


class Refused:
    """A daemon's configuration with a good target, and one that is no store of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = Log(folder / "main.log")
        self.log.write(10)
        self.foreign = folder / "other.db"
        self.foreign.write_text("somebody's text, and no database\n" * 99)
        self._port = free_port()
        self.config = self.configure(self.foreign, seconds=0.3)

    def configure(self, store: Path, *, seconds: float, drain: int = 60) -> Path:
        archive = f"{{type: sqlite, name: archive, path: {store}}}"
        return configure(
            self.folder,
            sinks=f"{JSONL.format(folder=self.folder)}, {archive}",
            more=f"http: {{host: 127.0.0.1, port: {self._port}}}\n"
            f"refused_retry_seconds: {seconds}\ndrain_seconds: {drain}",
        )

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as reply:
            text: str = reply.read().decode()
            return text

    def metrics(self) -> str:
        return scrape(self._port)

    def records(self, store: Path) -> int:
        with sqlite3.connect(store) as connection:
            found: int = connection.execute("select count(*) from audit_data").fetchone()[0]
        connection.close()
        return found


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    return Refused(tmp_path)


def test_the_other_targets_and_the_process_live_on(refused: Refused) -> None:
    refused.configure(refused.foreign, seconds=0.3, drain=2)
    with daemon(refused.config) as running:
        running.says("asked again in 0.3 s")
        refused.log.write(5)
        until(lambda: users(refused.folder) == refused.log.users())
        # kubelet must not restart it, nor take the pod, and with it MySQL, out of its Service.
        assert refused.get("/livez") == "ok\n"
        assert refused.get("/readyz") == "ok\n"
        # Not known for the moment in which everything begins anew.
        until(lambda: 'audit_shipper_sink_up{sink="archive"} 0.0' in refused.metrics())
        assert "cannot open the store" in refused.get("/status.json")
        # A target that goes on to refuse is asked again and again.
        until(lambda: running.log.count("asked again") > 2)
        assert running.stop() == 4
        assert "not shipped to archive" in running.log
        assert "not shipped to jsonl" not in running.log
    refused.log.close()


@pytest.mark.parametrize("how", ["the target", "the configuration"])
def test_once_it_is_mended_everything_arrives(refused: Refused, how: str) -> None:
    """Nobody has to send a signal: a password's file is read anew too."""
    store = refused.foreign if how == "the target" else refused.folder / "mine.db"
    with daemon(refused.config) as running:
        running.says("asked again in 0.3 s")
        if how == "the target":
            refused.foreign.unlink()
        else:
            refused.configure(store, seconds=0.3)
        until(lambda: 'sink="archive"} 1.0' in _up(refused.metrics()))
        assert running.stop() == 0
    assert refused.records(store) > 0
    refused.log.close()


def test_an_end_asks_once_more_instead_of_leaving_what_would_be_taken_now(
    refused: Refused,
) -> None:
    refused.configure(refused.foreign, seconds=60)
    with daemon(refused.config) as running:
        running.says("asked again in 60 s")
        refused.foreign.unlink()
        assert running.stop() == 0
    assert refused.records(refused.foreign) == 10
    refused.log.close()


def _up(metrics: str) -> str:
    return "\n".join(line for line in metrics.splitlines() if "audit_shipper_sink_up{" in line)


def test_a_bad_configuration_meanwhile_changes_nothing(refused: Refused) -> None:
    with daemon(refused.config) as running:
        running.says("asked again")
        refused.config.write_text(refused.config.read_text().replace("sinks:", "sinsk:"))
        running.says("the configuration stays as it was")
        refused.foreign.unlink()
        until(lambda: 'sink="archive"} 1.0' in _up(refused.metrics()))
        assert running.stop() == 0
    refused.log.close()


def test_a_reload_whose_target_refuses_goes_back_all_the_same(refused: Refused) -> None:
    good = refused.folder / "mine.db"
    refused.configure(good, seconds=60)
    with daemon(refused.config) as running:
        running.says("opened")
        until(lambda: 'sink="archive"} 1.0' in _up(refused.metrics()))
        refused.configure(refused.foreign, seconds=60)
        running.signal(signal.SIGHUP)
        running.says("the configuration stays as it was")
        refused.log.write(5)
        until(lambda: refused.records(good) >= 15)
        assert running.stop() == 0
    refused.log.close()
