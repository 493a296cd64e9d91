"""Setup and retention: get, compare, put; what is not ours stays as it is."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import orjson
import pytest
from clocks import FakeClock
from servers import need
from servers.ism import Ism
from servers.opensearch import HOME
from servers.proxy import Answer, Proxy, proxy
from sink.blocks import batch, failed_login
from sink.rigs.opensearch import OpenSearchRig, opensearch

from shipper.clock import rfc3339
from shipper.document.fields import FIELDS
from shipper.errors import MisconfiguredError
from shipper.notices import Mended, Notice, Trouble
from shipper.sink import Surroundings
from shipper.sink.opensearch import Settings
from shipper.sink.opensearch_connection import Cluster
from shipper.sink.opensearch_resources import policy
from shipper.sink.opensearch_retention import delete
from shipper.sink.opensearch_setup import Setup
from shipper.sink.opensearch_steps import State, Step

DAY = 86_400.0
START = 1_700_000_000.0  # 2023-11-14


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[OpenSearchRig]:
    with opensearch(tmp_path) as rig:
        yield rig


@pytest.fixture
def between(rig: OpenSearchRig) -> Iterator[Proxy]:
    with proxy(rig.server.url) as between:
        yield between


def run(rig: OpenSearchRig, between: Proxy, *, write: bool = True, **changes: Any) -> list[Step]:
    settings = rig.settings(urls=(between.url,), **changes)
    with closing(Cluster(settings, FakeClock())) as cluster:
        return Setup(cluster, settings, START, write=write).run()


def states(steps: list[Step]) -> list[State]:
    return [step.state for step in steps]


def writes(between: Proxy) -> list[str]:
    """Give the paths of what may change something; to simulate is a POST that does not."""
    asked = [each for each in between.requests if "/_simulate_index/" not in each.path]
    return [each.path for each in asked if each.method not in ("GET", "HEAD")]


@pytest.mark.parametrize("data_stream", [False, True])
def test_a_second_run_writes_nothing(
    rig: OpenSearchRig, between: Proxy, *, data_stream: bool
) -> None:
    changes: dict[str, Any] = {"index": rig.base, "data_stream": True} if data_stream else {}
    assert states(run(rig, between, **changes)) == [State.MADE] * 4
    assert len(writes(between)) == 4
    assert states(run(rig, between, **changes)) == [*[State.SAME] * 2, State.KEPT, State.SAME]
    assert len(writes(between)) == 4


def test_a_dry_run_writes_nothing(rig: OpenSearchRig, between: Proxy) -> None:
    assert states(run(rig, between, write=False)) == [State.MADE] * 4
    assert writes(between) == []
    assert states(run(rig, between)) == [State.MADE] * 4


def test_a_changed_setting_is_written_and_nothing_else(rig: OpenSearchRig, between: Proxy) -> None:
    run(rig, between)
    before = len(writes(between))
    steps = run(rig, between, shards=3, replicas=2)
    assert states(steps) == [State.RENEWED, State.SAME, State.KEPT, State.SAME]
    assert writes(between)[before:] == [f"/_component_template/{rig.base}-settings"]
    # And what is no longer wanted goes.
    assert states(run(rig, between))[0] == State.RENEWED
    assert states(run(rig, between))[0] == State.SAME


def test_what_somebody_changed_in_ours_is_put_right(rig: OpenSearchRig, between: Proxy) -> None:
    run(rig, between)
    path = f"/_component_template/{rig.base}-fields"
    found = rig.server.call("GET", path)["component_templates"][0]["component_template"]
    del found["template"]["mappings"]["properties"]["user"]
    rig.server.call("PUT", path, found)
    assert states(run(rig, between))[1] == State.RENEWED
    assert states(run(rig, between))[1] == State.SAME


def test_a_foreign_template_is_reported_and_left_alone(rig: OpenSearchRig, between: Proxy) -> None:
    foreign = {"index_patterns": [f"{rig.base}-*"], "priority": 1, "_meta": {"managed_by": "them"}}
    path = f"/_index_template/{rig.base}"
    rig.server.call("PUT", path, foreign)
    steps = run(rig, between)
    assert steps[-1].state == State.FOREIGN
    assert rig.base in steps[-1].detail
    found = rig.server.call("GET", path)["index_templates"][0]["index_template"]
    assert found["_meta"] == {"managed_by": "them"}


def test_a_later_versions_template_is_left_alone(rig: OpenSearchRig, between: Proxy) -> None:
    run(rig, between)
    path = f"/_component_template/{rig.base}-fields"
    later = {"template": {}, "_meta": {"managed_by": "audit-shipper", "version": 999}}
    rig.server.call("PUT", path, later)
    assert states(run(rig, between))[1] == State.NEWER


def test_the_operators_own_component_is_stronger_and_stays(
    rig: OpenSearchRig, between: Proxy
) -> None:
    own = {"template": {"settings": {"index.refresh_interval": "17s"}}}
    rig.server.call("PUT", f"/_component_template/{rig.base}-custom", own)
    run(rig, between)
    run(rig, between)
    name = f"{rig.base}-2026.11.23"
    made = rig.server.call("POST", f"/_index_template/_simulate_index/{name}")
    assert made["template"]["settings"]["index"]["refresh_interval"] == "17s"


def test_the_index_has_the_mapping_of_the_field_table(rig: OpenSearchRig) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        sink.deliver(batch(failed_login()))
    ((_, found),) = rig.server.call("GET", f"/{rig.base}-*/_mapping").items()
    assert found["mappings"]["dynamic"] == "false"
    assert dict(_types(found["mappings"]["properties"])) == FIELDS


def _types(properties: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for key, value in properties.items():
        if "properties" in value:
            yield from _types(value["properties"], f"{path}{key}.")
        else:
            yield path + key, value["type"]


@pytest.mark.parametrize(
    ("index", "data_stream", "place"),
    [
        ("{}-%Y.%m.%d", False, "{}-2026.11.23"),
        ("{}-%Y-%m", False, "{}-2026-11"),
        ("{}", False, "{}"),
        ("{}", True, ".ds-{}-000001"),
    ],
)
def test_days_months_one_index_and_a_data_stream(
    rig: OpenSearchRig, index: str, place: str, *, data_stream: bool
) -> None:
    sink = rig.sink(index=index.format(rig.base), data_stream=data_stream)
    with closing(sink):
        sink.prepare()
        assert sink.deliver(batch(failed_login(), failed_login())).new == 2
        assert sink.deliver(batch(failed_login(), failed_login())).duplicates == 2
    assert {hit["_index"] for hit in rig.documents()} == {place.format(rig.base)}


PAGE = Answer(200, b"<html>please log in</html>", {"content-type": "text/html"})
OTHERS = [
    Answer(404, b"<html>no such path</html>", {"content-type": "text/html"}),
    *(Answer(200, said, {"content-type": "application/json"}) for said in (b"{}", b"[]", b"")),
]


@pytest.mark.parametrize("answer", [PAGE, *OTHERS])
@pytest.mark.parametrize("retention", ["ism", "own"])
def test_what_is_no_opensearch_is_said_to_be_none(
    rig: OpenSearchRig, between: Proxy, answer: Answer, retention: str
) -> None:
    between.fault = lambda _request: answer
    with closing(rig.sink(urls=(between.url,), retention=retention)) as sink:
        with pytest.raises(MisconfiguredError, match="does not look like OpenSearch"):
            sink.prepare()
        assert "does not look like OpenSearch" in "".join(sink.check())


def test_a_path_into_opensearch_is_a_wrong_url(rig: OpenSearchRig) -> None:
    """The server takes it for the name of an index."""
    with closing(rig.sink(urls=(f"{rig.server.url}/nowhere",))) as sink:
        (finding,) = sink.check()
        assert "a wrong path in the url?" in finding
        with pytest.raises(MisconfiguredError, match="answered 400: no handler found for uri"):
            sink.prepare()


@pytest.mark.parametrize("path", ["/_index_template/_simulate_index/", "/_mapping"])
def test_a_page_in_the_middle_of_setup_likewise(
    rig: OpenSearchRig, between: Proxy, path: str
) -> None:
    between.fault = lambda request: PAGE if path in request.path else None
    sink = rig.sink(urls=(between.url,))
    with closing(sink), pytest.raises(MisconfiguredError, match="does not look like OpenSearch"):
        sink.prepare()


# --- The policy: against the stand-in, in front of the real server.


def test_a_policy_is_made_once_and_before_the_templates(rig: OpenSearchRig, between: Proxy) -> None:
    ism = Ism()
    between.fault = ism.fault
    assert states(run(rig, between, retention="ism")) == [State.MADE] * 5
    assert writes(between)[0].startswith("/_plugins/_ism/policies/")
    assert states(run(rig, between, retention="ism"))[0] == State.SAME
    assert states(run(rig, between, retention="ism", retention_days=30))[0] == State.RENEWED
    assert states(run(rig, between, retention="ism", retention_days=30))[0] == State.SAME
    assert ism.writes == 2


def test_a_policy_that_another_shipper_just_wrote_is_no_error(
    rig: OpenSearchRig, between: Proxy
) -> None:
    ism = Ism()
    between.fault = ism.fault
    run(rig, between, retention="ism")

    def raced(request: Any) -> Any:
        if request.method == "PUT" and "_ism" in request.path:
            number, policy = ism.policies[rig.base]
            ism.policies[rig.base] = (number + 1, policy)
        return ism.fault(request)

    between.fault = raced
    assert states(run(rig, between, retention="ism", retention_days=30))[0] == State.SAME


def test_a_foreign_policy_is_left_alone(rig: OpenSearchRig, between: Proxy) -> None:
    ism = Ism()
    ism.policies[rig.base] = (3, {"description": "theirs", "states": [], "ism_template": []})
    between.fault = ism.fault
    assert states(run(rig, between, retention="ism"))[0] == State.FOREIGN
    assert ism.writes == 0


def test_without_the_plugin_setup_says_so_plainly(rig: OpenSearchRig, between: Proxy) -> None:
    """The real server, which has no such plugin."""
    first, *others = run(rig, between, retention="ism")
    assert (first.state, states(others)) == (State.ABSENT, [State.MADE] * 4)
    assert "retention: own" in first.detail


def test_a_data_stream_is_not_told_of_what_its_settings_refuse(
    rig: OpenSearchRig, between: Proxy
) -> None:
    stream: dict[str, Any] = {"index": rig.base, "data_stream": True}
    first, *_ = run(rig, between, retention="ism", **stream)
    assert first.state == State.ABSENT
    assert "retention: own" not in first.detail
    assert "retention: off" in first.detail


def test_names_that_begin_alike_do_not_get_in_each_others_way(
    rig: OpenSearchRig, between: Proxy
) -> None:
    """Else the policy of one deleted the other's indexes, and its template was refused."""
    ism = Ism()
    between.fault = ism.fault
    for index in (f"{rig.base}-%Y.%m.%d", f"{rig.base}-prod-%Y.%m.%d"):
        steps = run(rig, between, retention="ism", index=index)
        assert states(steps) == [State.MADE] * 5
    patterns = [
        pattern
        for _, policy in ism.policies.values()
        for template in policy["ism_template"]
        for pattern in template["index_patterns"]
    ]
    name = f"{rig.base}-prod-2026.11.26"
    assert [each for each in patterns if fnmatchcase(name, each)] == [f"{rig.base}-prod-20*"]
    assert not [each for each in patterns if fnmatchcase(f"{rig.base}-undated", each)]


