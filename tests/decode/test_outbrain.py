"""Outbrain's login lines."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from decode.decoding import decode

from shipper.decode import Options

LINE = (
    b'{"ts":"2016-03-14 09:26:53","type":"failed_login","myhost":"db","thread":"4711",'
    b'"user":"app","priv_user":"","host":"h","ip":"10.0.0.7"}\n'
)


def test_a_failed_login_gets_the_status_that_its_name_means() -> None:
    failed, passed = decode(LINE + LINE.replace(b"failed", b"successful"))
    assert (failed["kind"], failed["name"], failed["status"]) == ("connect", "failed_login", 1045)
    assert failed["extra"] == {"myhost": "db", "status_assumed": True}
    assert (passed["status"], passed["extra"]) == (0, {"myhost": "db"})
    assert (failed["user"], failed["priv_user"], failed["connection_id"]) == ("app", "", 4711)


def test_a_missing_address_is_empty_and_not_the_word_null() -> None:
    (item,) = decode(LINE.replace(b"10.0.0.7", b"(null)"))
    assert item["ip"] == ""


def test_time_is_the_servers_own() -> None:
    (item,) = decode(LINE, options=Options(timezone=ZoneInfo("Asia/Tokyo")))
    assert item["timestamp"] == "2016-03-14T00:26:53Z"


@pytest.mark.parametrize(
    "wrong",
    [
        LINE.replace(b'"app"', b'"x","user":"root"'),
        LINE.replace(b'"app"', b'"x"y"'),
        LINE.replace(b"failed_login", b"logout"),
        LINE.replace(b'"4711"', b'"many"'),
        LINE.replace(b'"4711"', b"4711"),
        LINE.replace(b"09:26", b"29:26"),
    ],
)
def test_a_line_that_cannot_be_believed_is_a_defect_of_its_own(wrong: bytes) -> None:
    before, defect, after = decode(LINE + wrong + LINE)
    assert defect["defect"] == "malformed"
    assert defect["span"] == [len(LINE), len(LINE) + len(wrong)]
    assert before["user"] == after["user"] == "app"


@pytest.mark.parametrize("between", [b"", b"\n", b"\0\0\0\n", b"\xffjunk\n"])
def test_a_line_cut_anywhere_does_not_take_the_next_one_along(between: bytes) -> None:
    for cut in range(1, len(LINE) - 1):
        *defects, item = decode(LINE[:cut] + between + LINE)
        assert item["span"] == [cut + len(between), cut + len(between) + len(LINE)]
        assert item["user"] == "app"
        assert all(each.get("defect") for each in defects)
