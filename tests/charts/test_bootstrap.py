"""The bootstrap job, and what each of its values changes."""

from __future__ import annotations

from typing import Any

import pytest
from charts.helm import only, render, try_template
from servers.cluster import Cluster

pytestmark = pytest.mark.timeout(400)  # the first test waits for the server

SINK = {"type": "opensearch", "urls": ["https://os:9200"]}


def job(sidecar: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    side = {"config": {"sinks": [SINK]}, **(sidecar or {})}
    return only(render({"sidecar": side, "bootstrap": {"enabled": True, **values}}), "Job")


def test_each_value_gets_there(api: Cluster) -> None:
    of_job = {"backoffLimit": 2, "activeDeadlineSeconds": 7, "ttlSecondsAfterFinished": 9}
    of_pod = {
        "nodeSelector": {"disk": "12"},
        "tolerations": [{"key": "db", "operator": "Exists", "effect": "NoSchedule"}],
        "imagePullSecrets": [{"name": "12"}],
        "hostNetwork": True,
    }
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    made = job(**of_job, **of_pod, resources=resources)
    assert of_job.items() <= made["spec"].items()
    pod = made["spec"]["template"]["spec"]
    assert {key: pod[key] for key in of_pod} == of_pod
    assert pod["containers"][0]["resources"] == resources
    applied = api.apply(made, namespace="default", dry=True)
    assert applied.returncode == 0, applied.stderr


def test_by_default_it_goes_anywhere() -> None:
    pod = job()["spec"]["template"]["spec"]
    assert not {"nodeSelector", "tolerations", "imagePullSecrets", "hostNetwork"} & set(pod)


def test_it_has_what_the_configuration_names() -> None:
    sidecar = {
        "secrets": [{"name": "os", "secretName": "s"}],
        "configMaps": [{"name": "ca", "configMapName": "c"}],
        "env": [{"name": "X", "value": "y"}],
    }
    pod = job(sidecar)["spec"]["template"]["spec"]
    container = pod["containers"][0]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert volumes[mounts["/run/secrets/os"]]["secret"] == {"secretName": "s"}
    assert volumes[mounts["/run/config/ca"]]["configMap"] == {"name": "c"}
    assert {"name": "X", "value": "y"} in container["env"]


def test_it_needs_an_index() -> None:
    assert "no opensearch to set up" in try_template({"bootstrap": {"enabled": True}}).stderr