def test_one_plain_index_has_no_policy_that_deletes_it_whole(
    rig: OpenSearchRig, between: Proxy
) -> None:
    ism = Ism()
    between.fault = ism.fault
    assert states(run(rig, between, retention="ism", index=rig.base)) == [State.MADE] * 4
    assert ism.writes == 0


def test_auto_tells_require_stops_off_is_silent(rig: OpenSearchRig, between: Proxy) -> None:
    told: list[Notice] = []
    around = Surroundings(tell=told.append)
    with closing(rig.sink(around, urls=(between.url,), retention="ism")) as sink:
        sink.prepare()
        sink.prepare()
        assert sink.deliver(batch(failed_login())).new == 1
        between.fault = Ism().fault
        sink.prepare()
    assert [type(notice) for notice in told] == [Trouble, Mended]
    assert "retention: own" in str(told[0])
    between.fault = lambda _request: None
    with closing(rig.sink(retention="ism", setup="require")) as sink:
        with pytest.raises(MisconfiguredError, match="retention: own"):
            sink.prepare()
        assert any("retention: own" in problem for problem in sink.check())
    before = len(between.requests)
    with closing(rig.sink(urls=(between.url,), retention="ism", setup="off")) as sink:
        sink.prepare()
    assert len(between.requests) == before


