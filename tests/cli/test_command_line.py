"""The commands as a user types them: output, exit status, ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from command import audit_shipper

GOOD = (
    b'{"audit_record":{"name":"Connect","record":"7_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:33Z","connection_id":"993","status":1045,"user":"%b",'
    b'"priv_user":"","os_login":"","proxy_user":"","host":"h","ip":"10.2.8.14","db":""}}\n'
)


def test_decode_reads_files_and_standard_input(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(GOOD % b"file")
    result = audit_shipper("decode", log, "-", stdin=GOOD % b"stdin")
    assert [orjson.loads(line)["user"] for line in result.stdout.splitlines()] == ["file", "stdin"]
    assert (result.returncode, result.stderr) == (0, b"")


def test_decode_exits_with_1_where_something_could_not_be_read() -> None:
    result = audit_shipper("decode", "-", stdin=b"garbage\n" + GOOD % b"bob")
    defect, record = map(orjson.loads, result.stdout.splitlines())
    assert result.returncode == 1
    assert (defect["defect"], defect["span"]) == ("foreign", [0, 8])
    assert record["user"] == "bob"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("decode",), "Missing argument 'FILE...'"),
        (("decode", "/no/such/log"), "cannot read /no/such/log"),
        (("decode", "--format", "yaml", "-"), "'yaml' is not one of"),
        (("decode", "--timezone", "Mars/Base", "-"), "not a time zone"),
        (("ship", "-"), "Missing option '--to'"),
        (("ship", "-", "--to", "kafka:x"), "write sqlite:PATH or jsonl:PATH"),
        (("report", "failed-logins", "--store", "sqlite:/no/audit.db"), "there is no store"),
    ],
)
def test_misuse_exits_with_2_and_says_what_is_wrong(arguments: tuple[str, ...], says: str) -> None:
    result = audit_shipper(*arguments)
    assert result.returncode == 2
    assert says in " ".join(result.stderr.decode().split())
    assert b"Traceback" not in result.stderr


def test_a_closed_pipe_ends_quietly() -> None:
    command = f"{sys.executable} -m shipper decode - | head -n 1"
    result = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        input=GOOD % b"bob" * 50_000,
        capture_output=True,
        check=False,
    )
    assert result.stdout.count(b"\n") == 1
    assert result.stderr == b""


def test_the_table_cannot_be_used_against_the_terminal() -> None:
    hostile = rb"\u001b[2J\u202etxt"
    result = audit_shipper("decode", "--output", "table", "-", stdin=GOOD % hostile)
    text = result.stdout.decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\x1b[2J\u202etxt@10.2.8.14" in text


def test_ecs_documents_name_the_file(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(GOOD % b"bob")
    document = orjson.loads(audit_shipper("decode", "--output", "ecs", log).stdout)
    assert document["log"] == {"file": {"path": str(log)}, "offset": 0}
    assert document["event"]["outcome"] == "failure"


def test_a_forced_format_reads_nothing_else() -> None:
    result = audit_shipper("decode", "--format", "mariadb", "-", stdin=GOOD % b"bob")
    assert orjson.loads(result.stdout)["defect"] == "foreign"


def test_local_time_is_read_in_the_servers_zone() -> None:
    row = b"20260701 12:00:00,db1,bob,web1,3,0,FAILED_CONNECT,,,1045\n"
    result = audit_shipper("decode", "--timezone", "Europe/Berlin", "-", stdin=row)
    assert orjson.loads(result.stdout)["timestamp"] == "2026-07-01T10:00:00Z"


def test_the_whole_way_with_the_store_from_the_environment(tmp_path: Path) -> None:
    log, store = tmp_path / "audit.log", f"sqlite:{tmp_path}/a.db"
    log.write_bytes(GOOD % b"bob" * 3)
    assert audit_shipper("ship", log, "--to", store).returncode == 0
    env = {**os.environ, "AUDIT_SHIPPER_STORE": store}
    assert b"No failed logins" in audit_shipper("report", "failed-logins", env=env).stdout
    everything = audit_shipper("report", "failed-logins", "--all", "--json", env=env)
    assert orjson.loads(everything.stdout)["attempts"] == 3


def test_a_number_beyond_64_bits_is_written_as_it_was(tmp_path: Path) -> None:
    log = GOOD.replace(b'"db":""', b'"db":"","new":99999999999999999999999') % b"bob"
    decoded = audit_shipper("decode", "-", stdin=log)
    assert b'"extra":{"new":99999999999999999999999}' in decoded.stdout
    (tmp_path / "log").write_bytes(log)
    for target in ("sqlite:a.db", "jsonl:a.jsonl"):
        kind, _, name = target.partition(":")
        shipped = audit_shipper("ship", tmp_path / "log", "--to", f"{kind}:{tmp_path / name}")
        assert b": 1 record shipped" in shipped.stderr
