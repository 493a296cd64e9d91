"""Hypothesis strategies: hostile events, and damage done to logs."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import strategies as st

from corpus.event import COMMAND, KINDS, SESSION, Event, Writer
from corpus.writers import kinds, log

# What an attacker would put into a name or a statement to make a reader lose its place.
LOOKALIKES = (
    "root[root] @ localhost []",
    "a[b] @ c [d]",
    "a[b",
    "] @ ",
    "/>\n",
    "\n/>\n",
    '"/>',
    "</SQLTEXT>\n</AUDIT_RECORD>\n<AUDIT_RECORD>\n  <NAME>Quit</NAME>",
    '<AUDIT_RECORD\n  NAME="Quit"\n',
    '{"audit_record":{"name":"Quit","record":"1_2024-09-03T01:53:14"',
    '"}}\n{"audit_record":{"name":"Quit"',
    '"Quit","7_2024-09-03T01:53:14","2024-09-03T01:53:33Z","11",0,""\n',
    '","Query","7_2024-09-03T01:53:14","',
    '},\n  {\n    "timestamp": "2024-09-03 01:53:33",\n    "id": 1,',
    '{ "timestamp": "2024-09-03 01:53:33", "id": 1, "class": "audit" },',
    "\n20240903 01:53:33,db1,root,localhost,1,2,QUERY,,'x',0\n",
    "',0\n20240903 01:53:33,db1,root,h,1,0,CONNECT,,,0",
    ",1,2,QUERY,",
    '{"msg-type":"activity","date":"1438619465015"',
    '{"ts":"2024-09-03 01:53:33","type":"failed_login"',
    '{"records":[{"category":"MySqlAuditLogs"',
    "<14>Feb 12 07:18:30 host percona-audit: ",
    '<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n',
    "&lt;&amp;lt;&#10;&#x41;&bogus;&",
    "\\n\\\\\\'\\\"\\u0041\\",
    "#012#011",
    "'\"`",
    "\U0001f600\u4e16\u754c",
    "\u2028\u2029\x85\ufeff\ufffd",
    "\t\n\r\x0b\x0c\x08\x01\x1f\x7f",
    "\0",
    "%s%n",
    "]]>",
    "--",
    ",",
)

_characters = st.text(
    st.one_of(
        st.sampled_from("'\"\\<>&/,;#[]@{}\t\n\r abc"), st.characters(exclude_categories=["Cs"])
    ),
    max_size=12,
)
sql = st.lists(
    st.one_of(_characters, st.sampled_from(LOOKALIKES), st.just("SELECT 1")), max_size=4
).map("".join)
_common = st.sampled_from(("root", "app", "", "o'brien", "a,b", "x y"))
names = st.one_of(_common, _characters, st.sampled_from(LOOKALIKES))
hosts = st.sampled_from(("localhost", "", "db-7.example.org", "10.0.0.7"))
# The first plugin's `general` records cannot hold a host with a blank or a bracket: names only.
_seconds = st.integers(1_000_000_000, 1_999_999_999).map(lambda s: datetime.fromtimestamp(s, UTC))


@st.composite
def events(draw: st.DrawFn, among: tuple[str, ...] = KINDS) -> Event:
    """One event of any kind, its text hostile."""
    kind = draw(st.sampled_from(among))
    user = draw(names)
    # Where both names hold brackets and differ, USER of a general record is truly ambiguous.
    priv_user = draw(st.sampled_from((user, "app", ""))) if kind in SESSION else user
    return Event(
        kind=kind,
        sequence=draw(st.integers(1, 9_999_999)),
        time=draw(_seconds),
        connection_id=draw(st.integers(0, 2**31 - 1)),
        status=draw(st.sampled_from((0, 0, 1045, 1064))),
        command="Ping" if kind == COMMAND else draw(st.sampled_from(("Query", "Execute"))),
        command_class="error" if kind == COMMAND else draw(st.sampled_from(("select", "insert"))),
        sql="" if kind == COMMAND else draw(sql),
        user=user,
        priv_user=priv_user,
        os_login=draw(_common),
        proxy_user=draw(st.sampled_from(("", "'p'@'%'"))),
        host=draw(hosts),
        ip=draw(st.sampled_from(("", "10.0.0.7", "::1"))),
        db=draw(names),
        table=draw(_common),
        access=draw(st.sampled_from(("read", "insert", "update", "delete"))),
    )


@st.composite
def logs(draw: st.DrawFn, layout: Writer, *, most: int = 6) -> bytes:
    """An intact file of one layout; perhaps still open, perhaps with the header of a restart."""
    drawn = draw(st.lists(events(kinds(layout)), min_size=1, max_size=most))
    whole = log(layout, drawn, closed=draw(st.booleans()))
    return whole + (log(layout, drawn[:1]) if draw(st.booleans()) else b"")


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` after a crash, a bad disk or a careless operator."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        until = min(len(data), at + draw(st.integers(0, 40)))
        token = _TOKEN.search(data, at)
        odd = draw(st.sampled_from(_ODD))
        junk = draw(st.sampled_from(_JUNK) | st.binary(max_size=20))
        data = draw(
            st.sampled_from(
                (
                    data[:at],
                    data[:at] + data[until:],
                    data[:at] + junk + data[at:],
                    data[:at] + junk + data[until:],
                    data[:at] + bytes(byte ^ 1 for byte in data[at : at + 1]) + data[at + 1 :],
                    data + b"\0" * (at % 50),
                    data[:at] + data,
                    data[: token.start()] + odd + data[token.end() :] if token else data,
                )
            )
        )
    return data


# Where a value is expected, something of the wrong kind, or of the right kind but odd.
_ODD: tuple[bytes, ...] = (
    b"null",
    b"true",
    b"-0",
    b"1e2",
    b"5.0",
    b'"5.0"',
    b'""',
    b"[]",
    b"{}",
    b"0x1",
    b"\\ud800",
)
_ODD += (b"9" * 20, b"-1", b"007", b'" 7"', b"1_0", "\u0661".encode(), b"\\u0000", b"NaN")
_TOKEN = re.compile(rb'"[^"\n]*"|\d+|[A-Za-z_]+')

_JUNK = (
    b'"user":"x",',
    b'  USER="x"\n',
    b"  <USER>x</USER>\n",
    b"&#0;&#x110000;&#99999999999;",
    b"\0" * 9,
    b"\n",
    b"\r\n",
    b'"',
    b"null\n",
    b"]\n[\n",
    b"\xff\xfe",
    b"\xe9",
    b"{",
    b"<AUDIT_RECORD",
    *(text.encode() for text in LOOKALIKES),
)