@pytest.mark.parametrize("data_stream", [False, True])
def test_the_clients_own_types_take_the_policy_strictly(*, data_stream: bool) -> None:
    index = "mysql-audit" if data_stream else "mysql-audit-%Y.%m.%d"
    settings = Settings(urls=("http://x",), index=index, data_stream=data_stream)
    made = policy(settings)
    assert made is not None
    body = made.body
    assert ismcheck(body) == ""
    # And that it is strict: a misspelt key and a value of another type.
    body["policy"]["states"][0]["transitions"][0]["conditions"] = {"min_index_agee": "1d"}
    assert "unknown field" in ismcheck(body)
    body["policy"]["states"] = "kept"
    assert "cannot unmarshal" in ismcheck(body)


def ismcheck(body: dict[str, Any]) -> str:
    program = need(str(HOME / "ismcheck"))
    done = subprocess.run([program], input=orjson.dumps(body), capture_output=True, check=False)
    return done.stderr.decode()


# --- retention: own


def names(rig: OpenSearchRig) -> set[str]:
    found = rig.server.call("GET", f"/{rig.base}*/_settings?filter_path=*.settings.index.uuid")
    return {name.removeprefix(rig.base) for name in found}


def ship_days(rig: OpenSearchRig, *days: int, pattern: str = "{}-%Y.%m.%d") -> None:
    with closing(rig.sink(index=pattern.format(rig.base))) as sink:
        sink.prepare()
        for day in days:
            at = rfc3339(START - day * DAY)
            sink.deliver(batch(failed_login(at=at), start=10 * day))


