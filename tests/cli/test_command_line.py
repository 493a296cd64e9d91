"""The commands as a user types them: output, exit status, ends."""

from __future__ import annotations

import gzip
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from command import SECONDS_MAX, audit_shipper
from conftest import SAMPLES

GOOD = (
    b'{"audit_record":{"name":"Connect","record":"7_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:33Z","connection_id":"993","status":1045,"user":"%b",'
    b'"priv_user":"","os_login":"","proxy_user":"","host":"h","ip":"10.2.8.14","db":""}}\n'
)

DECODE = [sys.executable, "-m", "shipper", "decode"]


def test_decode_reads_files_and_standard_input(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(GOOD % b"file")
    result = audit_shipper("decode", log, "-", stdin=GOOD % b"stdin")
    assert [orjson.loads(line)["user"] for line in result.stdout.splitlines()] == ["file", "stdin"]
    assert (result.returncode, result.stderr) == (0, b"")


def test_standard_input_is_read_from_where_it_stands(tmp_path: Path) -> None:
    """A descriptor is enough: no name is opened again, which may be forbidden, or impossible."""
    log = tmp_path / "audit.log"
    log.write_bytes(GOOD % b"one" + GOOD % b"two")
    ours, theirs = socket.socketpair()
    with ours, theirs, log.open("rb") as file:
        file.seek(len(GOOD % b"one"))
        ours.sendall(GOOD % b"two")
        ours.shutdown(socket.SHUT_WR)
        for stdin in (file, theirs):
            result = subprocess.run(
                [*DECODE, "-"], stdin=stdin, stdout=subprocess.PIPE, check=True, timeout=SECONDS_MAX
            )
            assert [orjson.loads(line)["user"] for line in result.stdout.splitlines()] == ["two"]


@pytest.mark.parametrize(
    ("closed", "status", "says"),
    [
        ("<&-", 2, b"cannot read standard input at byte 0: Bad file descriptor"),
        (">&-", 2, b"cannot write to standard output: Bad file descriptor"),
        ("2>&-", 1, b""),
    ],
)
def test_a_descriptor_that_is_closed_is_told(closed: str, status: int, says: bytes) -> None:
    result = subprocess.run(
        ["sh", "-c", f"{' '.join(DECODE)} - {closed}"],
        input=b"garbage\n",
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert result.returncode == status
    assert says in result.stderr
    assert b"Traceback" not in result.stderr


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
        (("ship", "-", "--to", "sqlite:x"), "cannot ship -: only a file"),
        (("ship", "/usr", "--to", "sqlite:x"), "cannot ship /usr: it is a folder"),
        (("ship", __file__, "--to", "kafka:x"), "sqlite:PATH, jsonl:PATH or mysql://USER@"),
        (("report", "failed-logins", "--store", "sqlite:/no/audit.db"), "there is no store"),
        (("report", "failed-logins", "--since", "1h", "--all"), "contradict each other"),
        (("report", "failed-logins", "--html", "x", "--json"), "without --json and --by"),
        (("report", "failed-logins", "--html", "x", "--by", "user"), "without --json and --by"),
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
    assert (result.returncode, result.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.fixture
def terminal() -> Iterator[None]:
    """What we start hears Ctrl-C: a job in the background of a shell does not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("terminal")
def test_an_interrupted_decode_speaks_of_no_shipping() -> None:
    command = [sys.executable, "-m", "shipper", "decode", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(GOOD % b"bob" * 9)
        process.stdin.flush()
        assert process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said.strip()) == (130, b"audit-shipper: interrupted")


@pytest.mark.parametrize("command", ["decode", "report"])
def test_a_full_disk_under_the_output_is_told(tmp_path: Path, command: str) -> None:
    log, store = tmp_path / "audit.log", f"sqlite:{tmp_path}/a.db"
    log.write_bytes(GOOD % b"bob")
    audit_shipper("ship", log, "--to", store)
    arguments: dict[str, list[str | Path]] = {
        "decode": ["decode", log],
        "report": ["report", "failed-logins", "--store", store, "--all"],
    }
    for more in ((), ("--json",)) if command == "report" else ((),):
        with Path("/dev/full").open("wb") as full:
            result = subprocess.run(
                [sys.executable, "-m", "shipper", *arguments[command], *more],
                stdout=full,
                stderr=subprocess.PIPE,
                check=False,
            )
        said = b"audit-shipper: cannot write to standard output: No space left on device\n"
        assert (result.returncode, result.stderr) == (2, said)


def test_gzip_is_read_as_what_is_in_it(tmp_path: Path) -> None:
    log = tmp_path / "audit.log.1.gz"
    log.write_bytes(gzip.compress(GOOD % b"one") + gzip.compress(GOOD % b"two"))
    for arguments, stdin in (((log,), b""), (("-",), log.read_bytes())):
        result = audit_shipper("decode", *arguments, stdin=stdin)
        users = [orjson.loads(line)["user"] for line in result.stdout.splitlines()]
        assert (users, result.returncode, result.stderr) == (["one", "two"], 0, b"")


def test_an_archive_that_is_cut_or_damaged_is_told() -> None:
    whole = gzip.compress(b"".join(GOOD % b"%d" % number for number in range(900)))
    cut = audit_shipper("decode", "-", stdin=whole[: len(whole) // 2])
    assert cut.returncode == 1
    assert b"the archive ends in its middle" in cut.stderr
    assert orjson.loads(cut.stdout.splitlines()[0])["user"] == "0"
    damaged = audit_shipper("decode", "-", stdin=whole + b"garbage")
    assert damaged.returncode == 2
    assert b"no gzip at byte" in damaged.stderr
    assert damaged.stdout.count(b"\n") == 900


@pytest.mark.parametrize("command", ["decode", "ship"])
def test_what_is_encrypted_is_left_to_the_daemon(tmp_path: Path, command: str) -> None:
    log, store = tmp_path / "audit.log.enc", tmp_path / "a.db"
    encrypt = ["openssl", "enc", "-aes-256-cbc", "-md", "sha256", "-pass", "pass:p", "-out", log]
    subprocess.run(encrypt, input=GOOD % b"bob", check=True, stderr=subprocess.DEVNULL)
    to = ("--to", f"sqlite:{store}") if command == "ship" else ()
    result = audit_shipper(command, log, *to)
    assert result.returncode == 2
    assert b"is encrypted: let the daemon read it (`passwords`" in result.stderr
    assert not store.exists()


def test_a_file_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    log, store = tmp_path / "audit.log", tmp_path / "a.db"
    log.write_bytes(GOOD % b"bob")
    result = audit_shipper("ship", "/no/such", log, tmp_path, "--to", f"sqlite:{store}")
    assert result.returncode == 2
    assert b"cannot read /no/such: No such file" in result.stderr
    assert b"audit.log: 1 record shipped" in result.stderr
    decoded = audit_shipper("decode", "/no/such", log)
    assert (decoded.returncode, decoded.stdout.count(b"\n")) == (2, 1)
    store.unlink()
    assert audit_shipper("ship", "/no/such", "--to", f"sqlite:{store}").returncode == 2
    assert not store.exists()


def test_an_end_that_waits_has_a_status_of_its_own(tmp_path: Path) -> None:
    log, store = tmp_path / "audit.log", f"sqlite:{tmp_path}/a.db"
    log.write_bytes(GOOD % b"one" + (GOOD % b"two")[:-9])
    waits = audit_shipper("ship", log, "--to", store)
    assert waits.returncode == 4
    assert b"are not a whole record: ship again" in waits.stderr
    assert audit_shipper("ship", "--final", log, "--to", store).returncode == 1
    assert audit_shipper("ship", "--final", log, "--to", store).returncode == 0


def test_several_files_are_told_apart(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("a.log", "b.log")]
    for name in names:
        Path(name).write_bytes(b"junk\n" + GOOD % b"bob")
    decoded = audit_shipper("decode", *names)
    files = [orjson.loads(line)["file"] for line in decoded.stdout.splitlines()]
    assert files == [names[0], names[0], names[1], names[1]]
    table = audit_shipper("decode", "--output", "table", *names).stdout.decode()
    assert [line for line in table.splitlines() if line.startswith("==>")] == [
        f"==> {name} <==" for name in names
    ]
    ecs = audit_shipper("decode", "--output", "ecs", *names).stdout.splitlines()
    assert [doc["file"] for doc in map(orjson.loads, ecs) if "defect" in doc] == names


def test_the_table_cannot_be_used_against_the_terminal() -> None:
    hostile = rb"\u001b[2J\u202etxt"
    result = audit_shipper("decode", "--output", "table", "-", stdin=GOOD % hostile)
    text = result.stdout.decode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\x1b[2J\u202etxt@10.2.8.14" in text


@pytest.mark.parametrize(
    ("sample", "says"),
    [
        ("mariadb/mariadb_10.11_logins.log", "CREATE shop.orders"),
        ("enterprise-json/*.json", "insert test.t1  INSERT INTO t1 (i) VALUES(1),(2),(3)"),
        ("filter-json/*.json", "read test.sbtest2  SELECT c FROM sbtest2"),
    ],
)
def test_the_table_says_what_was_done_to_which_table(sample: str, says: str) -> None:
    result = audit_shipper("decode", "--output", "table", *SAMPLES.glob(sample))
    assert re.search(rf"  table  .*#\d+ +{re.escape(says)}", result.stdout.decode())


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
    none = audit_shipper("report", "failed-logins", env=env).stdout
    assert b"No failed logins" in none
    assert b"Its newest record is of 2024-09-03 01:53:33 UTC.\nIt holds 3 older failed" in none
    everything = audit_shipper("report", "failed-logins", "--all", "--json", env=env)
    assert orjson.loads(everything.stdout)["attempts"] == 3


def test_failed_logins_without_a_readable_time_are_in_every_report(tmp_path: Path) -> None:
    log, store = tmp_path / "audit.log", f"sqlite:{tmp_path}/a.db"
    log.write_bytes(b"Mon 3 Sep,db1,bob,web1,3,0,FAILED_CONNECT,,,1045\n")
    assert audit_shipper("ship", log, "--to", store).returncode == 0
    for since in (("--since", "1h"), ("--all",)):
        report = ("report", "failed-logins", "--store", store, *since)
        found = orjson.loads(audit_shipper(*report, "--json").stdout)
        assert (found["attempts"], found["without_time"], found["newest"]) == (1, 1, "")
        assert b"1 attempt without a readable time: counted" in audit_shipper(*report).stdout


@pytest.mark.parametrize("final", [(), ("--final",)])
def test_what_is_no_audit_log_is_told(tmp_path: Path, final: tuple[str, ...]) -> None:
    log = tmp_path / "error.log"
    log.write_bytes(b"2026-11-23T10:00:00.000000Z 0 [System] [MY-010931] [Server] ready\n" * 3)
    shipped = audit_shipper("ship", log, *final, "--to", f"sqlite:{tmp_path}/a.db")
    assert shipped.returncode == (1 if final else 4)
    assert b"begins a known record: is it an audit log?" in shipped.stderr


def test_half_a_record_is_not_called_no_audit_log(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    log.write_bytes(GOOD[:200])
    shipped = audit_shipper("ship", log, "--to", f"sqlite:{tmp_path}/a.db")
    assert shipped.returncode == 4
    assert b"is it an audit log?" not in shipped.stderr


def test_a_store_of_what_could_not_be_read_is_not_called_unused(tmp_path: Path) -> None:
    log, store = tmp_path / "audit.log", f"sqlite:{tmp_path}/a.db"
    log.write_bytes(b"garbage\n")
    shipped = audit_shipper("ship", log, "--final", "--to", store)
    assert b"0 records shipped, 1 range could not be read" in shipped.stderr
    page = audit_shipper("report", "failed-logins", "--all", "--store", store).stdout
    assert b"or nothing that could be" in page


def test_a_report_from_a_file_that_is_no_store_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    result = audit_shipper("report", "failed-logins", "--store", f"sqlite:{tmp_path}/empty")
    assert (result.returncode, result.stdout) == (3, b"")
    assert b"is not a store" in result.stderr
    assert (tmp_path / "empty").stat().st_size == 0


def test_a_number_beyond_64_bits_is_written_as_it_was(tmp_path: Path) -> None:
    log = GOOD.replace(b'"db":""', b'"db":"","new":99999999999999999999999') % b"bob"
    decoded = audit_shipper("decode", "-", stdin=log)
    assert b'"extra":{"new":99999999999999999999999}' in decoded.stdout
    (tmp_path / "log").write_bytes(log)
    for target in ("sqlite:a.db", "jsonl:a.jsonl"):
        kind, _, name = target.partition(":")
        shipped = audit_shipper("ship", tmp_path / "log", "--to", f"{kind}:{tmp_path / name}")
        assert b": 1 record shipped" in shipped.stderr


@pytest.mark.parametrize("field", ["connection_id", "status"])
def test_a_number_that_no_store_can_hold_stops_nothing(tmp_path: Path, field: str) -> None:
    sample = SAMPLES / "enterprise-json/enterprise_8.0.20_json_oneline.json"
    good = next(line for line in sample.read_bytes().splitlines() if b'"connect"' in line)
    bad = re.sub(rb'"%b": [0-9]+' % field.encode(), b'"%b": %d' % (field.encode(), 2**64 - 1), good)
    log = tmp_path / "audit.log"
    log.write_bytes(b"[\n" + bad + b"\n" + good + b"\n")
    shipped = audit_shipper("ship", log, "--to", f"sqlite:{tmp_path}/a.db")
    assert (shipped.returncode, shipped.stderr.count(b"1 record shipped, 1 range")) == (1, 1)


@pytest.mark.parametrize("name", ["it's.log", "two words.log", "$(false) `false`.log"])
def test_make_run_takes_a_log_of_any_name(tmp_path: Path, name: str) -> None:
    log = tmp_path / name
    log.write_bytes(GOOD % b"bob")
    of_make = str(log).replace("$", "$$")
    variables = (f"BIN={Path(sys.executable).parent}", f"LOG={of_make}", f"STORE={tmp_path}/a.db")
    result = subprocess.run(
        ["make", "--no-print-directory", "-o", "setup", "run", *variables],  # -o: it is there
        cwd=SAMPLES.parents[1],
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        check=False,
        timeout=SECONDS_MAX,
    )
    assert (result.returncode, result.stdout[:14]) == (0, b"1 failed login"), result.stderr
