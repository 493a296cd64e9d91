"""Records of all formats inside syslog lines, intact and damaged."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from decode import laws
from decode.decoding import decode, without_spans
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.decode import Options

SAMPLES = Path(__file__).parents[1] / "samples"
HEADER = b"<14>Feb 12 07:18:30 db1 percona-audit: "
BARE = b"Feb 12 07:18:30 db1 percona-audit: "
OTHER = b"<30>Feb 12 07:18:31 db1 systemd[1]: Started Session 12, 1, 2, of user root.\n"
JSON = (
    b'{"audit_record":{"name":"Connect","record":"7_2024-09-03T01:53:14",'
    b'"timestamp":"2024-09-03T01:53:33Z","connection_id":"993","status":1045,"user":"bob",'
    b'"priv_user":"","os_login":"","proxy_user":"","host":"h","ip":"10.0.0.7","db":""}}\n'
)
OLD = (
    b'<AUDIT_RECORD\n  NAME="Query"\n  RECORD="4_2021-06-29T19:33:03"\n'
    b'  TIMESTAMP="2021-06-29T19:33:34Z"\n  COMMAND_CLASS="select"\n  CONNECTION_ID="14"\n'
    b'  STATUS="0"\n  SQLTEXT="select \'#012\'&#10;"\n  USER="root[root] @ localhost []"\n'
    b'  HOST="localhost"\n  OS_USER=""\n  IP=""\n  DB=""\n/>\n'
)
NEW = (
    b"<AUDIT_RECORD>\n  <NAME>Query</NAME>\n  <RECORD>4_2021-06-29T19:33:03</RECORD>\n"
    b"  <TIMESTAMP>2021-06-29T19:33:34Z</TIMESTAMP>\n  <COMMAND_CLASS>select</COMMAND_CLASS>\n"
    b"  <CONNECTION_ID>14</CONNECTION_ID>\n  <STATUS>0</STATUS>\n  <SQLTEXT>#012</SQLTEXT>\n"
    b"  <USER>root[root] @ localhost []</USER>\n  <HOST>localhost</HOST>\n"
    b"  <OS_USER></OS_USER>\n  <IP></IP>\n  <DB></DB>\n</AUDIT_RECORD>\n"
)
PRETTY = (
    b'{\n    "timestamp": "2023-03-29 11:17:03",\n    "id": 0,\n    "class": "audit",\n'
    b'    "server_id": 1\n  }\n'
)
CSV = (
    b'"Query","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","select","11",0,'
    b'"select\n""1""","app[app] @ web-3 [10.0.0.7]","web-3","joe","10.0.0.7","shop"\n'
)
ROW = b"db1,app,10.0.0.7,11,7,QUERY,shop,'select \\'1\\'',0\n"
RECORDS = {"json": JSON, "old": OLD, "new": NEW, "pretty": PRETTY, "csv": CSV}
LATEST = Options(latest=datetime(2024, 2, 12, 8, tzinfo=UTC))


def escaped(record: bytes) -> bytes:
    return record.rstrip(b"\n").replace(b"\n", b"#012") + b"\n"


def plain(record: bytes) -> dict[str, Any]:
    (item,) = without_spans(decode(record))
    return item


def unwrapped(item: dict[str, Any]) -> dict[str, Any]:
    """The item without what syslog added, and its header."""
    extra = {key: value for key, value in item["extra"].items() if key != "syslog"}
    return {
        **{key: value for key, value in item.items() if key not in {"span", "extra"}},
        **({"extra": extra} if extra else {}),
    }


by_record = pytest.mark.parametrize("record", RECORDS.values(), ids=RECORDS)


@by_record
def test_a_record_on_one_escaped_line_reads_as_without_syslog(record: bytes) -> None:
    items = decode((HEADER + escaped(record)) * 3, options=LATEST)
    size = len(HEADER + escaped(record))
    for number, item in enumerate(items):
        assert unwrapped(item) == plain(record)
        assert item["span"] == [number * size, (number + 1) * size]
        assert item["extra"]["syslog"] == {
            "host": "db1",
            "ident": "percona-audit",
            "priority": 14,
            "timestamp": "2024-02-12T07:18:30Z",
        }
    assert len(items) == 3


