"""What the charts make of their values, by the real helm."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.config_schema import VALUES_SCHEMA, config_schema
from charts.helm import (
    CHART,
    CHARTS,
    HOSTS,
    LIBRARY,
    ROOT,
    example_values,
    helm,
    of_kind,
    only,
    paste,
    render,
    shipper_yaml,
    template,
    try_template,
)
from charts.pods import sidecar, workload

from shipper.config import load

ENV = {"POD_NAME": "mysql-0", "POD_NAMESPACE": "db"}


def side(**values: Any) -> dict[str, Any]:
    return {"sidecar": values}


def container(host: str = "statefulset", **values: Any) -> dict[str, Any]:
    made = render(side(host=host, **values))
    return sidecar(workload(host, paste(made, host)))


@pytest.mark.parametrize("chart", [CHART, LIBRARY], ids=lambda path: path.name)
def test_lint_has_nothing_to_say(chart: Path) -> None:
    run = helm("lint", "--strict", chart)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_examples_lint(host: str) -> None:
    run = helm("lint", "--strict", CHART, "--values", example_values(host))
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_the_daemon_takes_the_configuration(host: str) -> None:
    config = load(shipper_yaml(render(side(host=host))), ENV, lambda _path: "")
    assert config.instance == "db/mysql-0"
    assert config.state == "/var/lib/audit-shipper"
    assert config.refused_retry_seconds == 60
    assert len(config.sources) == 1


@pytest.mark.parametrize("host", HOSTS)
def test_the_configured_log_lies_in_the_mounted_volume(host: str) -> None:
    made = render(side(host=host))
    config = yaml.safe_load(shipper_yaml(made))
    mounts = sidecar(workload(host, paste(made, host)))["volumeMounts"]
    log = next(
        mount for mount in mounts if config["sources"][0]["path"].startswith(mount["mountPath"])
    )
    state = next(mount for mount in mounts if mount["mountPath"] == config["state"])
    assert log["readOnly"] is True
    assert "readOnly" not in state


@pytest.mark.parametrize("host", HOSTS)
def test_every_mount_has_its_volume(host: str) -> None:
    made = workload(host, paste(render({}, example_values(host)), host))
    spec = made["spec"]["template"]["spec"]
    volumes = [each["name"] for each in spec["volumes"]]
    volumes += [each["metadata"]["name"] for each in made["spec"]["volumeClaimTemplates"]]
    assert len(volumes) == len(set(volumes))
    for each in [*spec.get("initContainers", []), *spec["containers"]]:
        assert {mount["name"] for mount in each["volumeMounts"]} <= set(volumes)


@pytest.mark.parametrize("host", HOSTS)
def test_examples_are_the_rendered_fragments(host: str) -> None:
    """`python tests/charts/examples.py` writes them anew."""
    shown = (CHARTS / "examples" / host / "paste.yaml").read_text()
    assert shown == paste(render({}, example_values(host)), host)


def test_config_schema_is_that_of_the_settings() -> None:
    """`python tests/charts/config_schema.py` writes it anew."""
    assert json.loads(VALUES_SCHEMA.read_text())["properties"]["config"] == config_schema()


def test_notes_say_what_to_paste_next(tmp_path: Path) -> None:
    text = (CHART / "templates" / "NOTES.txt").read_text()
    # Helm renders notes at an install only; as a template it is rendered here like any other.
    copy = tmp_path / "audit-shipper"
    shutil.copytree(CHART, copy)
    escaped = (
        '{{- define "notes" -}}\n'
        + text
        + '\n{{- end }}\nnotes: {{ include "notes" . | toJson }}\n'
    )
    (copy / "templates" / "notes.yaml").write_text(escaped)
    run = helm("template", "shipper", copy, "-n", "db", "--set", "sidecar.host=percona-server",
               "--show-only", "templates/notes.yaml")  # fmt: skip
    assert run.returncode == 0, run.stderr
    notes = yaml.safe_load(run.stdout)["notes"]
    assert "kubectl apply --server-side -n db" in notes
    assert paste(render(side(host="percona-server")), "percona-server") in notes


# -- hardening


@pytest.mark.parametrize("host", [host for host in HOSTS if host != "mariadb-operator"])
def test_hardened(host: str) -> None:
    made = container(host)
    groups = {"statefulset": 999, "oracle-mysql": 27}
    assert made["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": groups.get(host, 1001),
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert made["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"memory": "256Mi"},
    }


@pytest.mark.parametrize("host", HOSTS)
def test_readiness_depends_on_nothing(host: str) -> None:
    assert "readinessProbe" not in container(host)


@pytest.mark.parametrize("host", ["percona-xtradb-cluster", "percona-server", "oracle-mysql"])
def test_an_ordinary_container_has_no_restart_policy(host: str) -> None:
    assert "restartPolicy" not in container(host)


@pytest.mark.parametrize("host", ["statefulset", "bitnami-mysql"])
def test_a_native_sidecar_restarts(host: str) -> None:
    assert container(host)["restartPolicy"] == "Always"


# -- each value of the sidecar that changes the output


def test_image_by_tag_or_digest() -> None:
    digest = "sha256:" + "a" * 64
    assert container(image={"repository": "r/x", "tag": "7"})["image"] == "r/x:7"
    assert container(image={"repository": "r/x", "digest": digest})["image"] == f"r/x@{digest}"
    assert container(image={"pullPolicy": "Always"})["imagePullPolicy"] == "Always"


def test_image_needs_a_tag() -> None:
    assert "give a tag or a digest" in try_template(side(image={"tag": ""})).stderr


def test_names() -> None:
    names = {e["metadata"]["name"] for e in render(side(fullnameOverride="x"))}
    assert names == {"x-config", "x-paste"}
    assert {e["metadata"]["name"] for e in render()} == {
        "shipper-audit-shipper-config",
        "shipper-audit-shipper-paste",
    }


def test_cluster() -> None:
    text = paste(render(side(host="percona-server", cluster="db7")), "percona-server")
    assert yaml.safe_load(text)["metadata"]["name"] == "db7"


def test_log() -> None:
    where = {"volume": "v", "subPath": "s", "mountPath": "/m", "file": "f.log", "name": "main"}
    made = render(side(log=where))
    mounts = sidecar(workload("statefulset", paste(made, "statefulset")))["volumeMounts"]
    assert mounts[0] == {"name": "v", "subPath": "s", "mountPath": "/m", "readOnly": True}
    assert yaml.safe_load(shipper_yaml(made))["sources"] == [
        {"type": "file", "path": "/m/f.log", "name": "main"}
    ]


def test_the_state_stays_where_it_is_when_the_log_lies_elsewhere() -> None:
    mounts = container("bitnami-mysql", log={"volume": "logs", "subPath": ""})["volumeMounts"]
    assert mounts[0]["name"] == "logs"
    state = {"name": "data", "mountPath": "/var/lib/audit-shipper", "subPath": "audit-shipper"}
    assert state in mounts


def test_user_and_group() -> None:
    context = container(user=7, group=8)["securityContext"]
    assert (context["runAsUser"], context["runAsGroup"]) == (7, 8)


def test_state() -> None:
    made = workload(
        "statefulset",
        paste(render(side(state={"size": "3Gi", "storageClassName": "fast"})), "statefulset"),
    )
    claim = made["spec"]["volumeClaimTemplates"][-1]
    assert claim["metadata"]["name"] == "audit-shipper-state"
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "3Gi"


def test_secrets_and_config_maps_are_mounted() -> None:
    made = render(
        side(
            secrets=[{"name": "os", "secretName": "s"}],
            configMaps=[{"name": "ca", "configMapName": "c"}],
        )
    )
    pod = workload("statefulset", paste(made, "statefulset"))
    mounts = {e["mountPath"]: e["name"] for e in sidecar(pod)["volumeMounts"]}
    volumes = {e["name"]: e for e in pod["spec"]["template"]["spec"]["volumes"]}
    assert volumes[mounts["/run/secrets/os"]]["secret"] == {"secretName": "s"}
    assert volumes[mounts["/run/config/ca"]]["configMap"] == {"name": "c"}


def test_env() -> None:
    extra = {"name": "X", "value": "y"}
    names = [each["name"] for each in container(env=[extra])["env"]]
    assert names == ["POD_NAME", "POD_NAMESPACE", "X"]


def test_a_changed_configuration_changes_the_checksum() -> None:
    def annotations(**values: Any) -> dict[str, str]:
        made = workload("statefulset", paste(render(side(**values)), "statefulset"))
        found: dict[str, str] = made["spec"]["template"]["metadata"].get("annotations", {})
        return found

    def config(level: str) -> dict[str, Any]:
        return {"log": {"level": level}, "sinks": [{"type": "metrics"}]}

    one, two = annotations(config=config("info")), annotations(config=config("debug"))
    assert one != two
    assert annotations(config=config("info")) == one
    assert annotations(config=config("info"), restartOnConfigChange=False) == {}


def test_checksum_is_that_of_the_file() -> None:
    made = render()
    pod = workload("statefulset", paste(made, "statefulset"))
    digest = hashlib.sha256(shipper_yaml(made).removesuffix("\n").encode()).hexdigest()
    assert pod["spec"]["template"]["metadata"]["annotations"]["checksum/audit-shipper"] == digest


def test_resources() -> None:
    assert container(resources={"limits": {"cpu": "2"}})["resources"]["limits"]["cpu"] == "2"


def test_probes() -> None:
    assert "startupProbe" not in container()  # MySQL would wait for it
    probes = {"startup": {"failureThreshold": 9}, "liveness": {"periodSeconds": 3},
              "readiness": {"periodSeconds": 4}}  # fmt: skip
    made = container(probes=probes)
    assert made["startupProbe"]["httpGet"]["path"] == "/livez"
    assert made["startupProbe"]["failureThreshold"] == 9
    assert made["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert made["livenessProbe"]["periodSeconds"] == 3
    assert made["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_without_the_endpoint_neither_port_nor_probe() -> None:
    made = container(config={"http": None})
    assert not {"ports", "startupProbe", "livenessProbe"} & set(made)


def test_port_follows_the_configuration() -> None:
    made = container(config={"http": {"port": 7777}})
    assert made["ports"][0]["containerPort"] == 7777
    tls = {"tls_certificate": "/c", "tls_key": "/k"}
    assert container(config={"http": tls})["livenessProbe"]["httpGet"]["scheme"] == "HTTPS"


# -- the application chart


def test_labels_are_everywhere() -> None:
    everything: dict[str, Any] = {
        "labels": {"team": "dba"},
        "podMonitor": {"enabled": True},
        "rules": {"enabled": True},
        "networkPolicy": {"enabled": True, "egress": [{}]},
    }
    assert all(e["metadata"]["labels"]["team"] == "dba" for e in render(everything))


def test_a_label_that_is_said_twice_stands_once() -> None:
    """Helm takes a key that stands twice; kustomize, and with it what calls it, does not."""
    more = {"labels": {"release": "b"}}
    everywhere = {"release": "a", "app.kubernetes.io/name": "mine"}
    text = template({"labels": everywhere, "podMonitor": {**more, "enabled": True}})
    monitor = next(each for each in text.split("\n---\n") if "kind: PodMonitor" in each)
    assert re.findall(r"^    (?:release|app.kubernetes.io/name): .*$", monitor, re.MULTILINE) == [
        "    app.kubernetes.io/name: mine",
        "    release: b",
    ]


def test_dashboards_may_have_no_label() -> None:
    values = {"dashboards": {"enabled": True, "labels": {"grafana_dashboard": None}}}
    made = only(render(values), "ConfigMap", "-logins")
    assert "grafana_dashboard" not in made["metadata"]["labels"]


def _rule_files() -> dict[str, Any]:
    folder = ROOT / "alert-rules" / "prometheus"
    found = {
        p.name.removesuffix(".rules.yml"): yaml.safe_load(p.read_text())
        for p in folder.glob("*.rules.yml")
    }
    assert found
    return found


def test_rules_are_the_files() -> None:
    made = of_kind(render({"rules": {"enabled": True}}), "PrometheusRule")
    shown = {e["metadata"]["name"].removeprefix("shipper-audit-shipper-"): e["spec"] for e in made}
    assert shown == _rule_files()
    assert not of_kind(render(), "PrometheusRule")


def _alerts(values: Mapping[str, Any]) -> dict[str, Any]:
    made = of_kind(render({"rules": {"enabled": True, **values}}), "PrometheusRule")
    rules = [r for e in made for g in e["spec"]["groups"] for r in g["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def test_rules_can_be_left_out_and_changed() -> None:
    name, other = sorted(_alerts({}))[:2]
    change = {"expr": "vector(1)", "for": "9m", "severity": "info"}
    changed = _alerts({"disabled": [other], "overrides": {name: change}})
    assert other not in changed
    assert (changed[name]["expr"], changed[name]["for"]) == ("vector(1)", "9m")
    assert changed[name]["labels"]["severity"] == "info"
    assert len(changed) == len(_alerts({})) - 1


def test_rules_labels_and_runbooks() -> None:
    values = {"rules": {"enabled": True, "labels": {"release": "p"}}}
    made = of_kind(render(values), "PrometheusRule")
    assert all(each["metadata"]["labels"]["release"] == "p" for each in made)


@pytest.mark.parametrize("base", ["https://r/x", "https://r/x/"])
def test_runbooks_are_found_with_and_without_a_slash(base: str) -> None:
    urls = [r["annotations"]["runbook_url"] for r in _alerts({"runbookBase": base}).values()]
    assert urls
    assert all(url.startswith("https://r/x/docs/runbooks/") for url in urls)


@pytest.mark.parametrize("base", ["https://r/x", "https://r/x/"])
def test_links_of_dashboards_lead_to_the_runbooks(base: str) -> None:
    """`docs/runbooks` alone, as the files have it, is a path on Grafana's own server."""
    files = {p.name: p.read_text() for p in (ROOT / "dashboards" / "grafana").glob("*.json")}
    made = render({"dashboards": {"enabled": True}, "rules": {"runbookBase": base}})
    for name, text in files.items():
        board = only(made, "ConfigMap", f"-{name.removesuffix('.json')}")["data"][name]
        constants = {each["name"]: each["query"] for each in _variables(board)}
        assert constants["runbooks"] == "https://r/x/docs/runbooks"
        assert board.replace("https://r/x/", "") == text


