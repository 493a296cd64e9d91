"""What the commands beside the daemon find: mistakes, gaps, letters."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app.running import FILE, JSONL, configure, daemon, users
from command import audit_shipper
from lane.logs import Log, json_row
from servers import free_port
from servers.waiting import until
from sink.rigs.sql import ACCOUNT, PASSWORD, SqlRig, on_mariadb


def test_a_configuration_names_all_its_mistakes_at_once(tmp_path: Path) -> None:
    config = configure(
        tmp_path,
        sources="{type: file, pth: x, poll_seconds: fast}, {type: tail}",
        sinks="{type: jsonl, path: x, sources: [nobody]}",
        more="workers: 0\nstat: y",
    )
    for command in ("run", "check"):
        refused = audit_shipper(command, "-c", config)
        assert refused.returncode == 2
        said = refused.stderr.decode()
        for mistake in (
            "line 2: sources[0].pth: is not a setting; did you mean path?",
            "line 2: sources[0].poll_seconds: ",
            "line 2: sources[0]: path is missing",
            "line 2: sources[1].type: 'tail' is none of ",
            "line 5: workers: ",
            "line 6: stat: is not a setting; did you mean state?",
        ):
            assert mistake in said, said
    assert not (tmp_path / "state").exists()
    assert audit_shipper("run", "-c", tmp_path / "missing.yaml").returncode == 2


def test_check_finds_everything_at_once_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "main.log").write_text("no audit log\nbut something else\n")
    (tmp_path / "other.log").write_bytes(b"Salted__12345678" + bytes(64))
    (tmp_path / "state").write_text("a file")
    port = free_port()
    config = configure(
        tmp_path,
        sources=f"{{type: file, name: main, path: {tmp_path}/main.log}}, "
        f"{{type: file, name: other, path: {tmp_path}/other.log}}, "
        f"{{type: file, name: nowhere, path: {tmp_path}/missing/audit.log}}",
        sinks=f"{{type: jsonl, path: '{tmp_path}/missing/{{source}}.jsonl'}}, "
        f"{{type: syslog, transport: tcp, host: 127.0.0.1, port: {port}}}",
    )
    before = sorted(tmp_path.iterdir())
    checked = audit_shipper("check", "-c", config)
    assert checked.returncode == 1
    found = checked.stdout.decode()
    for finding in (
        f"state: {tmp_path}/state is not a directory",
        f"source main: {tmp_path}/main.log holds no record of a known format",
        f"source other: {tmp_path}/other.log: no known password opens it",
        f"source nowhere: path: the folder {tmp_path}/missing does not exist",
        f"sink jsonl: the folder {tmp_path}/missing does not exist",
        "sink syslog: ",
    ):
        assert finding in found, found
    assert sorted(tmp_path.iterdir()) == before


def test_check_looks_at_what_is_received(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "main.log")
    (tmp_path / "plain").write_text("no pipe")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = configure(
            tmp_path,
            sources=f"{FILE.format(folder=tmp_path, name='main')}, "
            f"{{type: fifo, name: no-folder, path: {tmp_path}/missing/pipe}}, "
            f"{{type: fifo, name: no-pipe, path: {tmp_path}/plain}}, "
            f"{{type: syslog, name: local, unix: {tmp_path}/plain}}, "
            f"{{type: syslog, name: busy, tcp: '127.0.0.1:{port}', udp: '127.0.0.1:0'}}, "
            f"{{type: syslog, name: tls, tls: '127.0.0.1:0', "
            f"tls_certificate_file: {tmp_path}/no.pem, tls_key_file: {tmp_path}/no.key}}",
            more=f"http: {{host: 127.0.0.1, port: {port}}}",
        )
        before = sorted(tmp_path.iterdir())
        found = audit_shipper("check", "-c", config).stdout.decode().splitlines()
    assert sorted(tmp_path.iterdir()) == before
    for finding in (
        f"source main: {tmp_path}/main.log is a named pipe: make it a source of `type: fifo`",
        f"source no-folder: the folder {tmp_path}/missing does not exist",
        f"source no-pipe: {tmp_path}/plain is not a named pipe",
        f"source local: {tmp_path}/plain is there and no socket",
        f"source busy: cannot listen on TCP 127.0.0.1:{port}: Address already in use",
        f"source tls: cannot use the TLS files {tmp_path}/no.pem",
        f"http: cannot listen on TCP 127.0.0.1:{port}: Address already in use",
    ):
        assert [line for line in found if line.startswith(finding)], (finding, found)
    assert len(found) == 7


def test_verify_names_missing_numbers(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(5)
    log.number += 3  # the server wrote them; somebody took them out
    log.write(5)
    config = configure(tmp_path)
    with daemon(config) as running:
        until(lambda: len(users(tmp_path)) == 10)
        assert running.stop() == 0, running.log
    verified = audit_shipper("verify", "-c", config)
    assert verified.returncode == 1
    said = verified.stdout.decode()
    assert "main → jsonl: 3 record numbers missing between 1 and 13 of 2026-11-23T10:00:00" in said
    assert said.splitlines()[-1].startswith("NOT complete: 1 segments, 10 records")
    log.close()


def verified(config: Path) -> tuple[int, str]:
    done = audit_shipper("verify", "-c", config)
    return done.returncode, done.stdout.decode()


def test_verify_and_status_look_at_the_files(tmp_path: Path) -> None:
    """What the server wrote while no daemon looked is not shipped, whoever saw it."""
    log = Log(tmp_path / "main.log", "xml")
    log.write(5)
    log.write_text(log.footer)  # a clean stop of the server: nothing that anybody misses
    config = configure(tmp_path)
    with daemon(config) as running:
        until(lambda: len(users(tmp_path)) == 5)
        assert running.stop() == 0, running.log
    status, said = verified(config)
    assert status == 0, said
    before = log.path.stat().st_size
    log.write(3)
    more = log.path.stat().st_size - before
    status, said = verified(config)
    assert status == 1
    # The footer, too: it stands before records now.
    assert f"main → jsonl: {more + len(log.footer):,} bytes are not shipped yet" in said
    log.rotate_by_size()
    log.write(2)
    more += log.path.stat().st_size
    assert f"{more + len(log.footer):,} bytes are not shipped yet" in verified(config)[1]
    (lane,) = json.loads(audit_shipper("status", "-c", config, "--json").stdout)[0]["lanes"]
    assert lane["behind_bytes"] == more + len(log.footer)
    with daemon(config) as running:
        until(lambda: users(tmp_path) == log.users())
        assert running.stop() == 0, running.log
    status, said = verified(config)
    assert status == 0, said
    log.close()


def test_verify_does_not_wait_for_a_sink_that_was_taken_away(tmp_path: Path) -> None:
    log = Log(tmp_path / "main.log")
    log.write(5)
    other = f"{{type: jsonl, name: other, path: {tmp_path}/other.jsonl}}"
    config = configure(tmp_path, sinks=f"{JSONL.format(folder=tmp_path)}, {other}")
    with daemon(config) as running:
        until(lambda: len(users(tmp_path)) == len(users(tmp_path, "other")) == 5)
        assert running.stop() == 0, running.log
    configure(tmp_path)
    log.write(5)
    with daemon(config) as running:
        until(lambda: len(users(tmp_path)) == 10)
        assert running.stop() == 0, running.log
    status, said = verified(config)
    assert status == 0, said
    assert "main → other: is in the configuration no more" in said
    assert audit_shipper("verify", "--state", tmp_path / "state").returncode == 1
    log.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SqlRig]:
    with on_mariadb(tmp_path) as made:
        yield made


def refusing(tmp_path: Path, rig: SqlRig) -> Path:
    """A configuration with a database that refuses one record of seven, and a file."""
    rig.sink().create()
    rig.root("ALTER TABLE audit_data ADD CONSTRAINT nobody CHECK (info NOT LIKE '%\"u3\"%')")
    (tmp_path / "password").write_text(PASSWORD)
    sql = (
        f"{{type: sql, url: 'mysql://{ACCOUNT}@127.0.0.1:{rig.server.port}/{rig.database}', "
        f"password_file: {tmp_path}/password}}"
    )
    return configure(tmp_path, sinks=f"{sql}, {JSONL.format(folder=tmp_path)}")


def test_letters_are_listed_shown_and_replayed_into_a_real_server(
    tmp_path: Path, rig: SqlRig
) -> None:
    log = Log(tmp_path / "main.log")
    config = refusing(tmp_path, rig)
    log.write(6)
    log.write_text('{"audit_record":{"name":\x1b[31m}}\n')
    log.write_text(json_row(6))
    log.close()
    with daemon(config) as running:
        until(lambda: len(users(tmp_path)) >= 7)
        until(lambda: rig.count() == 6)
        assert running.stop() == 0, running.log
    listed = audit_shipper("dead-letters", "list", "-c", config)
    assert listed.returncode == 0
    assert b"main sql invalid: 1, first " in listed.stdout
    assert b"main (unreadable) " in listed.stdout
    assert b"\x1b" not in listed.stdout
    shown = audit_shipper("dead-letters", "show", "-c", config, "--sink", "sql").stdout
    (letter,) = map(json.loads, shown.splitlines())
    assert letter["record"]["user"] == "u3"
    assert (letter["record"]["kind"], letter["record"]["format"]) == ("connect", "percona-json")
    assert letter["bytes"] == json_row(3)

    verified = audit_shipper("verify", "-c", config)
    assert verified.returncode == 5, verified.stdout.decode()
    said = verified.stdout.decode()
    assert "main → sql: 6 new, 0 there already, 0 filtered, 1 refused" in said
    assert "main → sql: 1 refused records wait in the dead letters\n" in said
    assert "but 1 records refused: audit-shipper dead-letters list; 1 segments, 13" in said
    (tmp_path / "state" / "main.dead-letters.ndjson").rename(tmp_path / "aside")
    without = audit_shipper("verify", "-c", config)
    assert without.returncode == 0
    assert "0 refused records wait in the dead letters, 1 are there no more" in (
        without.stdout.decode()
    )
    (tmp_path / "aside").rename(tmp_path / "state" / "main.dead-letters.ndjson")

    replay = ("dead-letters", "replay", "-c", config)
    still = audit_shipper(*replay)
    assert still.returncode == 1
    assert b"1 letter still refused" in still.stderr
    assert b"sql invalid: " in still.stderr  # in the server's words of now
    assert b"nobody" in still.stderr
    rig.root("ALTER TABLE audit_data DROP CONSTRAINT nobody")
    done = audit_shipper(*replay)
    assert (done.returncode, done.stderr) == (0, b"1 letter delivered\n")
    assert rig.count() == 7
    assert max(rig.held().values()) == 1
    verified = audit_shipper("verify", "-c", config)
    assert verified.returncode == 0
    said = verified.stdout.decode()
    assert "main → sql: 7 new, 0 there already, 0 filtered, 0 refused" in said
    assert said.splitlines()[-1] == "complete: 1 segments, 14 records acknowledged"
    # Replaying is over with it; what no sink ever saw stays for a person to look at.
    assert audit_shipper("dead-letters", "show", "-c", config, "--sink", "sql").stdout == b""
    assert b"(unreadable)" in audit_shipper("dead-letters", "list", "-c", config).stdout
    leaves_a_bare_document_alone(config, letter)


def test_a_misspelt_sink_is_not_everything_delivered(tmp_path: Path) -> None:
    config = configure(tmp_path)
    done = audit_shipper("dead-letters", "replay", "-c", config, "--sink", "jsonnl")
    assert done.returncode == 2
    assert b"has no sink jsonnl" in done.stderr


def leaves_a_bare_document_alone(config: Path, letter: dict[str, Any]) -> None:
    """Of a log that was cut away meanwhile, only what was sent is left."""
    bare = {key: value for key, value in letter.items() if key != "record"}
    with (config.parent / "state" / "main.dead-letters.ndjson").open("a") as letters:
        letters.write(json.dumps(bare | {"document": {"who": "u3"}}) + "\n")
    left = audit_shipper("dead-letters", "replay", "-c", config)
    assert left.returncode == 0
    assert b"1 letter left alone" in left.stderr
    assert b"0 letters delivered" in left.stderr
