"""Syslog messages as bytes: headers, structured data, the four texts, limits. No sockets."""

from __future__ import annotations

import json
import re
from datetime import UTC, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sink.blocks import SEGMENT, batch, failed_login

from shipper.detection import RULES, Detection, Sample
from shipper.document.alert import record_of
from shipper.model import CONNECT, KINDS, QUERY, AuditRecord, Block
from shipper.sink.syslog_encode import Encoder, Shape
from shipper.sink.syslog_message import template_problems
from shipper.sink.syslog_wire import Header, cut_bytes, line_framed, octet_counted

NOW = "2026-11-24T00:00:00.000Z"
TEMPLATE = "{user}@{host} {sqltext} {offset}"
MESSAGES = ("percona", "ecs", "cef", TEMPLATE)
HEADER = Header(
    rfc5424=True,
    pri=14,
    failed_pri=12,
    hostname="db1",
    ident="percona-audit",
    sd_id="mysql@32473",
    zone=UTC,
)
RFC3164 = msgspec.structs.replace(HEADER, rfc5424=False)
# A parser of RFC 5424 as its grammar (section 6) has it, written without a look at ours.
GRAMMAR = re.compile(
    rb"<(?P<pri>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<proc>\S+) (?P<msgid>\S+) "
    rb'(?P<data>-|\[[^\s="\]]+(?: [^\s="\]]+="(?:[^"\\\]]|\\["\\\]]|\\(?!["\\\]]))*")*\])'
    rb" (?P<text>.*)",
    re.DOTALL,
)
PARAM = re.compile(rb' ([^\s="\]]+)="((?:[^"\\\]]|\\.)*)"', re.DOTALL)


def block(*records: AuditRecord) -> Block:
    return batch(*records).blocks[0]


def encoded(
    *records: AuditRecord, message: str = "percona", header: Header = HEADER, limit: int = 8096
) -> list[bytes]:
    encoder = Encoder(Shape(header, message, limit), SEGMENT, "audit.log")
    return encoder.messages(block(*records), NOW)


def parsed(message: bytes) -> tuple[dict[str, bytes], dict[str, str]]:
    match = GRAMMAR.fullmatch(message)
    assert match is not None, message
    params = {
        name.decode(): re.sub(rb'\\(["\\\]])', rb"\1", value).decode()
        for name, value in PARAM.findall(match["data"])
    }
    return match.groupdict(), params


def test_a_message_of_rfc_5424() -> None:
    (message,) = encoded(failed_login())
    assert message == (
        b"<12>1 2026-11-23T10:00:00Z db1 percona-audit - connect "
        b'[mysql@32473 event="connect" name="FAILED_CONNECT" user="bob" source="10.0.0.9"'
        b' status="1045" connection="7" segment="00112233445566778899aabbccddeeff" offset="0"] '
        b'{"audit_record":{"name":"Connect","timestamp":"2026-11-23T10:00:00Z",'
        b'"connection_id":"7","status":1045,"user":"bob","host":"web1","ip":"10.0.0.9"}}'
    )


def test_a_message_of_rfc_3164_is_what_the_plugin_sent() -> None:
    (message,) = encoded(failed_login(at="2026-11-03T10:00:00Z"), header=RFC3164)
    assert message.startswith(b"<12>Nov  3 10:00:00 db1 percona-audit: {")
    local = msgspec.structs.replace(RFC3164, hostname="")
    (message,) = encoded(failed_login(at="2026-11-03T10:00:00Z"), header=local)
    assert message.startswith(b'<12>Nov  3 10:00:00 percona-audit: {"audit_record":{"name":')


def test_rfc_3164_times_are_of_the_zone() -> None:
    tokyo = msgspec.structs.replace(RFC3164, zone=timezone(timedelta(hours=9)))
    (message,) = encoded(failed_login(at="2026-12-31T20:00:00.5Z"), header=tokyo)
    assert message.startswith(b"<12>Jan  1 05:00:00 ")


def test_a_year_that_receivers_refuse_does_not_stand_in_the_header() -> None:
    for at in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "2100-01-01T00:00:00Z"):
        first, second = encoded(failed_login(at=at), failed_login(at="2099-01-01T00:00:00Z"))
        fields, _ = parsed(first)
        assert fields["time"] == NOW.encode()
        assert json.loads(fields["text"])["audit_record"]["timestamp"] == at
        assert parsed(second)[0]["time"] == b"2099-01-01T00:00:00Z"


@pytest.mark.parametrize("day", ["0001-01-01", "1970-01-01", "2099-12-31", "9999-12-31"])
def test_no_time_is_too_odd(day: str) -> None:
    record = failed_login(at=f"{day}T00:00:01Z")
    for message in MESSAGES:
        for zone in (None, UTC, timezone(timedelta(hours=-12)), timezone(timedelta(hours=12))):
            header = msgspec.structs.replace(RFC3164, zone=zone)
            assert len(encoded(record, message=message, header=header)) == 1


