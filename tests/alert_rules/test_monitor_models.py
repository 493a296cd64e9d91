"""The monitors, read by the classes that the Alerting plugin itself reads them with."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from servers import need

from shipper.document.index_name import IndexName
from shipper.sink.opensearch_monitors import fitted, read_monitors

ROOT = Path(__file__).parents[2]
MODEL = ROOT / ".servers" / "alerting-model"
LIBRARIES = ROOT / ".servers" / "opensearch" / "secure" / "lib"
MONITORS = read_monitors(ROOT / "alert-rules" / "opensearch")

pytestmark = pytest.mark.timeout(300)  # a Java process starts slowly where the machine is busy


def verdicts(folder: Path, *monitors: dict[str, Any]) -> list[list[str]]:
    java = need("java")
    if not (MODEL / "Check.class").exists():
        reason = "the Alerting plugin's model is not installed: run `make servers`"
        if os.environ.get("REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    files = []
    for number, monitor in enumerate(monitors):
        file = folder / f"{number}.json"
        file.write_text(json.dumps(monitor), encoding="utf-8")
        files.append(file)
    classes = f"{MODEL}:{MODEL}/*:{LIBRARIES}/*"
    checked = subprocess.run(
        [java, "-XX:TieredStopAtLevel=1", "-cp", classes, "Check", *files],
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split("\t") for line in checked.stdout.splitlines()]


def test_the_plugin_would_take_them(tmp_path: Path) -> None:
    with_channel = [
        fitted(each, index=IndexName("mysql-audit-%Y.%m"), channel="chat") for each in MONITORS
    ]
    found = verdicts(tmp_path, *MONITORS, *with_channel)
    for monitor, actions, verdict in zip(
        [*MONITORS, *MONITORS], [0] * len(MONITORS) + [1] * len(MONITORS), found, strict=True
    ):
        triggers = len(monitor["triggers"])
        expected = ["good", monitor["name"], monitor["monitor_type"]]
        assert verdict == [*expected, str(triggers), str(actions * triggers)]


def test_the_plugin_would_refuse_what_is_wrong(tmp_path: Path) -> None:
    text = json.dumps(MONITORS[1])
    wrong = [
        text.replace('"MINUTES"', '"MINUTE"'),
        text.replace('"composite"', '"compposite"'),
        text.replace('"schedule"', '"schedul"'),
        text.replace('"buckets_path"', '"bucket_path"'),
    ]
    assert all(each != text for each in wrong)
    found = verdicts(tmp_path, *map(json.loads, wrong))
    assert [verdict[0] for verdict in found] == ["bad"] * len(wrong)
