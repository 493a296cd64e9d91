"""Definitions of the database operators' resources: the fields that the sidecar goes through.

The operators' own files cannot be had here. Three of them are published in another form: as Rust
types that a program made of the definitions (crate kube-custom-resources-rs, 0BSD). This one makes
schemas of the types again, with every field, type and list of what is required. Of Oracle's
nothing is published: a stand-in with the documented fields, the pod's part free.

    cargo info kube-custom-resources-rs@2024.11.1    # brings the crate
    python tests/charts/operators.py ~/.cargo/registry/src/*/kube-custom-resources-rs-2024.11.1
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

Schema = dict[str, Any]

FOLDER: Final = Path(__file__).parent / "operators"
_PERCONA: Final = ("labels", "annotations", "sidecars", "sidecarVolumes", "sidecarPVCs")
# Kind -> the crate's file, the struct that the sidecar's fields lie in, where that is in the spec,
# and the fields. Others are left out, and with them what they require: a paste is a part.
_PUBLISHED: Final = {
    "PerconaXtraDBCluster": (
        "pxc_percona_com/v1/perconaxtradbclusters.rs",
        "PerconaXtraDBClusterPxc",
        "pxc",
        _PERCONA,
    ),
    "PerconaServerMySQL": (
        "ps_percona_com/v1alpha1/perconaservermysqls.rs",
        "PerconaServerMySQLMysql",
        "mysql",
        _PERCONA,
    ),
    "MariaDB": (
        "k8s_mariadb_com/v1alpha1/mariadbs.rs",
        "MariaDBSpec",
        "",
        ("podMetadata", "sidecarContainers", "volumes"),
    ),
}
# Percona Server's fields are known of v1alpha1; the examples are for v1, that of release 1.0.
_SERVED: Final = {
    "PerconaXtraDBCluster": ("pxc.percona.com", ["v1"]),
    "PerconaServerMySQL": ("ps.percona.com", ["v1alpha1", "v1"]),
    "InnoDBCluster": ("mysql.oracle.com", ["v2"]),
    "MariaDB": ("k8s.mariadb.com", ["v1alpha1"]),
}

_FREE: Final[Schema] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_WORDS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_INNODB: Final[Schema] = {
    "type": "object",
    "properties": {"podSpec": _FREE, "podLabels": _WORDS, "podAnnotations": _WORDS},
}


def definitions() -> list[dict[str, Any]]:
    """CustomResourceDefinitions, as the API server takes them."""
    specs = {kind: json.loads((FOLDER / f"{kind}.json").read_text()) for kind in _PUBLISHED}
    specs["InnoDBCluster"] = _INNODB
    return [_definition(kind, *served, specs[kind]) for kind, served in _SERVED.items()]


def _definition(kind: str, group: str, versions: list[str], spec: Schema) -> dict[str, Any]:
    plural = f"{kind.lower()}s"
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {"name": name, "served": True, "storage": name == versions[-1], "schema": schema}
                for name in versions
            ],
        },
    }


# -- out of Rust

_PLAIN: Final[dict[str, Schema]] = {
    "String": {"type": "string"},
    "bool": {"type": "boolean"},
    "i32": {"type": "integer", "format": "int32"},
    "i64": {"type": "integer", "format": "int64"},
    "f64": {"type": "number"},
    "IntOrString": {"x-kubernetes-int-or-string": True},
    "Condition": _FREE,  # of a status, which nobody writes
}
_TYPE: Final = re.compile(r"^pub (struct|enum) (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD: Final = re.compile(
    r"(?:#\[serde\(([^\n]*)\)\]\s*)?"
    r"(?:pub (?P<name>(?:r#)?\w+): (?P<type>[^\n]+)|(?P<value>\w+)),\n"
)
_RENAMED: Final = re.compile(r'rename = "([^"]*)"')
_AROUND: Final = re.compile(r"(Option|Vec|BTreeMap)<(?:String, )?(.*)>")


class Types:
    """The types of one file."""

    def __init__(self, source: str) -> None:
        code = re.sub(r"^ *///.*\n", "", source, flags=re.MULTILINE)
        self._bodies = {match[2]: (match[1], match[3]) for match in _TYPE.finditer(code)}

    def schema(self, rust: str) -> Schema:
        """The schema of what this type holds."""
        around = _AROUND.fullmatch(rust)
        if around and around[1] == "Vec":
            return {"type": "array", "items": self.schema(around[2])}
        if around and around[1] == "BTreeMap":
            return {"type": "object", "additionalProperties": self.schema(around[2])}
        if around:
            return self.schema(around[2])
        if rust in _PLAIN:
            return _PLAIN[rust]
        kind, body = self._bodies[rust]
        fields = [self._field(match) for match in _FIELD.finditer(body)]
        if kind == "enum":
            return {"type": "string", "enum": [name for name, _type in fields]}
        schema: Schema = {"type": "object"}
        if fields:
            schema["properties"] = {name: self.schema(held) for name, held in fields}
        required = [name for name, held in fields if not held.startswith("Option<")]
        return schema | ({"required": required} if required else {})

    @staticmethod
    def _field(match: re.Match[str]) -> tuple[str, str]:
        """The name in the definition, and the Rust type (none for a value of an enum)."""
        renamed = _RENAMED.search(match[1] or "")
        plain = (match["name"] or match["value"]).removeprefix("r#")
        return (renamed[1] if renamed else plain), match["type"] or ""


def spec_schema(kind: str, crate: Path) -> Schema:
    """The schema of `spec`, with the fields that the sidecar goes through."""
    file, struct, place, names = _PUBLISHED[kind]
    whole = Types((crate / "src" / file).read_text()).schema(struct)
    schema: Schema = {
        "type": "object",
        "properties": {name: whole["properties"][name] for name in names},
    }
    return {"type": "object", "properties": {place: schema}} if place else schema


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in _PUBLISHED:
        text = json.dumps(spec_schema(each, Path(sys.argv[1])), indent=1, sort_keys=True)
        (FOLDER / f"{each}.json").write_text(text + "\n")
