"""The five laws, over every layout the corpus writes, every sample, intact and damaged.

chunk: any cutting of the bytes gives the same items. resume: a new decoder at any item boundary
gives the rest. account: bytes in no item are framing. total: any bytes, no exception. truth: what
`fast` says is what `careful` says (the truth itself: test_samples.py, test_round_trip.py).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from corpus.event import Writer
from corpus.strategies import damaged, logs
from corpus.writers import WRITERS
from decode import laws
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shipper.decode import FORMATS, Format, Options
from shipper.decode.base import Context

KNOWN = {format_.__name__ for format_ in FORMATS}
LAYOUTS = [w for w in WRITERS if w.reader in KNOWN and (not w.wrapped or "Syslog" in KNOWN)]
SAMPLES = sorted(
    path
    for path in (Path(__file__).parents[1] / "samples").glob("*/*")
    if not path.name.endswith(".expected.jsonl")
)
# LAWS_SCALE=20 before a release: the same properties, searched longer.
SCALE = int(os.environ.get("LAWS_SCALE", "1"))
BYTEWISE_MAX = 3000  # larger inputs are cut at random places instead
OPTIONS = st.sampled_from((None, Options(record_bytes_max=300), Options(record_bytes_max=2000)))


def laws_settings(examples: int) -> settings:
    return settings(
        max_examples=examples * SCALE,
        deadline=None,
        # In CI the same examples every time: a failure there belongs to the change under test.
        derandomize=bool(os.environ.get("CI")),
        # No explanations: they trace every line and make shrinking of failures very slow.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


by_layout = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)
by_sample = pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)


@by_layout
@given(data=st.data())
@laws_settings(15)
def test_intact_logs_keep_the_laws(layout: Writer, data: st.DataObject) -> None:
    log = data.draw(logs(layout))
    laws.check_all(log, data.draw(st.integers(0, len(log))), data.draw(OPTIONS))


@by_layout
@given(data=st.data())
@laws_settings(25)
def test_damaged_logs_keep_the_laws(layout: Writer, data: st.DataObject) -> None:
    log = data.draw(damaged(data.draw(logs(layout, most=4))))
    laws.check_all(log, data.draw(st.integers(0, len(log))), data.draw(OPTIONS))


@given(data=st.data())
@laws_settings(60)
def test_a_file_that_changes_its_layout_keeps_the_laws(data: st.DataObject) -> None:
    layouts = data.draw(st.lists(st.sampled_from(LAYOUTS), min_size=2, max_size=3))
    log = b"".join(data.draw(logs(layout, most=2)) for layout in layouts)
    log = data.draw(damaged(log))
    laws.check_all(log, data.draw(st.integers(0, len(log))), data.draw(OPTIONS))


@by_layout
@given(data=st.data())
@laws_settings(4)
def test_bytes_that_come_one_by_one_keep_the_laws(layout: Writer, data: st.DataObject) -> None:
    log = data.draw(damaged(data.draw(logs(layout, most=2))))[:BYTEWISE_MAX]
    options = data.draw(OPTIONS)
    laws.check_bytewise(log, laws.decode(log, options), options)


@given(data=st.binary(max_size=600), cut=st.integers(0, 600), options=OPTIONS)
@laws_settings(150)
def test_arbitrary_bytes_keep_the_laws(data: bytes, cut: int, options: Options | None) -> None:
    laws.check_all(data, min(cut, len(data)), options)


@by_sample
def test_samples_keep_the_laws_however_they_are_cut(path: Path) -> None:
    data = path.read_bytes()
    items = laws.check_all(data, len(data) // 2)
    for size in (7, 100, 4096):
        laws.check_chunks(data, items, range(0, len(data), size), None)
    for item in items:
        laws.check_resume(data, items, item["span"][1], None)
    if len(data) <= BYTEWISE_MAX:
        laws.check_bytewise(data, items, None)


@by_sample
@given(data=st.data())
@laws_settings(8)
def test_damaged_samples_keep_the_laws(path: Path, data: st.DataObject) -> None:
    log = data.draw(damaged(path.read_bytes()[:8000]))
    laws.check_all(log, data.draw(st.integers(0, len(log))), data.draw(OPTIONS))


@pytest.mark.parametrize("format_", FORMATS, ids=lambda each: each.name)
@pytest.mark.parametrize("data", [b"", b"<", b"<A", b"12,", b'{"a', b'"Q'])
def test_where_no_record_ends_nothing_is_offered(format_: type[Format], data: bytes) -> None:
    """OLD XML once offered the first two bytes, again and again."""
    assert format_(Context(Options())).cut(data, 0, len(data)) == 0
