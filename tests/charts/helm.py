"""The real helm, and what it makes of the charts."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml
from servers.kubernetes import program

ROOT: Final = Path(__file__).parents[2]
CHARTS: Final = ROOT / "helm"
CHART: Final = CHARTS / "audit-shipper"
LIBRARY: Final = CHARTS / "audit-shipper-library"
EXAMPLES: Final = CHARTS / "examples"
HOSTS: Final = (
    "statefulset",
    "bitnami-mysql",
    "percona-xtradb-cluster",
    "percona-server",
    "oracle-mysql",
    "mariadb-operator",
)
RELEASE: Final = "shipper"

Values = Mapping[str, Any]
Manifest = dict[str, Any]


def helm(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm with settings of its own, so that nobody's plugins or repositories matter."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [program("helm"), *map(str, arguments)],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={"HOME": home, "PATH": "/usr/bin:/bin"},
        )


def template(values: Values | None = None, *files: Path, chart: Path = CHART) -> str:
    """Render the chart; fails with helm's words where it does not."""
    run = try_template(values, *files, chart=chart)
    assert run.returncode == 0, run.stderr
    return run.stdout


def try_template(
    values: Values | None = None, *files: Path, chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """Render the chart, or not. Values come as JSON, which is YAML."""
    options = [option for file in files for option in ("--values", str(file))]
    command = ["template", RELEASE, str(chart), "--namespace", "db", *options, "--values", "-"]
    return helm(*command, stdin=json.dumps(values or {}))


def render(values: Values | None = None, *files: Path) -> list[Manifest]:
    """Render the chart to its objects."""
    return [each for each in yaml.safe_load_all(template(values, *files)) if each]


def of_kind(manifests: Sequence[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def only(manifests: Sequence[Manifest], kind: str, suffix: str = "") -> Manifest:
    """The one object of a kind whose name ends so."""
    found = [e for e in of_kind(manifests, kind) if e["metadata"]["name"].endswith(suffix)]
    assert len(found) == 1, [each["metadata"]["name"] for each in found]
    return found[0]


def paste(manifests: Sequence[Manifest], host: str) -> str:
    """What the chart wants pasted for this host."""
    text: str = only(manifests, "ConfigMap", "-paste")["data"][f"{host}.yaml"]
    return text


def shipper_yaml(manifests: Sequence[Manifest]) -> str:
    text: str = only(manifests, "ConfigMap", "-config")["data"]["shipper.yaml"]
    return text


def example_values(host: str) -> Path:
    return EXAMPLES / host / "values.yaml"