@by_record
def test_a_record_whose_line_feeds_were_kept_is_one_record(record: bytes) -> None:
    items = decode((HEADER + record + OTHER) * 2)
    assert [item.get("defect") for item in items] == [None, "foreign"] * 2
    assert unwrapped(items[0]) == plain(record)
    assert items[0]["span"] == [0, len(HEADER + record)]


@by_record
def test_a_record_that_was_split_into_lines_with_headers_is_one_record(record: bytes) -> None:
    lines = b"".join(HEADER + line for line in record.splitlines(keepends=True))
    items = decode(lines * 2)
    assert [unwrapped(item) for item in items] == [plain(record)] * 2
    assert items[1]["span"] == [len(lines), 2 * len(lines)]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (b"Feb 12 07:18:30 db1 app: ", {"host": "db1", "ident": "app"}),
        (b"Feb  2 07:18:30 app:  ", {"ident": "app", "timestamp": "2024-02-02T07:18:30Z"}),
        (b"Feb 12 07:18:30 db1 app[77]: ", {"host": "db1", "ident": "app"}),
        (
            b"2024-02-12T08:18:30.123456+01:00 db1 app: ",
            {"host": "db1", "ident": "app", "timestamp": "2024-02-12T07:18:30.123456Z"},
        ),
        (b"<14>1 2024-02-12T07:18:30Z db1 app 77 - - ", {"host": "db1", "ident": "app"}),
        (
            b'<14>1 2024-02-12T07:18:30Z db1 app - ID [x@1 a="b] c"][y] \xef\xbb\xbf',
            {"host": "db1", "ident": "app"},
        ),
        (b"<14>Feb 12 07:18:30 db1 id: audit-filter: ", {"info": "audit-filter:"}),
        (b"<14>Dec 12 07:18:30 db1 id: ", {"timestamp": "2023-12-12T07:18:30Z"}),
        (b"<14>Feb 29 07:18:30 db1 id: ", {"timestamp": "2020-02-29T07:18:30Z"}),
    ],
)
def test_headers(header: bytes, said: dict[str, str]) -> None:
    for item in decode((header + JSON) * 2, options=LATEST):
        assert unwrapped(item) == plain(JSON)
        expected = {"timestamp": "2024-02-12T07:18:30Z"} | said
        assert item["extra"]["syslog"].items() >= expected.items()


@pytest.mark.parametrize("info", [b"", b" ", b"prod ", b"prod eu "])
def test_a_mariadb_row_takes_the_time_of_its_header(info: bytes) -> None:
    berlin = Options(timezone=ZoneInfo("Europe/Berlin"), latest=LATEST.latest)
    line = b"Feb 12 07:18:30 mysql-server_auditing: " + info + ROW
    for item in decode(line * 2, options=berlin):
        assert (item["timestamp"], item["sqltext"]) == ("2024-02-12T06:18:30Z", "select '1'")
        assert (item["format"], item["user"]) == ("mariadb", "app")
        assert item["extra"]["serverhost"] == "db1"
        assert item["extra"]["syslog"].get("info", "") == info.decode().strip()


def test_a_mariadb_row_with_a_comma_in_its_user_is_not_taken_for_one_with_a_time() -> None:
    (item,) = decode(BARE + b"db1,us,er,10.0.0.7,11,0,FAILED_CONNECT,,,1045\n", options=LATEST)
    assert (item["user"], item["timestamp"]) == ("us,er", "2024-02-12T07:18:30Z")


def test_a_mariadb_row_with_its_time_keeps_it() -> None:
    (item,) = decode(BARE + b"20240903 01:53:33," + ROW, options=LATEST)
    assert item["timestamp"] == "2024-09-03T01:53:33Z"


def test_the_comma_behind_an_array_record_stays_outside() -> None:
    line = b'{ "timestamp": "2024-09-03 01:53:33", "id": 1, "class": "audit", "event": "startup" }'
    items = decode((BARE + line + b",\n") * 3)
    assert [item["format"] for item in items] == ["enterprise-json"] * 3


