"""The charts on a real API server: applied, refused, upgraded, uninstalled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import yaml
from charts.helm import CHART, HOSTS, example_values, paste, render
from charts.pods import sidecar, workload
from servers.cluster import Cluster
from servers.kubernetes import program

pytestmark = pytest.mark.timeout(400)  # the first test waits for the server

_numbers = count()
POLICY = {"enabled": True, "egress": [{}]}
KINDS = (
    "configmap,secret,job,podmonitor,prometheusrule,networkpolicy,statefulset,serviceaccount,role"
)


@pytest.fixture
def space(api: Cluster) -> Iterator[str]:
    with api.namespace(f"t{next(_numbers)}") as name:
        yield name


def helm(api: Cluster, *arguments: str, values: Any = None) -> subprocess.CompletedProcess[str]:
    options = ["--values", "-"] if values is not None else []
    return subprocess.run(
        [program("helm"), f"--kubeconfig={api.kubeconfig}", *arguments, *options],
        input=json.dumps(values),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env={"HOME": str(api.folder), "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("host", HOSTS)
def test_every_object_of_an_example_is_taken(api: Cluster, space: str, host: str) -> None:
    made = render({}, example_values(host))
    applied = api.apply(*made, namespace=space)
    assert applied.returncode == 0, applied.stderr
    assert applied.stdout.count("serverside-applied") == len(made)


@pytest.mark.parametrize("host", [host for host in HOSTS if host != "bitnami-mysql"])
def test_what_is_pasted_is_taken(api: Cluster, space: str, host: str) -> None:
    """Bitnami's is not an object but values; the next test has its pod."""
    applied = api.apply(
        yaml.safe_load(paste(render({}, example_values(host)), host)), namespace=space
    )
    assert applied.returncode == 0, applied.stderr


# Legal, and once rendered to what the server refuses: nothing for a mapping, numbers for text.
ODD: dict[str, dict[str, Any]] = {
    "no checksum": {"restartOnConfigChange": False},
    "numbers": {
        "cluster": "12",
        "fullnameOverride": "100",
        "log": {"subPath": "2024", "mountPath": "/logs of, the: 'db'"},
        "state": {"storageClassName": "1", "size": 2000000000},
        "secrets": [{"name": "1", "secretName": "2"}],
        "configMaps": [{"name": "3", "configMapName": "4"}],
    },
}


@pytest.mark.parametrize("values", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("host", HOSTS)
def test_odd_values_are_taken(api: Cluster, space: str, host: str, values: dict[str, Any]) -> None:
    application = {"podMonitor": {"enabled": True}, "networkPolicy": POLICY}
    made = render({"sidecar": {"host": host, **values}, **application})
    applied = api.apply(*made, namespace=space)
    assert applied.returncode == 0, applied.stderr
    pasted = yaml.safe_load(paste(made, host))
    # Bitnami's are values: its pod stands for them.
    each = workload(host, yaml.safe_dump(pasted)) if host == "bitnami-mysql" else pasted
    applied = api.apply(each, namespace=space)
    assert applied.returncode == 0, applied.stderr


def test_a_release_may_be_a_number(api: Cluster, space: str) -> None:
    installed = helm(api, "install", "2024", str(CHART), "-n", space, values=FIRST)
    assert installed.returncode == 0, installed.stderr


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("percona-xtradb-cluster", "spec.pxc.sidecars.0"),
        ("percona-xtradb-cluster", "spec.pxc.sidecarVolumes.0.configMap"),
        ("percona-server", "spec.mysql.sidecars.0.securityContext"),
        ("percona-server", "spec.mysql.sidecarPVCs.0"),
        ("mariadb-operator", "spec.sidecarContainers.0"),
        ("mariadb-operator", "spec.volumes.0"),
    ],
)
def test_a_field_that_the_operator_does_not_know_is_refused(
    api: Cluster, space: str, host: str, path: str
) -> None:
    """The definitions are no formality: they list fields down to the last."""
    pasted = yaml.safe_load(paste(render({}, example_values(host)), host))
    place = pasted
    for key in path.split("."):
        place = place[int(key) if key.isdigit() else key]
    place["fieldOfNobody"] = {}
    refused = api.apply(pasted, namespace=space)
    assert "fieldOfNobody: field not declared in schema" in refused.stderr