def test_a_fraction_has_at_most_six_digits() -> None:
    (message,) = encoded(failed_login(at="2026-11-23T10:00:00.123456789Z"))
    assert parsed(message)[0]["time"] == b"2026-11-23T10:00:00.123456Z"


def test_a_record_without_a_time_is_sent_with_the_time_of_sending() -> None:
    record = AuditRecord(kind=QUERY, name="Query", sqltext="select 1")
    first, second = encoded(record, record)
    for message in (first, second):
        fields, _ = parsed(message)
        assert fields["time"] == NOW.encode()
        assert "timestamp" not in json.loads(fields["text"])["audit_record"]


def test_failed_logins_may_have_a_priority_of_their_own() -> None:
    good = AuditRecord(kind=CONNECT, status=0, timestamp="2026-11-23T10:00:00Z")
    query = AuditRecord(kind=QUERY, status=1064, timestamp="2026-11-23T10:00:00Z")
    messages = encoded(failed_login(), good, query)
    assert [message[:4] for message in messages] == [b"<12>", b"<14>", b"<14>"]


TEXTS = st.text(max_size=30) | st.sampled_from(
    ('"]\n<14>1 - - - - - - forged', "\r\n<14>forged: {}", "\\", '\\"', "]", "\x85\x7f\x00", "é°漢")
)
RECORDS = st.builds(
    AuditRecord,
    name=TEXTS,
    kind=st.sampled_from(KINDS),
    timestamp=st.none() | st.just("2026-11-23T10:00:00Z"),
    record=st.none() | TEXTS,
    connection_id=st.none() | st.integers(0, 2**63 - 1),
    status=st.none() | st.integers(0, 5000),
    sqltext=st.none() | TEXTS,
    user=st.none() | TEXTS,
    host=st.none() | TEXTS,
    ip=st.none() | TEXTS,
    db=st.none() | TEXTS,
    extra=st.none() | st.dictionaries(st.sampled_from(("table", "x")), TEXTS, max_size=2),
)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@given(st.lists(RECORDS, min_size=1, max_size=4), st.sampled_from(MESSAGES), st.booleans())
def test_nothing_forges_a_message(records: list[AuditRecord], message: str, rfc5424: bool) -> None:  # noqa: FBT001
    header = HEADER if rfc5424 else RFC3164
    messages = encoded(*records, message=message, header=header)
    assert len(messages) == len(records)
    for each in messages:
        assert not CONTROL.search(each.decode())
    assert line_framed(messages).count(b"\n") == len(messages)


@given(st.lists(RECORDS, min_size=1, max_size=4))
def test_structured_data_and_json_say_what_the_record_says(records: list[AuditRecord]) -> None:
    for message in ("percona", "ecs"):
        for index, each in enumerate(encoded(*records * 2, message=message)):
            record = records[index % len(records)]
            fields, params = parsed(each)
            assert params["event"] == record.kind
            assert params["offset"] == str(10 * index)
            assert params.get("connection") == (
                None if record.connection_id is None else str(record.connection_id)
            )
            if record.user is not None and not CONTROL.search(record.user):
                assert params["user"] == record.user
            document = json.loads(fields["text"])
            sql = document.get("db", {}).get("query", {}).get("text")
            if message == "percona":
                sql = document["audit_record"].get("sqltext")
            assert sql == record.sqltext


def test_names_of_any_length_do_not_blow_up_the_header() -> None:
    (message,) = encoded(failed_login("x" * 5000), limit=60_000)
    assert parsed(message)[1]["user"] == "x" * 256 + "...[4744 more]"


def test_cef_escapes_as_arcsight_says() -> None:
    record = failed_login("a=b|c\\d\ne")
    (message,) = encoded(record, message="cef", header=RFC3164)
    text = message.partition(b": ")[2]
    assert text.startswith(b"CEF:0|audit-shipper|mysql-audit|")
    assert b"|connect|MySQL connect failed|6|rt=1795428000000 " in text
    assert b"suser=a\\=b|c\\\\d\\ne src=10.0.0.9 shost=web1" in text


