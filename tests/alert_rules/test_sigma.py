"""The Sigma rules: valid, and convertible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from shipper.document.fields import FIELDS

sigma = pytest.importorskip("sigma.collection", reason="pySigma is not installed: make setup")

FILES = sorted((Path(__file__).parents[2] / "alert-rules" / "sigma").glob("*.yml"))


def collection() -> Any:
    text = "\n---\n".join(file.read_text(encoding="utf-8") for file in FILES)
    return sigma.SigmaCollection.from_yaml(text)


def test_pysigma_reads_every_rule_without_complaint() -> None:
    rules = collection().rules
    assert len(rules) == 4
    assert not [rule.errors for rule in rules if rule.errors]


def test_the_plain_rules_convert_to_queries_over_our_fields() -> None:
    from sigma.backends.opensearch import OpensearchLuceneBackend  # noqa: PLC0415

    # Without the correlations: a rule that one of them refers to is not put out by itself.
    documents = (each for file in FILES for each in yaml.safe_load_all(file.read_text("utf-8")))
    plain = [each for each in documents if "correlation" not in each]
    backend = OpensearchLuceneBackend()
    queries = backend.convert(sigma.SigmaCollection.from_dicts(plain))
    assert len(queries) == 2
    assert any("mysql\\-audit\\-stop" in query for query in queries)
    assert any("event.outcome:failure" in query for query in queries)


def test_rules_use_only_fields_that_documents_have() -> None:
    for file in FILES:
        for rule in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            detection = rule.get("detection", {})
            used = {name for part in detection.values() if isinstance(part, dict) for name in part}
            correlation = rule.get("correlation", {})
            used |= set(correlation.get("group-by", ()))
            used |= {correlation.get("condition", {}).get("field", "user.name")}
            assert used <= set(FIELDS), file
