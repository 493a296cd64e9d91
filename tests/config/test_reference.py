"""The page of settings is complete and up to date, and the example on it loads."""

from __future__ import annotations

import re

from config.reference import PAGE, page

from shipper.config import Config, load
from shipper.sink import SINKS
from shipper.source import SOURCES


def test_the_page_has_every_setting_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python tests/config/reference.py makes it"


def test_no_setting_is_missing_from_the_page() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    every = set(Config.__struct_fields__)
    for kind in (*SINKS.values(), *SOURCES.values()):
        every |= set(kind.settings.__struct_fields__)
    assert every <= listed
    for type_ in (*SINKS, *SOURCES):
        assert f"### `type: {type_}`" in PAGE.read_text(encoding="utf-8")


def test_the_example_loads_and_has_every_kind_of_source_and_sink() -> None:
    text = PAGE.with_name("shipper.yaml").read_text(encoding="utf-8")
    read: list[str] = []

    def secret(path: str) -> str:
        read.append(path)
        return "secret"

    config = load(text, {"HOSTNAME": "db1"}, secret)
    assert config.instance == "db1"
    assert len(read) == 6
    kinds = {str(each.__struct_config__.tag) for each in (*config.sources, *config.sinks)}
    # Standard input ends; it has no place beside logs that do not.
    assert kinds == {*SOURCES, *SINKS} - {"stdin"}
