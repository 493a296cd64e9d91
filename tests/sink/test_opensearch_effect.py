"""Setup says what would have no effect: foreign parts, stronger templates, an index made before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clocks import FakeClock
from sink.blocks import batch, failed_login
from sink.rigs.opensearch import OpenSearchRig, opensearch

from shipper.clock import rfc3339
from shipper.errors import MisconfiguredError
from shipper.notices import Notice, Trouble
from shipper.sink import Surroundings, opensearch_connection
from shipper.sink.opensearch_body import Body
from shipper.sink.opensearch_connection import Cluster
from shipper.sink.opensearch_setup import Setup
from shipper.sink.opensearch_steps import TROUBLES, State, Step
from shipper.sink.opensearch_wire import Reading, all_created, read

NOW = 1_700_000_000.0  # 2023-11-14
TODAY = "2023.11.14"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[OpenSearchRig]:
    with opensearch(tmp_path) as rig:
        yield rig


def found(rig: OpenSearchRig, *, write: bool = True, **changes: Any) -> list[Step]:
    with closing(Cluster(rig.settings(**changes), FakeClock())) as cluster:
        steps = Setup(cluster, rig.settings(**changes), NOW, write=write).run()
    return [step for step in steps if step.state in TROUBLES]


def checked(rig: OpenSearchRig, **changes: Any) -> str:
    with closing(rig.sink(Surroundings(FakeClock(NOW)), **changes)) as sink:
        return "\n".join(sink.check())


def test_no_index_template_is_made_of_a_foreign_part(rig: OpenSearchRig) -> None:
    user = {"template": {"mappings": {"properties": {"user": {"type": "keyword"}}}}}
    rig.server.call("PUT", f"/_component_template/{rig.base}-fields", user)
    told: list[Notice] = []
    with closing(rig.sink(Surroundings(FakeClock(NOW), told.append))) as sink:
        sink.prepare()
        rig.server.call("GET", f"/_index_template/{rig.base}", ok=(404,))
        # Shipped nevertheless, with the cluster's own guess at a mapping: nothing is refused.
        assert sink.deliver(batch(failed_login(at=rfc3339(NOW)))).new == 1
    said = [notice.detail for notice in told if isinstance(notice, Trouble)]
    assert len(said) == 2
    assert all(f"/_component_template/{rig.base}-fields" in each for each in said)
    steps = found(rig)
    assert [step.state for step in steps] == [State.FOREIGN, State.HELD, State.FOREIGN]
    assert steps[-1].path == f"/{rig.base}-{TODAY}"


def test_a_part_that_becomes_foreign_later_is_seen(rig: OpenSearchRig) -> None:
    assert found(rig) == []
    rig.server.call("PUT", f"/_component_template/{rig.base}-fields", {"template": {}})
    assert [step.state for step in found(rig)] == [State.FOREIGN, State.OVERRULED]


@pytest.mark.parametrize("before", [True, False])
def test_a_stronger_template_is_named(rig: OpenSearchRig, *, before: bool) -> None:
    if before:
        assert found(rig) == []
    rival = {"index_patterns": ["no-*", f"{rig.base}-*"], "priority": 5000}
    rig.server.call("PUT", f"/_index_template/{rig.base}x", rival)
    for _ in range(2):  # first as `check` and a dry run see it, then as setup does
        said = checked(rig)
        assert f"/_index_template/{rig.base}x (priority 5000) wins over" in said
        assert said == "\n".join(step.detail for step in found(rig))
    with (
        closing(rig.sink(Surroundings(FakeClock(NOW)), setup="require")) as sink,
        pytest.raises(MisconfiguredError, match="wins over"),
    ):
        sink.prepare()


@pytest.mark.parametrize(
    "rival",
    [
        {"priority": 499},
        {"priority": 5000, "index_patterns": ["nobodys-*"]},
        {"priority": 5000, "composed_of": ["{base}-fields"]},  # the operator's way to add to ours
    ],
)
def test_other_templates_are_no_trouble(rig: OpenSearchRig, rival: dict[str, Any]) -> None:
    assert found(rig) == []
    parts = [each.format(base=rig.base) for each in rival.get("composed_of", ())]
    body = {"index_patterns": [f"{rig.base}*"]} | rival | {"composed_of": parts}
    rig.server.call("PUT", f"/_index_template/{rig.base}x", body)
    assert found(rig) == []
    assert checked(rig) == ""


@pytest.mark.parametrize(("pattern", "day"), [("{}-%Y.%m.%d", f"-{TODAY}"), ("{}", "")])
def test_an_index_that_was_there_before_is_named(
    rig: OpenSearchRig, pattern: str, day: str
) -> None:
    index = pattern.format(rig.base)
    rig.server.call("PUT", f"/{rig.base}{day}")
    assert f"the index {rig.base}{day} is there" in checked(rig, index=index)
    (step,) = found(rig, index=index)
    assert step.state == State.FOREIGN
    rig.server.call("DELETE", f"/{rig.base}{day}")
    rig.server.call("PUT", f"/{rig.base}{day}")  # after setup: with our template
    assert checked(rig, index=index) == ""


def test_data_streams_and_aliases(rig: OpenSearchRig) -> None:
    stream: dict[str, Any] = {"index": rig.base, "data_stream": True}
    assert found(rig, **stream) == []
    rig.server.call("PUT", f"/_data_stream/{rig.base}")
    assert checked(rig, **stream) == ""
    # An alias leads to indexes of the operator's.
    rig.server.call("PUT", f"/{rig.base}-of-theirs", {"aliases": {f"{rig.base}z": {}}})
    assert found(rig, index=f"{rig.base}z") == []


def test_check_misses_a_pipeline(rig: OpenSearchRig) -> None:
    for setup in ("auto", "off"):
        assert "no ingest pipeline nope" in checked(rig, setup=setup, pipeline="nope")
    pipeline = f"/_ingest/pipeline/{rig.base}"
    rig.server.call("PUT", pipeline, {"processors": []})
    try:
        assert checked(rig, pipeline=rig.base) == ""
    finally:
        rig.server.call("DELETE", pipeline)


def test_what_is_compared_is_what_a_server_answers(
    rig: OpenSearchRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bytes] = []

    def reading(answer: bytes, body: Body) -> Reading:
        answers.append(answer)
        return read(answer, body)

    monkeypatch.setattr(opensearch_connection, "read", reading)
    with closing(rig.sink(Surroundings(FakeClock(NOW)))) as sink:
        sink.prepare()
        records = [failed_login(at=rfc3339(NOW)) for _ in range(3)]
        assert sink.deliver(batch(*records)).new == 3
        assert sink.deliver(batch(*records)).duplicates == 3
    assert answers[0] == all_created(3) != answers[1]
