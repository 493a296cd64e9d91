"""The configuration that README shows is one."""

from __future__ import annotations

import re
from pathlib import Path

from shipper.config import load, name_of

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_configuration_loads() -> None:
    found = re.search(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    config = load(found[1], {}, lambda _path: "a secret")
    assert [name_of(sink) for sink in config.sinks] == ["opensearch", "syslog", "metrics"]