def test_escapes_are_undone_where_the_server_writes_the_character_raw() -> None:
    (item,) = decode(HEADER + CSV.replace(b"\n", b"#012", 1))
    assert item["sqltext"] == 'select\n"1"'
    (item,) = decode(BARE + ROW.replace(b"select ", b"select#001"))
    assert item["sqltext"] == "select\x01'1'"
    (item,) = decode(HEADER + JSON.replace(b"bob", b"bob#012#177"))
    assert item["user"] == "bob#012\x7f"


def test_lines_of_other_programs_are_foreign() -> None:
    items = decode(OTHER + HEADER + JSON + OTHER + OTHER + HEADER + JSON)
    assert [item.get("defect") for item in items] == ["foreign", None, "foreign", None]


@pytest.mark.parametrize(
    "user", [b"{", b'{"audit_record":{"name":"x', b"<AUDIT_RECORD", b"a,b", b"'"]
)
def test_a_hostile_user_behind_a_foreign_line_is_still_found(user: bytes) -> None:
    row = BARE + b"db1,%b,6.6.6.6,77,0,FAILED_CONNECT,,,1045\n" % user
    log = OTHER + row + OTHER
    items = laws.check_all(log, len(OTHER) + 45)
    assert items[1]["user"] == user.decode()
    assert items[1]["status"] == 1045


@pytest.mark.parametrize("header", [HEADER, BARE], ids=["priority", "bare"])
@by_record
def test_a_line_that_the_daemon_cut_loses_only_itself(record: bytes, header: bytes) -> None:
    line = header + escaped(record)
    for cut in range(len(header) + 80, len(line) - 2):
        if line[:cut].endswith(b'"10.0.0.7"'):
            continue  # an old row without DB
        items = decode(line[:cut] + b"\n" + header + JSON)
        assert "defect" in items[0], cut
        assert unwrapped(items[-1]) == plain(JSON)
        assert items[-1]["span"][0] == cut + 1


def test_a_line_that_a_crash_cut_loses_only_itself() -> None:
    line = HEADER + JSON
    for cut in range(len(HEADER) + 30, len(line) - 1):
        defect, record = decode(line[:cut] + line)
        assert (defect["defect"], defect["span"]) == ("cut", [0, cut])
        assert record["span"] == [cut, cut + len(line)]


@pytest.mark.parametrize(
    "user",
    [
        b'","Query","7_2024-09-03T01:53:14","',
        b'{ "timestamp": "2024-09-03 01:53:33", "id": 1, "class": "audit", "x": "',
        b'{"audit_record":{"name":"Query","record":"7_2024-09-03T01:53:14","x":"',
        b"<AUDIT_RECORD\tNAME=",
        b"20240903 01:53:33,db1,app,localhost,11,2,QUERY,shop,'",
    ],
)
@pytest.mark.parametrize("before", [b"", OTHER, b"a torn line\n"])
def test_a_cut_row_whose_user_imitates_a_record_loses_only_itself(
    before: bytes, user: bytes
) -> None:
    header = b"<14>1 2024-09-03T01:53:33+00:00 db1 mysql-server_auditing - - - "
    row = header + b"db1,app,localhost,11,2,QUERY,shop,'select 1',0\n"
    cut = before + header + b"db1," + user + b"\n"
    log = cut + row + OTHER + row
    for place in range(0, len(log), 7):
        items = laws.check_all(log, place)
    assert [each.get("sqltext") for each in items if "defect" not in each][-2:] == ["select 1"] * 2
    assert [each["span"] for each in items][-3] == [len(cut), len(cut) + len(row)]


def test_a_fragment_without_header_is_foreign() -> None:
    items = decode(b'  HOST="localhost"\n/>\n' + HEADER + JSON)
    assert [item.get("defect") for item in items] == ["foreign", None]


def test_a_statement_cannot_forge_a_line() -> None:
    fake = HEADER + JSON.rstrip()
    row = BARE + b"db1,app,10.0.0.7,11,7,QUERY,shop,'" + fake.replace(b"'", b"\\'") + b"',0\n"
    (item,) = decode(row)
    assert item["sqltext"] == fake.decode()