def test_only_expired_indexes_of_ours_go(rig: OpenSearchRig) -> None:
    # START is 2023-11-14: the 4th of November is ten days past on the 15th only.
    ship_days(rig, 0, 9, 10, 11, 40)
    foreign = f"{rig.base}-2001.01.01"
    with closing(rig.sink()) as sink:
        sink.deliver(batch(failed_login(at="9999-01-01T00:00:00Z"), start=7))
    rig.server.call("PUT", f"/_index_template/{rig.base}-x", _plain_template(foreign))
    rig.server.call("PUT", f"/{foreign}")
    rig.server.call("PUT", f"/{rig.base}-2001.01.02-restored", _ours())
    kept = {"-2023.11.14", "-2023.11.05", "-2023.11.04", "-undated", "-2001.01.01"}
    kept.add("-2001.01.02-restored")
    assert names(rig) == kept | {"-2023.11.03", "-2023.10.05"}
    around = Surroundings(clock=FakeClock(START))
    with closing(rig.sink(around, retention="own", retention_days=10)) as sink:
        sink.prepare()
        assert names(rig) == kept
        # Looked at again each hour, with the deliveries.
        assert isinstance(around.clock, FakeClock)
        around.clock.passed = DAY + 1
        sink.deliver(batch(failed_login(at=rfc3339(START)), start=0))
        assert names(rig) == kept - {"-2023.11.04"}


def _ours() -> dict[str, Any]:
    return {"mappings": {"_meta": {"managed_by": "audit-shipper"}}}


def _plain_template(name: str) -> dict[str, Any]:
    return {"index_patterns": [name], "priority": 501, "template": {}}


def test_months_go_when_their_last_day_is_old_enough(rig: OpenSearchRig) -> None:
    pattern = "{}-%Y.%m"
    ship_days(rig, 0, 20, 60, pattern=pattern)
    around = Surroundings(clock=FakeClock(START))
    settings = {"index": pattern.format(rig.base), "retention": "own", "retention_days": 14}
    with closing(rig.sink(around, **settings)) as sink:
        sink.prepare()
    assert names(rig) == {"-2023.11", "-2023.10"}


def test_an_index_that_cannot_go_does_not_save_the_others(rig: OpenSearchRig) -> None:
    ship_days(rig, 38, 39, 40, 41)
    block = {"index.blocks.read_only": True}
    for day in ("2023.10.04", "2023.10.05"):
        rig.server.call("PUT", f"/{rig.base}-{day}/_settings", block)
    told: list[Notice] = []
    around = Surroundings(clock=FakeClock(START), tell=told.append)
    with closing(rig.sink(around, retention="own", retention_days=10)) as sink:
        sink.prepare()
    assert names(rig) == {"-2023.10.04", "-2023.10.05"}
    (trouble,) = told
    assert "cannot be deleted" in str(trouble)
    assert "read-only" in str(trouble)
    assert "and 1 more" in str(trouble)
    for day in ("2023.10.04", "2023.10.05"):
        unblock = {"index.blocks.read_only": None}
        rig.server.call("PUT", f"/{rig.base}-{day}/_settings", unblock)


def test_a_closed_index_expires_too(rig: OpenSearchRig) -> None:
    ship_days(rig, 40)
    rig.server.call("POST", f"/{rig.base}-2023.10.05/_close")
    around = Surroundings(clock=FakeClock(START))
    with closing(rig.sink(around, retention="own", retention_days=10)) as sink:
        sink.prepare()
    rig.server.call("GET", f"/{rig.base}-2023.10.05", ok=(404,))


def test_an_index_that_another_shipper_deleted_is_no_error(rig: OpenSearchRig) -> None:
    ship_days(rig, 40)
    with closing(Cluster(rig.settings(), FakeClock())) as cluster:
        assert delete(cluster, f"{rig.base}-2023.10.05") is True
        assert delete(cluster, f"{rig.base}-2023.10.05") is False


@pytest.mark.parametrize("answer", [Answer(403), PAGE])
def test_retention_that_fails_delays_no_record(
    rig: OpenSearchRig, between: Proxy, answer: Answer
) -> None:
    told: list[Notice] = []
    around = Surroundings(clock=FakeClock(START), tell=told.append)
    between.fault = lambda each: answer if "_mapping" in each.path else None
    with closing(rig.sink(around, urls=(between.url,), retention="own", setup="off")) as sink:
        sink.prepare()
        assert sink.deliver(batch(failed_login())).new == 1
    assert [type(notice) for notice in told] == [Trouble]
