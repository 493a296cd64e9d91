"""The findings log's lines: what the detector said comes out again, and nobody else can say it."""

from __future__ import annotations

import pytest
from decode import laws
from hypothesis import given
from hypothesis import strategies as st

from shipper.decode import FORMATS, OWN
from shipper.detection import RULES, Detection, Sample, from_line, to_line
from shipper.document.alert import record_of
from shipper.document.flat import flat
from shipper.model import KINDS, Span

# Any text that the detector gives: bounded, without lone surrogates.
TEXTS = st.none() | st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
NUMBERS = st.none() | st.integers(0, 2**40)
SAMPLES = st.builds(Sample, st.text("0123456789abcdef", max_size=32), st.integers(0, 2**50))
DETECTIONS = st.builds(
    Detection,
    rule=st.sampled_from(sorted(RULES)),
    at=SAMPLES,
    count=st.integers(0, 2**40),
    first=st.integers(-62_135_596_800, 253_402_300_799),
    last=st.integers(-62_135_596_800, 253_402_300_799),
    user=TEXTS,
    source=TEXTS,
    accounts=NUMBERS,
    networks=NUMBERS,
    error_code=NUMBERS,
    samples=st.lists(SAMPLES, max_size=5).map(tuple),
    again=st.booleans(),
)
LINE = to_line(Detection("source_burst", Sample("ab", 7), 20, 5, 9, source="203.0.113.9"))


@given(DETECTIONS)
def test_what_was_found_is_what_is_read(detection: Detection) -> None:
    line = to_line(detection)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert from_line(line) == detection
    (item,) = laws.decode(line, formats=OWN)
    assert item == flat(record_of(detection), Span(0, len(line)))


@given(st.lists(DETECTIONS, max_size=4), st.data())
def test_the_laws_hold_of_whole_and_of_torn_lines(
    detections: list[Detection], data: st.DataObject
) -> None:
    log = bytearray(b"".join(map(to_line, detections)))
    begin = data.draw(st.integers(0, len(log)))
    log[begin : data.draw(st.integers(begin, len(log)))] = data.draw(
        st.sampled_from([b"", b"\n", b'{"rule":"', b"\xff", b"null", b"[1]"])
    )
    laws.check_all(bytes(log), data.draw(st.integers(0, len(log))), formats=OWN)


@pytest.mark.parametrize(
    "wrong",
    [
        LINE.replace(b"source_burst", b"no_such_rule"),
        LINE.replace(b'"first":5', b'"first":99999999999999'),
        LINE.replace(b'"first":5', b'"first":"5"'),
        LINE.replace(b'"last":9', b'"lost":9'),
        LINE[:-20] + b"\n",
    ],
)
def test_what_is_no_finding_is_a_defect_and_its_neighbours_are_read(wrong: bytes) -> None:
    before, item, after = laws.decode(LINE + wrong + LINE, formats=OWN)
    assert item["defect"] == "malformed"
    assert before["name"] == after["name"] == "source_burst"


def test_no_audit_log_can_forge_an_alert() -> None:
    """A line of ours in a server's log is foreign bytes, whatever stands around it."""
    assert not set(OWN) & set(FORMATS)
    for text in (LINE, b"x" + LINE, b"<14>Nov 26 10:00:00 db1 audit: " + LINE):
        assert all("defect" in item or item["kind"] in KINDS for item in laws.decode(text))
