"""Every rendered object against the schemas of every Kubernetes version that is promised."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from charts.helm import CHART, HOSTS, example_values, paste, template
from charts.pods import workload
from servers.kubernetes import HOME, need_made, program
from servers.schemas import FIRST, LAST, custom, versions

VERSIONS = tuple(f"1.{minor}.0" for minor in range(FIRST, LAST + 1))


@pytest.fixture(scope="session")
def custom_schemas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    need_made("schemas", "crds")
    folder = tmp_path_factory.mktemp("custom")
    for path in (HOME / "crds").glob("*.yaml"):
        for name, schema in custom(yaml.safe_load(path.read_text())).items():
            (folder / name).write_text(json.dumps(schema))
    yield folder
    shutil.rmtree(folder)


def judge(
    version: str, custom_schemas: Path, *files: Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    native = f"{HOME}/schemas/{{{{.NormalizedKubernetesVersion}}}}-standalone{{{{.StrictSuffix}}}}"
    options = [
        "-strict",
        f"-kubernetes-version={version}",
        f"-schema-location={native}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
        f"-schema-location={custom_schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json",
    ]
    return subprocess.run(
        [program("kubeconform"), *options, *(files or ["-"])],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_the_promised_versions_are_tried() -> None:
    need_made("schemas")
    assert list(VERSIONS) == versions(HOME / "schemas")
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"] == ">=1.29.0-0"


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A file a host: all objects of its example, and its pod."""
    folder = tmp_path_factory.mktemp("examples")
    for host in HOSTS:
        text = template(None, example_values(host))
        pasted = paste([each for each in yaml.safe_load_all(text) if each], host)
        pod = yaml.safe_dump(workload(host, pasted))
        (folder / f"{host}.yaml").write_text(f"{text}\n---\n{pod}")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("version", VERSIONS)
def test_examples_fit(version: str, examples: list[Path], custom_schemas: Path) -> None:
    judged = judge(version, custom_schemas, *examples)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.parametrize(
    "text",
    [
        "{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, metadata: {}, spec: {s: 1}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dta: {}}",
    ],
)
def test_a_typing_error_would_be_found(text: str, custom_schemas: Path) -> None:
    judged = judge(VERSIONS[-1], custom_schemas, stdin=text)
    assert judged.returncode != 0
    assert "additional properties" in judged.stdout.lower()