def _variables(board: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(board)["templating"]["list"]
    return found


@pytest.mark.parametrize("values", [{"disabled": ["Nope"]}, {"overrides": {"Nope": {}}}])
def test_an_alert_that_is_not_there(values: dict[str, Any]) -> None:
    run = try_template({"rules": {"enabled": True, **values}})
    assert "there is no alert Nope" in run.stderr


def test_dashboards_are_the_files() -> None:
    files = {p.name: p.read_text() for p in (ROOT / "dashboards" / "grafana").glob("*.json")}
    values = {"dashboards": {"enabled": True, "annotations": {"folder": "MySQL"}}}
    made = [
        e
        for e in of_kind(render(values), "ConfigMap")
        if "grafana_dashboard" in e["metadata"]["labels"]
    ]
    shown = {name: text for each in made for name, text in each["data"].items()}
    assert shown == files
    assert all(each["metadata"]["annotations"] == {"folder": "MySQL"} for each in made)


def test_a_dashboard_is_not_a_template(tmp_path: Path) -> None:
    copy = tmp_path / "audit-shipper"
    shutil.copytree(CHART, copy)
    text = '{"legend": "{{ user }} at {{ .Values.x }}", "quote": "\\"", "more": "é"}\n'
    (copy / "files" / "dashboards" / "of_mine.json").write_text(text)
    shown = template({"dashboards": {"enabled": True}}, chart=copy)
    made = [each for each in yaml.safe_load_all(shown) if each]
    assert only(made, "ConfigMap", "-of-mine")["data"] == {"of_mine.json": text}


def test_the_package_holds_the_files(tmp_path: Path) -> None:
    """Links are followed: who installs the archive needs nothing else."""
    made = helm("package", CHART, "--destination", tmp_path)
    assert made.returncode == 0, made.stderr
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as archive:
        held = {
            name: archive.extractfile(name).read()  # type: ignore[union-attr]
            for name in archive.getnames()
        }
    for path in (ROOT / "alert-rules" / "prometheus").glob("*.rules.yml"):
        assert held[f"audit-shipper/files/rules/{path.name}"] == path.read_bytes()
    assert "audit-shipper/charts/audit-shipper-library/values.schema.json" in held


def test_network_policy() -> None:
    assert not of_kind(render(), "NetworkPolicy")
    peer = {"podSelector": {"matchLabels": {"app": "prometheus"}}}
    target = {"ports": [{"port": 9200, "protocol": "TCP"}]}
    values = {"networkPolicy": {"enabled": True, "metricsFrom": [peer], "egress": [target]}}
    spec = only(render(values), "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"from": [peer], "ports": [{"port": 9619, "protocol": "TCP"}]}]
    assert spec["egress"][0]["ports"][0]["port"] == 53
    assert spec["egress"][1] == target


# -- mistakes

TYPOS = [
    "sidecars.host",
    "sidecar.hosts",
    "sidecar.image.tags",
    "sidecar.log.files",
    "sidecar.state.sizes",
    "sidecar.resources.request.cpu",
    "sidecar.resources.limits.mem",
    "sidecar.probes.live.periodSeconds",
    "sidecar.probes.liveness.period",
    "sidecar.config.sink",
    "sidecar.config.http.ports",
    "sidecar.config.log.levels",
    "sidecar.config.detect.burst",
    "podMonitor.label",
    "rules.disable",
    "rules.overrides.X.exp",
    "dashboards.label.x",
    "bootstrap.enable",
    "bootstrap.resources.limit.cpu",
    "networkPolicy.egres",
    "label.x",
]


def _nested(path: str) -> dict[str, Any]:
    value: Any = "x"
    for key in reversed(path.split(".")):
        value = {key: value}
    found: dict[str, Any] = value
    return found


@pytest.mark.parametrize("path", TYPOS)
def test_a_typing_error_is_refused_by_its_name(path: str) -> None:
    run = try_template(_nested(path))
    wrong = [part for part in path.split(".") if f"'{part}'" in run.stderr]
    assert run.returncode != 0
    assert "additional properties" in run.stderr
    assert wrong, run.stderr


WRONG: list[tuple[dict[str, Any], str]] = [
    (side(host="vitess"), "host"),
    (side(user=0), "user"),
    (side(image={"digest": "latest"}), "digest"),
    (side(secrets=[{"name": "x"}]), "secretName"),
    (side(config={"sinks": []}), "sinks"),
    (side(config={"sinks": [{"type": "kafka"}]}), "type"),
    (side(config={"sinks": [{"type": "jsonl"}]}), "path"),
    (side(config={"sinks": [{"type": "jsonl", "path": "x", "pth": "y"}]}), "pth"),
    (side(config={"http": {"port": 70000}}), "port"),
    (side(config={"drain_seconds": "soon"}), "drain_seconds"),
    ({"podMonitor": {"interval": "15"}}, "interval"),
    ({"rules": {"overrides": {"X": {"severity": "page"}}}}, "severity"),
    ({"bootstrap": {"backoffLimit": -1}}, "backoffLimit"),
]


@pytest.mark.parametrize(("values", "named"), WRONG)
def test_a_wrong_value_is_refused(values: dict[str, Any], named: str) -> None:
    run = try_template(values)
    assert run.returncode != 0
    assert re.search(named, run.stderr), run.stderr
