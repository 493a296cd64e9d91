"""Definitions that stand in for those of the database operators, which cannot be had here.

They hold the documented fields that the examples use, and no others. What goes through them into a
pod has no schema here: `pods.py` builds the pod, which the API server then judges by its own.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

_FREE: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_LIST: Final[Schema] = {"type": "array", "items": _FREE}
_WORDS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields}


_PERCONA: Final = _object(
    labels=_WORDS, annotations=_WORDS, sidecars=_LIST, sidecarVolumes=_LIST, sidecarPVCs=_LIST
)


def definitions() -> list[dict[str, Any]]:
    return [
        _definition("pxc.percona.com", "v1", "PerconaXtraDBCluster", _object(pxc=_PERCONA)),
        _definition("ps.percona.com", "v1", "PerconaServerMySQL", _object(mysql=_PERCONA)),
        _definition(
            "mysql.oracle.com",
            "v2",
            "InnoDBCluster",
            _object(podSpec=_FREE, podLabels=_WORDS, podAnnotations=_WORDS),
        ),
        _definition(
            "k8s.mariadb.com",
            "v1alpha1",
            "MariaDB",
            _object(
                podMetadata=_object(labels=_WORDS, annotations=_WORDS),
                sidecarContainers=_LIST,
                volumes=_LIST,
            ),
        ),
    ]


def _definition(group: str, version: str, kind: str, spec: Schema) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = _object(spec=spec)
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    }
