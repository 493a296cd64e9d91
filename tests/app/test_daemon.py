"""The daemon's life, seen from outside: signals, exit statuses, and what its state says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from app.disks import fill, remount
from app.running import FILE, JSONL, SECONDS_MAX, configure, daemon, users
from command import audit_shipper
from lane.logs import Log
from servers import free_port
from servers.waiting import until


def test_a_reload_whose_target_refuses_goes_back(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    config = configure(tmp_path)
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        (tmp_path / "other.db").write_text("somebody's text, and no database\n" * 99)
        refused = f"{{type: sqlite, path: {tmp_path}/other.db}}"
        configure(tmp_path, sinks=f"{JSONL.format(folder=tmp_path)}, {refused}")
        running.signal(signal.SIGHUP)
        running.says("the configuration stays as it was")
        log.write(5)
        until(lambda: users(tmp_path) == log.users())
        assert running.stop() == 0
    log.close()


def test_one_life(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    config = configure(tmp_path)
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        # A second one is refused, and told which process it would disturb.
        second = audit_shipper("run", "-c", config)
        assert second.returncode == 3
        assert f"process {running.process.pid}".encode() in second.stderr
        checked = audit_shipper("check", "-c", config)
        assert checked.returncode == 1
        assert f"a daemon runs on {tmp_path}/state".encode() in checked.stdout

        # A bad configuration changes nothing; a good one takes effect, for old records too.
        config.write_text(config.read_text().replace("sinks:", "sinsk:"))
        running.signal(signal.SIGHUP)
        running.says("the configuration stays as it was")
        configure(tmp_path, more="log: {format: json}")
        running.signal(signal.SIGHUP)
        running.says("log cannot change while running: restart instead")
        pipe = f"{{type: fifo, path: {tmp_path}/missing/pipe}}"
        configure(tmp_path, sources=f"{FILE.format(folder=tmp_path, name='main')}, {pipe}")
        running.signal(signal.SIGHUP)
        running.says("cannot open the pipe")
        log.write(5)
        until(lambda: users(tmp_path) == log.users())
        configure(
            tmp_path,
            sinks=f"{JSONL.format(folder=tmp_path)}, {{type: jsonl, name: other, "
            f"path: {tmp_path}/other.jsonl}}",
        )
        running.signal(signal.SIGHUP)
        until(lambda: users(tmp_path, "other") == log.users())

        # Standing still while the log is renamed twice loses nothing.
        running.signal(signal.SIGSTOP)
        for number in (1, 2):
            log.write(20)
            log.rename_and_flush(f"main.log.{number}")
        log.write(20)
        running.signal(signal.SIGCONT)
        until(lambda: users(tmp_path) == log.users())

        # What the server writes during the drain is still shipped.
        running.signal(signal.SIGTERM)
        log.write(3)
        assert running.process.wait(timeout=60) == 0, running.log
    log.close()
    assert users(tmp_path) == users(tmp_path, "other") == log.users()

    assert_accounted_for(tmp_path, config)


def assert_accounted_for(tmp_path: Path, config: Path) -> None:
    """Of 78 records in three generations, in two sinks."""
    verified = audit_shipper("verify", "--state", tmp_path / "state")
    assert verified.returncode == 0
    assert verified.stdout.splitlines()[-1] == b"complete: 3 segments, 156 records acknowledged"
    reports = json.loads(audit_shipper("status", "-c", config, "--json").stdout)
    (report,) = (each for each in reports if each["source"] == "main")
    lanes = {lane["sink"]: lane for lane in report["lanes"]}
    assert {name: lane["records"] for name, lane in lanes.items()} == {"jsonl": 78, "other": 78}
    assert all(lane["behind_bytes"] == 0 for lane in lanes.values())
    table = audit_shipper("status", "-c", config).stdout.decode()
    assert "main" in table
    assert "78" in table


def test_a_target_that_is_down_at_the_end_is_stated_with_what_remains(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    log.close()
    down = f"{{type: syslog, transport: tcp, host: 127.0.0.1, port: {free_port()}}}"
    sinks = f"{JSONL.format(folder=tmp_path)}, {down}"
    config = configure(tmp_path, sinks=sinks, more="drain_seconds: 1")
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        running.says("Connection refused")
        assert running.stop() == 4
        size = (tmp_path / "main.log").stat().st_size
        stated = f"main: {size:,} bytes of {tmp_path}/main.log not shipped to syslog"
        assert stated in running.log
    verified = audit_shipper("verify", "-c", config)
    assert verified.returncode == 1
    assert f"main → syslog: {size:,} bytes are not shipped yet".encode() in verified.stdout
    assert verified.stdout.splitlines()[-1].startswith(b"NOT complete")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_the_last_line_says_which_sink_ended_it(tmp_path: Path, format_: str) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    log.close()
    (tmp_path / "other.db").write_text("somebody's text, and no database\n" * 99)
    refused = f"{{type: sqlite, name: archive, path: {tmp_path}/other.db}}"
    sinks = f"{JSONL.format(folder=tmp_path)}, {refused}"
    config = configure(tmp_path, sinks=sinks, more=f"log: {{format: {format_}}}")
    done = audit_shipper("run", "-c", config)
    assert done.returncode == 3
    last = done.stderr.decode().splitlines()[-1]
    if format_ == "json":
        fatal = json.loads(last)
        assert fatal["detail"].startswith(f"cannot open the store {tmp_path}/other.db")
        found = (fatal["level"], fatal["event"], fatal["source"], fatal["sink"])
        assert found == ("error", "fatal", "main", "archive")
    else:
        assert f" ERROR fatal source=main sink=archive cannot open the store {tmp_path}" in last


def test_two_workers_share_the_sources_and_end_together(tmp_path: Path) -> None:
    logs = {name: Log(tmp_path / f"{name}.log") for name in ("one", "two")}
    sources = ", ".join(FILE.format(folder=tmp_path, name=name) for name in logs)
    config = configure(tmp_path, sources=sources, more="workers: 2")
    with daemon(config) as running:
        for name, log in logs.items():
            log.write(10 if name == "one" else 20)
        until(lambda: all(users(tmp_path, name) == log.users() for name, log in logs.items()))
        owners = {(tmp_path / "state" / f"lock.{index}").read_text() for index in (0, 1)}
        assert len(owners) == 2
        assert audit_shipper("run", "-c", config).returncode == 3
        # A worker that dies takes the other one down in order, and whoever supervises sees it.
        killed = owners.pop().strip()
        os.kill(int(killed), signal.SIGKILL)
        assert running.process.wait(timeout=60) == 128 + signal.SIGKILL
        assert f"ERROR fatal a worker (process {killed}) was ended by SIGKILL" in running.log
    for log in logs.values():
        log.write(5)
        log.close()
    with daemon(config) as running:
        until(lambda: all(users(tmp_path, name) == log.users() for name, log in logs.items()))
        assert running.stop() == 0, running.log


def test_workers_whose_parent_was_killed_keep_others_out(tmp_path: Path) -> None:
    sources = ", ".join(FILE.format(folder=tmp_path, name=name) for name in ("one", "two"))
    config = configure(tmp_path, sources=sources, more="workers: 2")
    locks = [tmp_path / "state" / f"lock.{index}" for index in (0, 1)]
    with daemon(config) as running:
        until(lambda: all(lock.exists() and lock.read_text() for lock in locks))
        running.signal(signal.SIGKILL)
        running.process.wait()
    try:
        alone = config.with_name("alone.yaml")
        alone.write_text(config.read_text().replace("workers: 2", "workers: 1"))
        refused = audit_shipper("run", "-c", alone)
        assert refused.returncode == 3
        workers = ", ".join(sorted(lock.read_text().strip() for lock in locks))
        gone = f"workers of process {running.process.pid}, which is gone: {workers}"
        assert gone in refused.stderr.decode()
    finally:
        for lock in locks:
            os.kill(int(lock.read_text()), signal.SIGTERM)
    until(lambda: audit_shipper("check", "-c", config).returncode == 0)


def test_standard_input_is_shipped_to_its_end_and_then_the_daemon_ends(tmp_path: Path) -> None:
    log = Log(tmp_path / "input")
    log.write(500)
    log.close()
    config = configure(tmp_path, sources="{type: stdin, name: main}")
    with daemon(config, stdin=log.path) as running:
        assert running.process.wait(timeout=60) == 0, running.log
    assert users(tmp_path) == log.users()
    # The next start knows that all of it is shipped, and gives its space back.
    with daemon(config) as running:
        assert running.process.wait(timeout=60) == 0, running.log
    assert users(tmp_path) == log.users()
    assert not [path for path in (tmp_path / "state/spool/main").iterdir() if path.stat().st_size]


def test_a_reload_after_the_end_of_standard_input_ends_nothing(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(5)
    sources = f"{FILE.format(folder=tmp_path, name='main')}, {{type: stdin, name: input}}"
    config = configure(tmp_path, sources=sources)
    with daemon(config) as running:  # whose standard input is over at once
        until(lambda: users(tmp_path) == log.users())
        for number in range(3):
            more = f"{{type: jsonl, name: s{number}, path: '{tmp_path}/{{source}}-{number}.jsonl'}}"
            sinks = f"{JSONL.format(folder=tmp_path)}, {more}"
            configure(tmp_path, sources=sources, sinks=sinks)
            running.signal(signal.SIGHUP)
            log.write(5)
            until(lambda name=f"main-{number}": users(tmp_path, name) == log.users())
        assert running.process.poll() is None
        assert running.stop() == 0
    log.close()


def test_a_state_that_somebody_deletes_under_the_daemon(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    config = configure(tmp_path)
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        shutil.rmtree(tmp_path / "state")
        log.write(10)
        running.says(f"the state {tmp_path}/state/main.db was deleted")
        running.says("can save the position again")
        until(lambda: users(tmp_path) == log.users())
        assert running.stop() == 0
    with daemon(config) as running:  # which remembers: nothing comes twice
        log.write(1)
        until(lambda: users(tmp_path) == log.users())
        assert running.stop() == 0
    log.close()


def test_a_state_that_another_one_made_is_not_written_over(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    config = configure(tmp_path)
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        shutil.rmtree(tmp_path / "state")
        with daemon(config) as other:
            other.says("opened")
            log.write(10)
            assert running.process.wait(timeout=SECONDS_MAX) == 3, running.log
    log.close()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a file system needs root")
def test_a_state_on_a_disk_that_becomes_full_and_read_only(tmp_path: Path, disk: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    there = f"{{type: jsonl, name: there, path: {disk}/there.jsonl}}"
    config = configure(tmp_path, sinks=f"{JSONL.format(folder=tmp_path)}, {there}")
    config.write_text(config.read_text().replace(f"{tmp_path}/state", f"{disk}/state"))
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        fill(disk)
        stop = threading.Event()
        writer = threading.Thread(target=write_on, args=(log, stop))
        writer.start()
        try:
            running.says("cannot save the position")
            running.says(f"cannot write to {disk}/there.jsonl: No space left on device")
        finally:
            stop.set()
            writer.join()
        (disk / "filler").unlink()
        until(lambda: set(users(tmp_path)) == set(log.users()))
        running.says("can save the position again")
        until(lambda: set(users(disk, "there")) == set(log.users()))
        assert len(users(disk, "there")) == log.number
        assert running.stop() == 0, running.log
    assert audit_shipper("verify", "--state", disk / "state").returncode == 0
    remount(disk, "ro")
    refused = audit_shipper("run", "-c", config)
    assert refused.returncode == 2
    assert b"Read-only file system" in refused.stderr
    assert b"cannot be written" in audit_shipper("check", "-c", config).stdout
    remount(disk, "rw")
    log.write(10)
    with daemon(config) as running:
        until(lambda: set(users(tmp_path)) == set(log.users()))
        assert running.stop() == 0, running.log
    log.close()


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a file system needs root")
def test_a_state_on_a_disk_that_is_read_only_can_be_looked_at(tmp_path: Path, disk: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(10)
    config = configure(tmp_path)
    config.write_text(config.read_text().replace(f"{tmp_path}/state", f"{disk}/state"))
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        assert running.stop() == 0, running.log
    remount(disk, "ro")
    looked = audit_shipper("verify", "-c", config)
    remount(disk, "rw")
    assert looked.returncode == 0, looked.stderr.decode()
    assert b"complete: 1 segments, 10 records" in looked.stdout
    log.close()


def write_on(log: Log, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        log.write(50)
