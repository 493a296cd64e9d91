"""The Alerting monitors: installed once, and right about real data on a real OpenSearch.

The Alerting plugin cannot be had here. So each monitor's own search runs on the real server, with
its trigger's condition as a `bucket_selector`, which is what the plugin makes of it; conditions of
query-level triggers run in the server's own Painless. That the plugin would take the files is shown
by its own model classes (test_monitor_models.py), and the API by a stand-in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from clocks import FakeClock
from command import audit_shipper
from servers.alerting import Alerting
from servers.proxy import Proxy, proxy
from sink.blocks import batch
from sink.rigs.opensearch import OpenSearchRig, opensearch

from shipper.clock import rfc3339
from shipper.document.fields import FIELDS
from shipper.document.index_name import IndexName
from shipper.errors import UsageError
from shipper.model import AUDIT_STOP, CHANGE_USER, CONNECT, QUERY, AuditRecord
from shipper.sink.opensearch_connection import Cluster
from shipper.sink.opensearch_monitors import PATH, fitted, install_monitors, read_monitors
from shipper.sink.opensearch_steps import State, Step

# The first test starts a server, which takes minutes where others use the machine too.
pytestmark = pytest.mark.timeout(600)
FOLDER = Path(__file__).parents[2] / "alert-rules" / "opensearch"
MONITORS = {
    file.stem: monitor
    for file, monitor in zip(sorted(FOLDER.glob("*.json")), read_monitors(FOLDER), strict=True)
}
NOW = time.time()


def login(
    ago: float,
    user: str = "root",
    ip: str = "203.0.113.9",
    status: int = 1045,
    kind: str = CONNECT,
) -> AuditRecord:
    moment = rfc3339(NOW - ago)
    return AuditRecord(
        kind=kind,
        name=kind,
        format="percona-json",
        timestamp=moment,
        user=user,
        ip=ip,
        host="",
        status=status,
    )


def benign() -> list[AuditRecord]:
    """Successes, some typing errors, a full server, probes, failed statements."""
    records = [login(n, f"app{n % 3}", f"10.0.0.{n % 3}", 0) for n in range(90)]
    records += [login(n * 20, f"dba{n}", f"10.0.1.{n}") for n in range(8)]
    records += [login(n * 20 - 1, f"dba{n}", f"10.0.1.{n}", 0) for n in range(8)]
    records += [login(n, "batch", "10.0.2.1", 1040) for n in range(60)]
    records += [login(n, "", "10.0.3.1", 1158) for n in range(60)]
    records += [
        AuditRecord(
            kind=QUERY,
            name="Query",
            status=1064,
            timestamp=rfc3339(NOW),
            user="app0",
            ip="10.0.0.1",
        )
        for _ in range(40)
    ]
    return records


def attacks() -> list[AuditRecord]:
    """One attack a monitor, from sources of their own; each just below where it must not matter."""
    burst = [login(n, "root", "198.51.100.1") for n in range(20)]
    below = [login(n, "admin", "198.51.100.2") for n in range(19)]
    account = [login(n, "victim", f"198.51.101.{n % 15}") for n in range(30)]
    spray = [login(n, f"user{n % 6}", "198.51.100.3") for n in range(12)]
    narrow = [login(n, f"user{n % 4}", "198.51.100.4") for n in range(12)]
    hit = [login(100 + n, "root", "198.51.100.5") for n in range(12)]
    hit.append(login(50, "root", "198.51.100.5", 0))
    before = [login(60 + n, "web", "198.51.100.6") for n in range(12)]
    before.append(login(300, "web", "198.51.100.6", 0))
    change = [login(n, "boss", "198.51.100.7", kind=CHANGE_USER) for n in range(25)]
    stop = AuditRecord(kind=AUDIT_STOP, name="NoAudit", timestamp=rfc3339(NOW))
    return [*burst, *below, *account, *spray, *narrow, *hit, *before, *change, stop]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[OpenSearchRig]:
    with opensearch(tmp_path) as rig:
        yield rig


def filled(rig: OpenSearchRig, records: list[AuditRecord]) -> None:
    with closing(rig.sink()) as sink:
        sink.prepare()
        assert sink.deliver(batch(*records)).new == len(records)
    rig.server.call("POST", f"/{rig.base}*/_refresh")


def searched(rig: OpenSearchRig, name: str, *, trigger: bool = True) -> dict[str, Any]:
    """Run a monitor's search as the plugin does: its window filled in, its condition in place."""
    index = IndexName(rig.settings().index)
    query = fitted(MONITORS[name], index=index, channel=None)["inputs"][0]["search"]
    body = _at(query["query"], str(int((time.time() + 60) * 1000)))
    for each in MONITORS[name]["triggers"] if trigger else ():
        condition = dict(each["bucket_level_trigger"]["condition"])
        inner = body["aggregations"][condition.pop("parent_bucket_path")]
        inner.setdefault("aggregations", {})["trigger"] = {"bucket_selector": condition}
    found: dict[str, Any] = rig.server.call("POST", f"/{query['indices'][0]}/_search", body)
    return found


