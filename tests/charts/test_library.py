"""The library chart in a chart of somebody's own: the one that its README shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from charts.helm import LIBRARY, helm
from servers.cluster import Cluster

pytestmark = pytest.mark.timeout(400)  # the first test waits for the server


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The chart of the README, beside the library as it says."""
    shutil.copytree(LIBRARY, tmp_path / LIBRARY.name)
    chart = tmp_path / "mine"
    shown = re.findall(
        r"```yaml\n# (\S+)\n(.*?)```", (LIBRARY / "README.md").read_text(), re.DOTALL
    )
    for name, text in shown:
        (chart / name).parent.mkdir(parents=True, exist_ok=True)
        (chart / name).write_text(text)
    built = helm("dependency", "build", chart)
    assert built.returncode == 0, built.stderr
    return chart


@pytest.fixture
def space(api: Cluster) -> Iterator[str]:
    with api.namespace("mine") as name:
        yield name


def test_the_chart_of_the_readme_is_all_that_a_pod_needs(
    mine: Path, api: Cluster, space: str
) -> None:
    made = helm("template", "x", mine, "--namespace", space)
    assert made.returncode == 0, made.stderr
    objects = [each for each in yaml.safe_load_all(made.stdout) if each]
    applied = api.apply(*objects, namespace=space)
    assert applied.returncode == 0, applied.stderr
    pod = next(e for e in objects if e["kind"] == "StatefulSet")["spec"]["template"]["spec"]
    wanted = {each["configMap"]["name"] for each in pod["volumes"] if "configMap" in each}
    assert wanted == {e["metadata"]["name"] for e in objects if e["kind"] == "ConfigMap"}


def test_a_chart_of_ones_own_gets_schema_and_reasons(mine: Path) -> None:
    typo = helm("template", "x", mine, "--set", "sidecar.hosts=x")
    assert "additional properties 'hosts' not allowed" in typo.stderr
    misfit = helm("template", "x", mine, "--set", "sidecar.config.state=/data")
    assert "config.state: /data is on no volume" in misfit.stderr