@pytest.mark.parametrize("host", HOSTS)
def test_the_pod_of_each_host_is_taken(api: Cluster, space: str, host: str) -> None:
    made = workload(host, paste(render({}, example_values(host)), host))
    applied = api.apply(made, namespace=space)
    assert applied.returncode == 0, applied.stderr
    spec = made["spec"]["template"]["spec"] | {"automountServiceAccountToken": False}
    claimed = [
        {"name": each["metadata"]["name"], "emptyDir": {}}
        for each in made["spec"]["volumeClaimTemplates"]
    ]
    spec |= {"volumes": [*spec["volumes"], *claimed]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    judged = api.apply(pod, namespace=space, dry=True)
    assert judged.returncode == 0, judged.stderr


@pytest.mark.parametrize("host", ["statefulset", "bitnami-mysql", "oracle-mysql"])
def test_the_sidecar_keeps_to_the_restricted_standard(api: Cluster, space: str, host: str) -> None:
    label = "pod-security.kubernetes.io/enforce=restricted"
    assert api.ok("label", "namespace", space, label)
    own = sidecar(workload(host, paste(render({}, example_values(host)), host)))
    volumes = [{"name": mount["name"], "emptyDir": {}} for mount in own["volumeMounts"]]
    unique = list({each["name"]: each for each in volumes}.values())
    alone = {key: value for key, value in own.items() if key != "restartPolicy"}
    spec = {"containers": [alone], "volumes": unique}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert api.apply(pod, namespace=space, dry=True).returncode == 0
    alone["securityContext"] = {"runAsUser": 0}
    assert "restricted" in api.apply(pod, namespace=space, dry=True).stderr


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"log": {"volume": "elsewhere"}, "host": "percona-server"}, 'Not found: "elsewhere"'),
    ({"resources": {"requests": {"memory": "1Gi"}}}, "less than or equal to memory limit"),
    ({"env": [{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}, "fieldPath"),
]


@pytest.mark.parametrize(("values", "words"), WRONG)
def test_what_no_schema_sees_the_server_refuses(
    api: Cluster, space: str, values: dict[str, Any], words: str
) -> None:
    host = values.get("host", "statefulset")
    made = workload(host, paste(render({"sidecar": values}), host))
    spec = made["spec"]["template"]["spec"]
    claimed = [
        {"name": each["metadata"]["name"], "emptyDir": {}}
        for each in made["spec"]["volumeClaimTemplates"]
    ]
    spec |= {"volumes": [*spec["volumes"], *claimed]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    assert words in api.apply(pod, namespace=space, dry=True).stderr


FIRST: dict[str, Any] = {
    "podMonitor": {"enabled": True},
    "rules": {"enabled": True},
    "dashboards": {"enabled": True},
    "networkPolicy": POLICY,
}
SECOND: dict[str, Any] = {
    "sidecar": {"config": {"log": {"level": "debug"}}, "host": "percona-server"},
    "podMonitor": {"enabled": True, "interval": "30s"},
    "rules": {"enabled": False},
}


def names(api: Cluster, space: str) -> set[str]:
    found = api.get(KINDS, "-n", space)["items"]
    return {f"{each['kind']}/{each['metadata']['name']}" for each in found}


def test_install_upgrade_uninstall(api: Cluster, space: str) -> None:
    before = names(api, space)
    installed = helm(api, "install", "s", str(CHART), "-n", space, values=FIRST)
    assert installed.returncode == 0, installed.stderr
    assert "nothing ships yet" in installed.stdout
    assert "kind: StatefulSet" in installed.stdout
    assert {"PodMonitor/s-audit-shipper", "NetworkPolicy/s-audit-shipper"} <= names(api, space)

    upgraded = helm(api, "upgrade", "s", str(CHART), "-n", space, values=SECOND)
    assert upgraded.returncode == 0, upgraded.stderr
    now = names(api, space)
    assert not [name for name in now if name.startswith(("PrometheusRule/", "NetworkPolicy/"))]
    monitor = api.get("podmonitor", "s-audit-shipper", "-n", space)
    assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == "30s"
    config = api.get("configmap", "s-audit-shipper-config", "-n", space)["data"]["shipper.yaml"]
    assert yaml.safe_load(config)["log"] == {"level": "debug"}

    assert helm(api, "rollback", "s", "1", "-n", space).returncode == 0
    assert "NetworkPolicy/s-audit-shipper" in names(api, space)

    gone = helm(api, "uninstall", "s", "-n", space, "--wait")
    assert gone.returncode == 0, gone.stderr
    assert names(api, space) == before


def test_a_wrong_value_installs_nothing(api: Cluster, space: str) -> None:
    before = names(api, space)
    values = {"sidecar": {"config": {"sinks": [{"type": "opensearch"}]}}}
    refused = helm(api, "install", "s", str(CHART), "-n", space, values=values)
    assert refused.returncode != 0
    assert "urls" in refused.stderr
    assert names(api, space) == before