def _at(value: Any, period_end: str) -> Any:
    if isinstance(value, dict):
        return {key: _at(item, period_end) for key, item in value.items()}
    if isinstance(value, list):
        return [_at(item, period_end) for item in value]
    return value.replace("{{period_end}}", period_end) if isinstance(value, str) else value


def keys(found: dict[str, Any]) -> set[str]:
    buckets = found["aggregations"]["composite_agg"]["buckets"]
    return {next(filter(None, bucket["key"].values())) for bucket in buckets}


def test_each_monitor_finds_its_attack_and_no_other(rig: OpenSearchRig) -> None:
    filled(rig, [*benign(), *attacks()])
    assert keys(searched(rig, "burst-by-source")) == {"198.51.100.1", "198.51.100.7"}
    assert keys(searched(rig, "burst-by-account")) == {"root", "victim", "boss"}
    assert keys(searched(rig, "password-spraying")) == {"198.51.100.3"}
    assert keys(searched(rig, "success-after-burst")) == {"198.51.100.5"}
    assert conditions(rig) == ["true", "false"]


def test_on_benign_data_there_is_nothing(rig: OpenSearchRig) -> None:
    filled(rig, benign())
    for name, monitor in MONITORS.items():
        if monitor["monitor_type"] == "bucket_level_monitor":
            assert keys(searched(rig, name)) == set(), name
    assert conditions(rig) == ["false", "false"]


def test_silence_is_told(rig: OpenSearchRig) -> None:
    filled(rig, [login(0)])
    rig.server.call(
        "POST", f"/{rig.base}*/_delete_by_query?refresh=true", {"query": {"match_all": {}}}
    )
    assert conditions(rig) == ["false", "true"]


def conditions(rig: OpenSearchRig) -> list[str]:
    """What the conditions of the query-level monitor say, in the server's own Painless."""
    context = {"results": [searched(rig, "audit-stopped", trigger=False)]}
    return [
        rig.server.call(
            "POST",
            "/_scripts/painless/_execute",
            {
                "script": {
                    "source": "def ctx = params.ctx; return "
                    + each["query_level_trigger"]["condition"]["script"]["source"],
                    "params": {"ctx": context},
                }
            },
        )["result"]
        for each in MONITORS["audit-stopped"]["triggers"]
    ]


