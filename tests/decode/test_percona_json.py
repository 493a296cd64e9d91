"""Percona's JSON lines, intact and damaged."""

from __future__ import annotations

import base64
import re

import orjson
import pytest
from decode import laws
from decode.decoding import decode

from shipper.decode.base import Context, Decoded, Options
from shipper.decode.percona_json import PerconaJson
from shipper.model import AuditRecord

CONNECT = (
    b'{"audit_record":{"name":"Connect","record":"7_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:33Z","connection_id":"993","status":1156,"user":"",'
    b'"priv_user":"","os_login":"","proxy_user":"","host":"h","ip":"10.207.85.214","db":""}}\n'
)
QUERY = (
    b'{"audit_record":{"name":"Query","record":"4707_2014-08-27T10:43:52",'
    b'"timestamp":"2014-08-27T10:44:19 UTC","command_class":"select","connection_id":"37",'
    b'"status":0,"sqltext":"select 1","user":"root[root] @ localhost []","host":"localhost",'
    b'"os_user":"joe","ip":"","db":""}}\n'
)


def test_a_general_record_gives_the_parts_of_its_long_user() -> None:
    (item,) = decode(QUERY)
    assert (item["user"], item["priv_user"], item["os_login"]) == ("root", "root", "joe")
    assert item["timestamp"] == "2014-08-27T10:44:19Z"


def test_a_record_cut_by_a_restart_does_not_take_the_next_one_along() -> None:
    cut = QUERY[:150]
    defect, record = decode(cut + CONNECT)
    assert defect["defect"] == "cut"
    assert defect["span"] == [0, 150]
    assert record["status"] == 1156


def test_startup_options_with_quotes_are_read() -> None:
    line = (
        b'{"audit_record":{"name":"Audit","record":"1_2019-01-22T09:54:38",'
        b'"timestamp":"2019-01-22T09:54:38 UTC","mysql_version":"5.7.23","startup_optionsi":'
        b'"--init-connect="SET NAMES utf8" --x=\\d","os_version":"x86_64-Linux"}}\n'
    )
    (item,) = decode(line)
    assert item["kind"] == "audit_start"
    assert item["extra"]["startup_options"] == '--init-connect="SET NAMES utf8" --x=\\d'


def test_raw_control_characters_of_old_servers_are_kept() -> None:
    (item,) = decode(QUERY.replace(b"select 1", b"select\t1\x01"))
    assert item["sqltext"] == "select\t1\x01"


def test_bytes_that_are_not_utf8_are_shown_and_kept() -> None:
    raw = QUERY.replace(b"select 1", b"select '\xe9'")
    (item,) = decode(raw)
    assert item["sqltext"] == "select '\\xe9'"
    assert base64.b64decode(item["extra"]["raw_base64"]) == raw


TIGHT, BLANK = b'{"audit_record":{', b'{"audit_record": {'


def with_blanks(line: bytes) -> bytes:
    return re.sub(rb'(?<=")([:,])(?=["{0-9])', rb"\1 ", line)


def test_a_bad_record_with_blanks_takes_no_neighbour_along() -> None:
    for bad in (
        CONNECT[:60] + b"\n",
        CONNECT.replace(b'"status":', b'"status"'),
        b"junk\n",
        CONNECT[:60],
    ):
        log = with_blanks(CONNECT) * 9 + with_blanks(bad) + with_blanks(CONNECT) * 9
        items = laws.check_all(log, len(log) // 2)
        assert [item["kind"] for item in items if "defect" not in item] == ["connect"] * 18
        assert sum("defect" in item for item in items) == 1


@pytest.mark.parametrize(
    "odd",
    [
        BLANK,
        b'{ "audit_record" : { ',
        b' {"audit_record":{',
        b'\t{"audit_record":{',
        b'{\t"audit_record":{',
        b'{"\\u0061udit_record":{',
        b'{"audit_record":   {',
        b'{"audit_record":{   ',
    ],
)
def test_a_line_that_begins_otherwise_reads_the_same_on_both_paths(odd: bytes) -> None:
    for log in (
        CONNECT + CONNECT.replace(TIGHT, odd) + CONNECT,
        CONNECT.replace(TIGHT, BLANK) + CONNECT.replace(TIGHT, odd) + CONNECT,
    ):
        items = laws.check_all(log, len(CONNECT) + 3)
        assert [item["kind"] for item in items if "defect" not in item][-1] == "connect"


@pytest.mark.parametrize("text", ["a\tb", "\t\t", "a\\\\\tb", "a\\\tb", "a\\tb\tc", "a\rb"])
def test_raw_control_characters_read_the_same_on_both_paths(text: str) -> None:
    log = CONNECT + QUERY.replace(b"select 1", text.encode()) + CONNECT
    laws.check_all(log, len(CONNECT) + 3)


@pytest.mark.parametrize("name", ["kind", "format", "extra", "query_id"])
@pytest.mark.parametrize("line", [CONNECT, QUERY])
def test_a_name_of_ours_is_no_key_of_theirs(line: bytes, name: str) -> None:
    odd = line.replace(b'"record":', b'"%b":"77","record":' % name.encode())
    first, second = laws.check_all(odd + line, len(line))
    assert first["extra"] == {name: "77"}
    assert first["kind"] == second["kind"]


def test_raw_tabs_do_not_leave_the_fast_path() -> None:
    """Generation A writes those of the SQL as they are: the whole log was ten times slower."""
    block = CONNECT + QUERY.replace(b"select 1", b"select\t1") + CONNECT
    decoded = PerconaJson(Context(Options())).fast(block, 0)
    assert decoded is not None
    assert decoded.records[1].sqltext == "select\t1"
    assert [*decoded.ends] == [len(CONNECT), len(block) - len(CONNECT), len(block)]


@pytest.mark.parametrize("odd", [CONNECT.replace(b",", b"\t,"), QUERY.replace(b"1", b"\\\t")])
def test_other_tabs_are_left_to_the_careful_path(odd: bytes) -> None:
    assert PerconaJson(Context(Options())).fast(CONNECT + odd, 0) is None


WHOLE = {
    "name": "Query",
    "timestamp": "2024-09-03T01:53:14Z",
    "command_class": "select",
    "user": "a",
    "host": "h",
    "ip": "",
}


def fast(**keys: str) -> Decoded | None:
    line = b'{"audit_record":%b}\n' % orjson.dumps(keys)
    return PerconaJson(Context(Options())).fast(line, 0)


@pytest.mark.parametrize("keys", [WHOLE, {"name": "Connect", "timestamp": WHOLE["timestamp"]}])
def test_a_typed_record_has_the_fields_of_every_other_in_their_order(keys: dict[str, str]) -> None:
    """Who writes records fast takes them apart by place."""
    decoded = fast(**keys)
    assert decoded is not None
    (record,) = decoded.records
    assert type(record) is not AuditRecord
    assert record.__struct_fields__ == AuditRecord.__struct_fields__


@pytest.mark.parametrize("missing", ["command_class", "host", "ip"])
def test_a_general_record_without_what_all_have_goes_the_careful_way(missing: str) -> None:
    assert fast(**WHOLE) is not None
    assert fast(**{key: value for key, value in WHOLE.items() if key != missing}) is None
