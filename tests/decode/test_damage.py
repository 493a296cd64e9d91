"""Damage that concerns whole files; that of single formats is in their own tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from decode import laws
from decode.decoding import decode

from shipper.decode.percona_json import PerconaJson
from shipper.model import AuditRecord

SAMPLES = Path(__file__).parents[1] / "samples"
# One of each layout, with at least three records.
SPLIT = [
    "percona-json/percona_8.0_json_logins.json",
    "enterprise-old/enterprise_8.0_old_doc.xml",
    "enterprise-new/enterprise_8.0_new_doc.xml",
    "enterprise-json/enterprise_8.0_json_doc_events.json",
    "filter-json/percona_filter_8.0.34_json.json",
    "filter-jsonl/percona_filter_9.7_jsonl.jsonl",
    "mariadb/mariadb_1.4_file.log",
    "aurora-mysql/aurora_mysql.log",
    "mcafee-json/mcafee_activity_2015.json",
]


@pytest.mark.parametrize("name", SPLIT)
def test_a_record_split_over_two_files_takes_no_other_along(name: str) -> None:
    """Bug 1613650: a flush may put the end of a record into the next file."""
    data = (SAMPLES / name).read_bytes()
    spans = [tuple(item["span"]) for item in decode(data)]
    start, end = spans[1]
    for cut in range(start + 1, end - 1):
        first = decode(data[:cut])
        second = decode(data[cut:], start=cut)
        whole = {tuple(item["span"]) for item in first + second if "defect" not in item}
        assert set(spans) - whole <= {(start, end)}, cut
        lost = [tuple(item["span"]) for item in first + second if "defect" in item]
        if (start, end) not in whole:
            assert lost, cut


@pytest.mark.parametrize("name", SPLIT)
def test_a_fragment_without_its_header_is_read(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    items = decode(data)
    start = items[1]["span"][0]
    assert decode(data[start:], start=start) == items[1:]


@pytest.mark.parametrize("name", SPLIT)
def test_padding_and_headers_between_records_are_framing(name: str) -> None:
    data = (SAMPLES / name).read_bytes()
    items = decode(data)
    end = items[0]["span"][1]
    between = b'\n\0\0\0\0\n<?xml version="1.0" encoding="UTF-8"?>\n<AUDIT>\n'
    again = decode(data[:end] + between + data[end:])
    assert [item for item in again if "defect" in item] == []
    assert len(again) == len(items)


def test_a_record_that_nobody_foresaw_does_not_stop_the_log() -> None:
    class Fragile(PerconaJson):
        def careful(self, raw: bytes) -> AuditRecord:
            if b"5_2024" in raw:
                raise ValueError("invalid literal")
            return super().careful(raw)

        cut = staticmethod(lambda _data, start, _stop: start)

    line = b'{"audit_record":{"name":"Connect","record":"%d_2024-09-03T01:53:14","timestamp":'
    line += b'"2024-09-03T01:53:33Z","connection_id":"9","status":0,"user":"a","priv_user":"a",'
    line += b'"os_login":"","proxy_user":"","host":"h","ip":"","db":""}}\n'
    log = b"".join(line % number for number in (4, 5, 6))
    first, defect, last = laws.decode(log, formats=(Fragile,))
    assert (first["record"][0], last["record"][0]) == ("4", "6")
    assert defect["defect"] == "malformed"
    assert "invalid literal" in defect["reason"]
