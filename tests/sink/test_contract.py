"""What every sink promises (`shipper.sink.base`), against its real target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sink.blocks import SEGMENT, batch, defective, failed_login
from sink.rigs import RIGS, Rig

from shipper.detection import RULES, Detection, Sample
from shipper.document.alert import record_of
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.sink import SINKS

OTHER = "ff" * 16
HOSTILE = (
    '\'; DROP TABLE audit_data; -- \x1b[2J\n<14>forged: {"a":1}\r\n\u202e\x00 \' " \\ \ud7ff🐬'
)


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    with RIGS[request.param](tmp_path) as rig:
        yield rig


def test_every_kind_of_sink_has_a_rig() -> None:
    # `metrics` has no target that could hold records or break: test_counters.py is its contract.
    assert set(SINKS) - {"metrics"} <= {name.partition(":")[0] for name in RIGS}


def test_what_was_acknowledged_is_in_the_target(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        receipt = sink.deliver(batch(failed_login(), failed_login("eve")))
        assert (receipt.new, receipt.duplicates, receipt.refusals) == (2, 0, ())
        assert sink.deliver(batch(failed_login(), segment=OTHER)).new == 1
    assert rig.held() == Counter({(SEGMENT, 0): 1, (SEGMENT, 10): 1, (OTHER, 0): 1})


def test_a_batch_delivered_again_is_not_lost_and_where_promised_not_doubled(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login(), failed_login()))
        receipt = sink.deliver(batch(failed_login(), failed_login(), failed_login()))
        assert receipt.new + receipt.duplicates == 3
        if rig.exactly_once:
            assert receipt.duplicates == 2
    held = rig.held()
    assert set(held) == {(SEGMENT, 0), (SEGMENT, 10), (SEGMENT, 20)}
    if rig.exactly_once:
        assert max(held.values()) == 1


def test_an_outage_is_unavailable_and_loses_nothing(rig: Rig) -> None:
    if not rig.notices_outages:
        pytest.skip("its protocol has no answers: see the next test")
    with closing(rig.sink()) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login()))
        with rig.broken(), pytest.raises(UnavailableError):
            sink.deliver(batch(failed_login(), failed_login(), start=10))
        receipt = sink.deliver(batch(failed_login(), failed_login(), start=10))
        assert receipt.new + receipt.duplicates == 2
    assert set(rig.held()) == {(SEGMENT, 0), (SEGMENT, 10), (SEGMENT, 20)}


def test_after_an_outage_the_same_sink_delivers_again(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login()))
        with rig.broken(), suppress(UnavailableError):
            sink.deliver(batch(failed_login(), start=10))
        for start in (20, 30):
            # The news of the outage may come as late as now, and then the lane tries again.
            with suppress(UnavailableError):
                sink.deliver(batch(failed_login(), start=start))
        assert sink.deliver(batch(failed_login(), start=40)).new == 1
    assert (SEGMENT, 40) in rig.held()


def test_a_new_sink_goes_on_where_the_old_one_was_killed(rig: Rig) -> None:
    first = rig.sink()
    first.prepare()
    first.deliver(batch(failed_login()))
    # Not closed: the process is gone.
    with closing(rig.sink()) as second:
        second.prepare()
        second.deliver(batch(failed_login(), start=10))
    first.close()
    assert set(rig.held()) == {(SEGMENT, 0), (SEGMENT, 10)}


def test_a_defect_is_no_record(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        assert sink.deliver(defective()).new == 0
        sink.deliver(batch(failed_login(), start=10))
    assert set(rig.held()) == {(SEGMENT, 10)}


def test_hostile_text_arrives_as_one_record(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        hostile = failed_login(HOSTILE)
        hostile.host = hostile.db = hostile.sqltext = HOSTILE
        assert sink.deliver(batch(hostile, failed_login())).new == 2
    assert rig.held() == Counter({(SEGMENT, 0): 1, (SEGMENT, 10): 1})


def test_an_alert_arrives_as_a_record_does_whatever_names_stand_in_it(rig: Rig) -> None:
    alerts = [record_of(_finding(rule)) for rule in RULES]
    with closing(rig.sink()) as sink:
        sink.prepare()
        assert sink.deliver(batch(*alerts)).new == len(RULES)
        if rig.exactly_once:
            assert sink.deliver(batch(*alerts)).duplicates == len(RULES)
    assert rig.held() == Counter({(SEGMENT, 10 * number): 1 for number in range(len(RULES))})


def _finding(rule: str) -> Detection:
    at = Sample(OTHER, 1900)
    samples = (Sample(OTHER, 0), at)
    return Detection(rule, at, 20, 1_795_687_200, 1_795_687_305, HOSTILE, HOSTILE, 9, 5, 1045,
                     samples, again=True)  # fmt: skip


def test_preparing_and_closing_twice_is_harmless(rig: Rig) -> None:
    sink = rig.sink()
    sink.prepare()
    sink.prepare()
    sink.deliver(batch(failed_login()))
    sink.close()
    sink.close()
    assert set(rig.held()) == {(SEGMENT, 0)}


def test_check_finds_nothing_wrong_with_a_good_target(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        assert tuple(sink.check()) == ()
        sink.prepare()
        assert tuple(sink.check()) == ()


def test_the_lane_can_ask_how_much_and_how_many(rig: Rig) -> None:
    with closing(rig.sink()) as sink:
        assert 1 <= sink.in_flight <= 64
        assert 4096 <= sink.batch_bytes <= 64 * 1024 * 1024


def test_only_the_two_errors_are_outcomes() -> None:
    assert not issubclass(MisconfiguredError, UnavailableError)
