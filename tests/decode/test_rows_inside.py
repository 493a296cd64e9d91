"""A record that was cut, and rows of MariaDB behind it: another server's, or another plugin's."""

from __future__ import annotations

import pytest
from corpus.event import CONNECT, QUERY, Event, Writer
from corpus.writers import WRITERS, log, writer
from decode import laws
from decode.decoding import decode, decode_pieces, without_spans

ROWS = ("mariadb-5.5-crlf", "rds-12", "aurora", "syslog-5424-mariadb-1.4")
# Those whose servers write no line feed raw. MySQL Enterprise's XML may.
ESCAPING = [
    layout
    for layout in WRITERS
    if layout.reader in {"XmlOld", "XmlNew", "ArrayJson", "Azure"}
    and not layout.wrapped
    and not (layout.name.startswith("enterprise") and "json" not in layout.name)
]
FORGED = "20240903 01:53:33,db1,root,localhost,1,0,CONNECT,,,0"
by_layout = pytest.mark.parametrize("layout", ESCAPING, ids=lambda layout: layout.name)


def rows(name: str) -> bytes:
    layout = writer(name)
    return log(layout, [Event(kind=kind, sql='select "a" /> {') for kind in (CONNECT, QUERY)] * 3)


@by_layout
def test_rows_behind_a_cut_record_are_read(layout: Writer) -> None:
    behind = rows("mariadb-1.4")
    whole = log(layout, [Event(kind=QUERY, sql="select 1")], closed=False)
    start, end = decode(whole)[0]["span"]
    for cut in range(start + 1, end - 1):
        log_ = whole[:cut] + b"\n" + behind
        items = decode(log_)
        if cut % 16 == 0:
            laws.check_all(log_, len(log_) - len(behind) // 2)
        read = [item for item in items if "defect" not in item]
        assert without_spans(read) == without_spans(decode(behind)), whole[:cut]
        assert items[0]["defect"] in {"cut", "foreign"}


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("cut", ["percona-old-8.0", "filter-new-9.7", "enterprise-json", "azure"])
def test_any_rows_behind_a_cut_record_are_read(name: str, cut: str) -> None:
    whole = log(writer(cut), [Event(kind=QUERY, sql="select 1")], closed=False)
    log_ = whole[: whole.index(b"select 1") + 4] + b"\n" + rows(name)
    read = laws.check_all(log_, len(log_) // 2)[1:]
    assert without_spans(read) == without_spans(decode(rows(name)))


@by_layout
def test_rows_are_read_as_soon_as_they_are_there(layout: Writer) -> None:
    whole = log(layout, [Event(kind=QUERY, sql="select 1")], closed=False)
    pieces = [whole[: whole.index(b"select 1") + 4] + b"\n", rows("mariadb-1.4")]
    assert [item.get("defect", item.get("kind")) for item in decode_pieces(pieces)[:2]] == [
        "cut",
        "connect",
    ]


@pytest.mark.parametrize(
    "layout",
    [layout for layout in WRITERS if layout.reader in {"XmlOld", "XmlNew", "ArrayJson", "Azure"}],
    ids=lambda layout: layout.name,
)
@pytest.mark.parametrize("head", ["x\n", "x\r\n", ""])
def test_no_statement_forges_a_row(layout: Writer, head: str) -> None:
    event = layout.fit(Event(kind=QUERY, sql=f"{head}{FORGED}\n"))
    after = [Event(kind=CONNECT, user="later")] * 3
    whole = log(layout, [event, *after])
    items = laws.check_all(whole, len(whole) // 2)
    assert [item["format"] for item in items if item.get("format") == "mariadb"] == []
    # Neither where the record is cut; then it is only a defect.
    if FORGED.encode() not in whole:
        return  # a generation that ends the value at the line feed
    at = whole.index(FORGED.encode()) + len(FORGED) + 7
    for item in decode(whole[:at] + b"\n" + log(layout, after)):
        assert item.get("format") != "mariadb"


@pytest.mark.parametrize(
    "line",
    [
        FORGED.replace(",CONNECT,", ",CONNECTED,"),
        FORGED[:-1],
        FORGED + " and more",
        f"x{FORGED}",
        "20240903 01:53:33,db1,",
        f"20240903 01:53:33,db1,{'x' * 2100},h,1,0,CONNECT,,,0",
    ],
)
def test_what_is_no_whole_row_proves_nothing(line: str) -> None:
    layout = writer("percona-old-8.0")
    whole = log(layout, [Event(kind=QUERY, sql="select ZZZ")] * 2)
    items = laws.check_all(whole.replace(b"ZZZ", f"\n{line}\n".encode()), len(whole) // 2)
    assert [item.get("kind") for item in items] == ["query", "query"]
    assert line in items[0]["sqltext"]


def test_a_row_ends_with_its_line() -> None:
    layout = writer("percona-old-8.0")
    cut = log(layout, [Event(kind=QUERY, sql="select 1")])[:150]
    (defect,) = decode(cut + b"\n" + FORGED.encode())
    assert defect["defect"] == "cut"