WRAPPED = [
    HEADER + JSON,
    HEADER + escaped(OLD),
    HEADER + OLD,
    BARE + escaped(NEW),
    BARE + escaped(PRETTY),
    HEADER + escaped(CSV),
    HEADER + CSV,
    BARE + ROW,
    b"<14>1 2024-02-12T07:18:30Z db1 app 77 - - prod " + ROW,
    OTHER,
    JSON,
    b"\0\0\n",
    b"junk \xff, 1, 2\n",
]


@given(
    lines=st.lists(st.sampled_from(WRAPPED), min_size=1, max_size=6),
    cut=st.tuples(st.integers(0, 5), st.integers(0, 400)),
    at=st.integers(0, 3000),
)
@settings(max_examples=200, deadline=None)
def test_any_mixture_keeps_the_laws(lines: list[bytes], cut: tuple[int, int], at: int) -> None:
    number, size = cut
    if number < len(lines):
        lines = [*lines[:number], lines[number][:size], *lines[number + 1 :]]
    log = b"".join(lines)
    laws.check_all(log, min(at, len(log)))


@pytest.mark.parametrize(
    "name",
    ["percona-json", "percona-old", "percona-new", "mcafee-json", "outbrain-json", "azure-json"],
)
def test_samples_of_other_formats_read_alike_through_syslog(name: str) -> None:
    for path in sorted((SAMPLES / name).iterdir()):
        if path.suffix == ".jsonl":
            continue
        data = path.read_bytes()
        for item in decode(data):
            if "defect" in item:
                continue
            start, end = item["span"]
            (wrapped,) = decode(HEADER + escaped(data[start:end].strip()))
            expected = without_spans([item])[0]
            assert unwrapped(wrapped) == expected


ROW_HEADERS = (
    b"<14>1 2024-09-03T01:53:14Z db1 mysql-server_auditing - - - ",
    b"<14>Sep  3 01:53:14 db1 mysql-server_auditing: ",
    b"2024-09-03T01:53:14.123456+00:00 db1 mysql-server_auditing: ",
    b"Sep  3 01:53:14 db1 mysql-server_auditing:  ",
)


@pytest.mark.parametrize("header", ROW_HEADERS)
@pytest.mark.parametrize(
    "good",
    [
        b"db1,app3,app-3.db,1843,0,CONNECT,,,0",
        b"db1,app3,app-3.db,1843,0,FAILED_CONNECT,,,1045",
        b"db1,app3,app-3.db,1843,7,QUERY,shop,'select 1',0",
        b"db1,app3,app-3.db,1843,7,READ,shop,orders,",
    ],
)
def test_a_mariadb_row_that_was_cut_is_never_part_of_the_next_one(
    header: bytes, good: bytes
) -> None:
    bad = header + b"db1,bob,h,25,16,QUERY,d,'UPDATE x'"
    good = header + good + b"\n"
    (alone,) = decode(good)
    for cut in range(len(header) + len("db1,"), len(bad)):
        log = bad[:cut] + good
        *defects, record = laws.check_all(log, cut)
        assert [defect["span"] for defect in defects] == [[0, cut]], log
        assert record == alone | {"span": [cut, len(log)]}


def test_a_user_that_is_a_line_of_this_server_never_becomes_a_login() -> None:
    header = ROW_HEADERS[0]
    user = header + b"db1,root,9.9.9.9,5,0,CONNECT,,,0"
    line = header + b"db1," + user + b",6.6.6.6,77,0,FAILED_CONNECT,,,1045\n"
    defect, item = laws.check_all(line, 100)
    assert defect["defect"] == "cut"
    assert (item["name"], item["status"], item["host"]) == ("FAILED_CONNECT", 1045, "6.6.6.6")


@pytest.mark.parametrize(
    "user", [b"x <14>1 2024-09-03T01:53:14Z db1 y - - - db2,z", b"x Sep  3 01:53:14 db1 y: z"]
)
def test_a_user_that_is_like_a_header_stays_a_user(user: bytes) -> None:
    line = ROW_HEADERS[0] + b"db1," + user + b",6.6.6.6,77,0,FAILED_CONNECT,,,1045\n"
    (item,) = laws.check_all(line, 100)
    assert item["user"] == user.decode()