@pytest.mark.parametrize(
    ("rule", "priority", "cef"),
    [("success_after_burst", 2, 9), ("source_burst", 4, 7), ("new_error_code", 6, 3)],
)
def test_an_alert_has_the_priority_of_its_severity(rule: str, priority: int, cef: int) -> None:
    at = Sample(SEGMENT, 7)
    found = Detection(
        *(rule, at, 20, 1_795_687_200, 1_795_687_219, "a|b=\n", "203.0.113.9"),
        samples=(at, Sample(SEGMENT, 90)),
    )
    (message,) = encoded(record_of(found))
    head, params = parsed(message)
    assert int(head["pri"]) == 8 + priority  # the facility stays the sink's
    assert (head["msgid"], head["time"]) == (b"alert", b"2026-11-26T10:00:19.000Z")
    assert (params["name"], params["source"]) == (rule, "203.0.113.9")
    document = msgspec.json.decode(head["text"])["audit_record"]
    assert (document["name"], document["extra"]["rule"]) == ("Alert", rule)

    (message,) = encoded(record_of(found), message="cef", header=RFC3164)
    text = message.partition(b": ")[2]
    assert (
        b"|%b|MySQL %b|%d|rt=1795687219000 start=1795687200000 end=1795687219000 "
        % (
            rule.encode(),
            RULES[rule].meaning.encode(),
            cef,
        )
        in text
    )
    assert b"cnt=20 suser=a|b\\=\\n src=203.0.113.9 " in text
    samples = f"{SEGMENT}-7 {SEGMENT}-90"
    assert f" cs1Label=samples cs1={samples} msg=".encode() in text

    template = "{name} {kind} {ip} {count} {first} {last} {samples}: {message}"
    (message,) = encoded(record_of(found), message=template)
    assert message.endswith(
        f" {rule} alert 203.0.113.9 20 "
        f"2026-11-26T10:00:00.000Z 2026-11-26T10:00:19.000Z {samples}: "
        f"{RULES[rule].meaning}, from 203.0.113.9, account a|b=#012, 20 in 19 seconds".encode()
    )
    (message,) = encoded(failed_login("bob"), message="{user} {count}{samples}{message}.")
    assert message.endswith(b" bob .")  # a record has none of these


def test_a_template_is_filled_in() -> None:
    record = failed_login("bob")
    message = "{user}@{host} {kind} {status} {segment} {offset}"
    first, second = encoded(record, record, message=message, header=RFC3164)
    assert first.endswith(f": bob@web1 connect 1045 {SEGMENT} 0".encode())
    assert second.endswith(f": bob@web1 connect 1045 {SEGMENT} 10".encode())


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{usr}", "is none of timestamp"),
        ("{user.__class__}", "is none of"),
        ("{user!r}", "takes no format"),
        ("{user:>9999999}", "takes no format"),
        ("{user", "expected '}'"),
        ("a\nb", "one line"),
        ("{}", "is none of"),
    ],
)
def test_a_bad_template_is_told(template: str, problem: str) -> None:
    assert problem in " ".join(template_problems(template))


SQL = "select 'é漢🐬\"\\\n' " * 60


@given(st.integers(480, 4000), st.sampled_from(MESSAGES), st.text(max_size=2000))
def test_no_message_is_longer_than_the_limit_and_every_cut_is_marked(
    limit: int, message: str, sql: str
) -> None:
    record = failed_login()
    record.sqltext = SQL + sql
    (whole,) = encoded(record, message=message, limit=1_000_000)
    (short,) = encoded(record, message=message, limit=limit)
    assert len(short) <= limit
    short.decode()  # no half of a character
    if len(whole) <= limit:
        assert short == whole
    else:
        assert b" more]" in short


@pytest.mark.parametrize("message", ["percona", "ecs"])
def test_shortened_json_is_json_and_uses_the_room(message: str) -> None:
    record = failed_login()
    record.sqltext = "x" * 5000
    (short,) = encoded(record, message=message, limit=2048)
    document: Any = json.loads(parsed(short)[0]["text"])
    sql = document["db"]["query"]["text"] if message == "ecs" else None
    sql = sql or document["audit_record"]["sqltext"]
    kept = sql.partition("...")[0]
    assert sql == f"{kept}...[{5000 - len(kept)} more]"
    assert len(short) == 2048


def test_a_record_that_is_too_long_without_its_statement_is_cut_anyway() -> None:
    record = failed_login("é" * 5000)
    for message in MESSAGES:
        (short,) = encoded(record, message=message, limit=2048)
        assert len(short) <= 2048
        assert short.decode().endswith(" more]")


@given(st.text(max_size=60), st.integers(16, 80))
def test_cutting_bytes(text: str, limit: int) -> None:
    cut = cut_bytes(text.encode(), limit)
    assert len(cut) <= limit
    cut.decode()
    if cut != text.encode():
        kept, _, rest = cut.decode().rpartition("...[")
        assert text.startswith(kept)
        assert rest == f"{len(text.encode()) - len(kept.encode())} more]"


def test_framing() -> None:
    assert octet_counted([b"abc", "é".encode()]) == b"3 abc2 \xc3\xa9"
    assert line_framed([b"abc", b"d"]) == b"abc\nd\n"
    assert line_framed([]) == octet_counted([]) == b""
