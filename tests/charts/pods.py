"""The pod that each host makes of what was pasted, by the host's documented rules.

The operators and bitnami's chart cannot be had here. What they do with the fragments is little:
they append or merge lists. That is repeated here, so that a real API server can judge the pod.
Sources: observability.md 6.3; docs/kubernetes.md says what is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import yaml

Pod = dict[str, Any]


def _server(mount: str, volume: str) -> dict[str, Any]:
    return {
        "name": "mysql",
        "image": "mysql",
        "volumeMounts": [{"name": volume, "mountPath": mount}],
    }


def _claim(name: str, spec: dict[str, Any] | None = None) -> dict[str, Any]:
    spec = spec or {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"metadata": {"name": name}, "spec": spec}


def _set(spec: Pod, labels: Any, annotations: Any, claims: list[dict[str, Any]]) -> dict[str, Any]:
    app = {"app.kubernetes.io/name": "mysql"}
    meta = {"labels": app | (labels or {}), "annotations": annotations or {}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "mysql"},
        "spec": {
            "serviceName": "mysql",
            "selector": {"matchLabels": app},
            "template": {"metadata": meta, "spec": spec},
            "volumeClaimTemplates": claims,
        },
    }


def _plain(pasted: Any) -> dict[str, Any]:
    made: dict[str, Any] = pasted
    return made


def _bitnami(pasted: Any) -> dict[str, Any]:
    primary = pasted["primary"]
    pod = {
        "securityContext": {"fsGroup": 1001},
        "initContainers": primary["initContainers"],
        "containers": [_server("/bitnami/mysql", "data")],
        "volumes": primary["extraVolumes"],
    }
    return _set(pod, primary["podLabels"], primary.get("podAnnotations"), [_claim("data")])


def _percona(part: str, gid: int) -> Callable[[Any], dict[str, Any]]:
    def make(pasted: Any) -> dict[str, Any]:
        spec = pasted["spec"][part]
        pod = {
            "securityContext": {"fsGroup": gid},
            "containers": [_server("/var/lib/mysql", "datadir"), *spec["sidecars"]],
            "volumes": spec["sidecarVolumes"],
        }
        claims = [_claim("datadir")]
        claims += [_claim(each["name"], each["spec"]) for each in spec.get("sidecarPVCs", [])]
        return _set(pod, spec["labels"], spec.get("annotations"), claims)

    return make


def _oracle(pasted: Any) -> dict[str, Any]:
    spec = pasted["spec"]
    own = spec["podSpec"]
    pod = {
        "securityContext": {"fsGroup": 27},
        "initContainers": [
            {**_server("/var/lib/mysql", "datadir"), "name": "initmysql"},
            *own["initContainers"],
        ],
        "containers": [_server("/var/lib/mysql", "datadir"), *own["containers"]],
        "volumes": own["volumes"],
    }
    return _set(pod, spec["podLabels"], spec.get("podAnnotations"), [_claim("datadir")])


# All that the operator's own container and volume types have.
_MARIADB_CONTAINER: Final = {
    "name", "image", "imagePullPolicy", "command", "args", "env", "volumeMounts", "resources",
}  # fmt: skip


def _mariadb(pasted: Any) -> dict[str, Any]:
    spec = pasted["spec"]
    for container in spec["sidecarContainers"]:
        assert set(container) <= _MARIADB_CONTAINER, set(container) - _MARIADB_CONTAINER
    pod = {
        "securityContext": {"fsGroup": 999, "runAsUser": 999},
        "containers": [_server("/var/lib/mysql", "storage"), *spec["sidecarContainers"]],
        "volumes": spec["volumes"],
    }
    meta = spec["podMetadata"]
    return _set(pod, meta["labels"], meta.get("annotations"), [_claim("storage")])


_MAKERS: Final[Mapping[str, Callable[[Any], dict[str, Any]]]] = {
    "statefulset": _plain,
    "bitnami-mysql": _bitnami,
    "percona-xtradb-cluster": _percona("pxc", 1001),
    "percona-server": _percona("mysql", 1001),
    "oracle-mysql": _oracle,
    "mariadb-operator": _mariadb,
}


def workload(host: str, pasted: str) -> dict[str, Any]:
    """The StatefulSet that the host makes."""
    return _MAKERS[host](yaml.safe_load(pasted))


def sidecar(made: Mapping[str, Any]) -> dict[str, Any]:
    """The shipper's container in it."""
    spec = made["spec"]["template"]["spec"]
    both = [*spec.get("initContainers", []), *spec["containers"]]
    found: list[dict[str, Any]] = [each for each in both if each["name"] == "audit-shipper"]
    assert len(found) == 1
    return found[0]