def test_monitors_use_only_fields_that_documents_have() -> None:
    def fields(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in ("term", "terms", "range") and isinstance(item, dict):
                    yield from (name for name in item if "." in name or name.startswith("@"))
                if key == "field":
                    yield item
                yield from fields(item)
        elif isinstance(value, list):
            for item in value:
                yield from fields(item)

    for name, monitor in MONITORS.items():
        used = set(fields(monitor["inputs"]))
        assert used, name
        assert used <= set(FIELDS), name


def test_every_monitor_has_a_runbook() -> None:
    root = FOLDER.parents[1]
    for monitor in MONITORS.values():
        assert (root / monitor["ui_metadata"]["about"]).is_file()


# --- installing


@pytest.fixture
def between(rig: OpenSearchRig) -> Iterator[Proxy]:
    with proxy(rig.server.url) as between:
        yield between


def install(rig: OpenSearchRig, between: Proxy, **how: Any) -> list[Step]:
    monitors = read_monitors(FOLDER)
    with closing(Cluster(rig.settings(urls=(between.url,)), FakeClock())) as cluster:
        return install_monitors(cluster, monitors, **({"index": IndexName("audit-%Y.%m.%d")} | how))


def test_installed_once(rig: OpenSearchRig, between: Proxy) -> None:
    alerting = Alerting()
    between.fault = alerting.fault
    assert {step.state for step in install(rig, between, write=False)} == {State.MADE}
    assert alerting.writes == 0
    assert {step.state for step in install(rig, between, channel="chat")} == {State.MADE}
    assert {step.state for step in install(rig, between, channel="chat")} == {State.SAME}
    assert alerting.writes == len(MONITORS)
    for _, monitor in alerting.monitors.values():
        assert monitor["inputs"][0]["search"]["indices"] == ["audit-*"]
        for each in monitor["triggers"]:
            for trigger in each.values():
                assert trigger["actions"][0]["destination_id"] == "chat"


def test_each_sink_of_a_cluster_has_monitors_of_its_own(rig: OpenSearchRig, between: Proxy) -> None:
    alerting = Alerting()
    between.fault = alerting.fault
    indexes = [IndexName(f"audit-{each}-%Y.%m.%d") for each in ("prod", "test")]
    for state in (State.MADE, State.SAME):
        for index in indexes:
            assert {step.state for step in install(rig, between, index=index)} == {state}
    watched = {
        monitor["name"].partition(":")[0]: monitor["inputs"][0]["search"]["indices"]
        for _, monitor in alerting.monitors.values()
    }
    assert watched == {"audit-prod": ["audit-prod-*"], "audit-test": ["audit-test-*"]}
    assert all(monitor["name"].startswith("mysql-audit: ") for monitor in MONITORS.values())


def test_ours_is_found_beside_somebody_elses_of_the_same_name(
    rig: OpenSearchRig, between: Proxy
) -> None:
    alerting = Alerting()
    between.fault = alerting.fault
    install(rig, between)
    ours = list(alerting.monitors.items())
    alerting.monitors.clear()
    for id_, (number, monitor) in ours:
        alerting.monitors[f"their-{id_}"] = (0, monitor | {"ui_metadata": {}})
        alerting.monitors[id_] = (number, monitor)
    assert {step.state for step in install(rig, between)} == {State.SAME}


def test_what_changed_is_renewed_and_what_the_operator_switched_off_stays_off(
    rig: OpenSearchRig, between: Proxy
) -> None:
    alerting = Alerting()
    between.fault = alerting.fault
    install(rig, between)
    for _, monitor in alerting.monitors.values():
        monitor["enabled"] = False
    assert {step.state for step in install(rig, between)} == {State.SAME}
    assert {step.state for step in install(rig, between, channel="c")} == {State.RENEWED}
    assert not any(monitor["enabled"] for _, monitor in alerting.monitors.values())


def test_what_is_somebody_elses_stays(rig: OpenSearchRig, between: Proxy) -> None:
    alerting = Alerting()
    between.fault = alerting.fault
    install(rig, between)
    _, first = alerting.monitors["id-0"]
    _, second = alerting.monitors["id-1"]
    first["ui_metadata"] = {}
    second["ui_metadata"]["version"] = 99
    writes = alerting.writes
    states = [step.state for step in install(rig, between, channel="c")]
    assert states == [State.FOREIGN, State.NEWER, *[State.RENEWED] * 3]
    assert alerting.writes == writes + 3


def test_a_cluster_without_the_plugin_says_so(rig: OpenSearchRig, between: Proxy) -> None:
    (step,) = install(rig, between)
    assert step.state is State.ABSENT
    assert "Alerting plugin" in step.detail
    assert step.path.startswith(PATH)


def test_by_the_command_line(rig: OpenSearchRig, between: Proxy, tmp_path: Path) -> None:
    alerting = Alerting()
    between.fault = alerting.fault
    config = tmp_path / "shipper.yaml"
    config.write_text(
        f"state: {tmp_path}\nsources: [{{type: file, path: /var/log/audit.log}}]\n"
        f"sinks: [{{type: opensearch, urls: ['{between.url}'], retention: 'off',"
        f" index: '{rig.base}-%Y.%m.%d'}}]\n",
        encoding="utf-8",
    )
    command = ("setup", "opensearch", "-c", config, "--monitors", FOLDER, "--channel", "chat")
    dry = audit_shipper(*command, "--dry-run")
    assert dry.stdout.count(f"  POST {PATH}\n".encode()) == len(MONITORS)
    assert alerting.writes == 0
    done = audit_shipper(*command)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"created") >= len(MONITORS)
    written = alerting.writes
    assert audit_shipper(*command).returncode == 0
    assert alerting.writes == written == len(MONITORS)
    indexes = {m["inputs"][0]["search"]["indices"][0] for _, m in alerting.monitors.values()}
    assert indexes == {f"{rig.base}-*"}


def test_a_folder_without_monitors_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no monitors"):
        read_monitors(tmp_path)
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"bad\.json"):
        read_monitors(tmp_path)
