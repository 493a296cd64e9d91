"""OpenSearch Dashboards' objects: what its importer would refuse, or a person find broken."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from boards import saved

from shipper.document.fields import FIELDS, IGNORE_ABOVE, mapping
from shipper.sink.opensearch_settings import OpenSearchSettings

VISUALIZATIONS = saved.of_type("visualization")
# visState.type -> parameters without which it draws nothing.
TYPES = {
    "metric": {"metric", "addTooltip"},
    "pie": {"isDonut", "labels"},
    "table": {"perPage", "showTotal"},
    "line": {"seriesParams", "valueAxes", "categoryAxes"},
    "histogram": {"seriesParams", "valueAxes", "categoryAxes"},
    "metrics": {"series", "index_pattern", "time_field"},
    "vega": {"spec"},
    "input_control_vis": {"controls"},
}
SCHEMAS = {
    "metric": {"metric"},
    "pie": {"metric", "segment"},
    "table": {"metric", "bucket"},
    "line": {"metric", "segment", "group"},
    "histogram": {"metric", "segment", "group"},
}
KNOWN = {
    "index-pattern": "7.6.0",
    "search": "7.9.3",
    "dashboard": "7.9.3",
    "visualization": "7.10.0",
}


def title(made: Any) -> str:
    return str(made["attributes"]["title"])


@pytest.mark.parametrize("path", saved.FILES, ids=lambda path: path.stem)
def test_objects_come_after_those_they_refer_to(path: Path) -> None:
    seen = set()
    for made in saved.objects(path):
        assert set(made) == {"attributes", "id", "migrationVersion", "references", "type"}
        assert made["migrationVersion"] == {made["type"]: KNOWN[made["type"]]}
        for reference in made["references"]:
            assert (reference["type"], reference["id"]) in seen, (title(made), reference)
        seen.add((made["type"], made["id"]))


def test_an_id_belongs_to_one_object() -> None:
    alike: dict[str, set[str]] = {}
    for path in saved.FILES:
        for made in saved.objects(path):
            alike.setdefault(made["id"], set()).add(json.dumps(made, sort_keys=True))
    assert {id_: len(texts) for id_, texts in alike.items() if len(texts) > 1} == {}
    titles = Counter((made["type"], title(made)) for made in saved.every())
    assert [name for name, count in titles.items() if count > 1] == []


def test_every_reference_has_its_name_and_every_name_its_reference() -> None:
    for made in saved.every():
        text = json.dumps(made["attributes"]).replace("\\", "")
        names = re.findall(r'"(?:indexRefName|panelRefName|indexPatternRefName)": ?"([^"]+)"', text)
        assert sorted(names) == sorted(each["name"] for each in made["references"]), title(made)


def test_json_in_strings_is_json_and_numbers_are_integers() -> None:
    for made in saved.every():
        attributes = made["attributes"]
        for name in ("panelsJSON", "optionsJSON", "visState", "uiStateJSON", "fields"):
            if name in attributes:
                json.loads(attributes[name])
        for name in ("hits", "version"):
            assert isinstance(attributes.get(name, 0), int)


@pytest.mark.parametrize("made", saved.of_type("dashboard"), ids=title)
def test_panels_lie_beside_each_other(made: Any) -> None:
    panels = json.loads(made["attributes"]["panelsJSON"])
    indexes = [panel["panelIndex"] for panel in panels]
    assert len(indexes) == len(set(indexes))
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridData"]
        assert grid["i"] == panel["panelIndex"]
        assert grid["x"] + grid["w"] <= 48
        cells = {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken
        taken |= cells
    assert made["attributes"]["timeFrom"].startswith("now-")


@pytest.mark.parametrize("made", VISUALIZATIONS, ids=title)
def test_a_visualization_has_what_its_type_needs(made: Any) -> None:
    shown = saved.state(made)
    assert shown["title"] == title(made)
    assert made["attributes"]["description"].endswith(".")
    assert set(shown["params"]) >= TYPES[shown["type"]]
    ids = [agg["id"] for agg in shown["aggs"]]
    assert ids == [str(index + 1) for index in range(len(ids))]
    assert {agg["schema"] for agg in shown["aggs"]} <= SCHEMAS.get(shown["type"], set())


def fields_of(made: Any) -> set[str]:
    """Every field that an object names: in aggregations, queries, columns, controls, Vega, TSVB."""
    attributes = made["attributes"]
    text = json.dumps(attributes).replace("\\", "")
    found = set(re.findall(r'"(?:field|fieldName|time_field)": ?"([^"]+)"', text))
    found |= set(re.findall(r"([a-z@][\w.@]*):[^/\s\"{]", " ".join(queries(made))))
    found |= set(attributes.get("columns", ()))
    found -= {"accounts.value", "key", "doc_count"}  # of Vega: its own aggregations
    if made["type"] == "index-pattern":
        found |= {field["name"] for field in json.loads(attributes["fields"])}
    return found


def queries(made: Any) -> list[str]:
    text = json.dumps(made["attributes"]).replace("\\", "")
    return re.findall(r'"query": ?"([^"]*)"', text)


def test_every_field_is_one_of_the_table_and_of_a_type_that_can_be_counted() -> None:
    scripted = saved.scripts()
    for made in saved.every():
        named = fields_of(made)
        assert named <= set(FIELDS) | set(scripted), (title(made), named - set(FIELDS))
    for made in VISUALIZATIONS:
        for agg in saved.state(made)["aggs"]:
            field = agg["params"].get("field")
            if field is None or field in scripted:
                continue
            type_ = FIELDS[field]
            assert type_ in ("keyword", "ip", "long", "date", "boolean"), (title(made), field)
            if agg["type"] == "date_histogram":
                assert type_ == "date"


def test_the_index_pattern_knows_every_field_as_the_template_maps_it() -> None:
    (pattern,) = saved.of_type("index-pattern")
    fields = {each["name"]: each for each in json.loads(pattern["attributes"]["fields"])}
    assert set(fields) - set(saved.scripts()) == set(FIELDS)
    for name, type_ in FIELDS.items():
        leaf: Any = {"properties": mapping()}
        for part in name.split("."):
            leaf = leaf["properties"][part]
        assert fields[name]["esTypes"] == [leaf["type"]] == [type_]
        counted = leaf.get("doc_values", True) and type_ not in ("match_only_text", "flat_object")
        assert fields[name]["aggregatable"] is counted, name
        assert fields[name]["searchable"] is leaf.get("index", True), name
    assert set(json.loads(pattern["attributes"]["fieldFormatMap"])) <= set(fields)
    assert IGNORE_ABOVE  # of keywords: what is longer is found by nobody


def test_the_pattern_is_that_of_the_sink() -> None:
    (pattern,) = saved.of_type("index-pattern")
    default = OpenSearchSettings(urls=("http://localhost:9200",)).index
    assert pattern["attributes"]["title"] == saved.PATTERN == default.partition("%")[0] + "*"
    for made in VISUALIZATIONS:
        params = saved.state(made)["params"]
        if "index_pattern" in params:
            assert params["index_pattern"] == saved.PATTERN
        if "spec" in params:
            assert json.loads(params["spec"])["data"]["url"]["index"] == saved.PATTERN
