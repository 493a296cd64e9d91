"""The Sigma rules: valid, and convertible."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from alert_rules.test_monitors import attacks, benign, filled, rig
from integration.test_alerts_indexed import count, words
from sink.rigs.opensearch import OpenSearchRig

from shipper.document.fields import FIELDS
from shipper.model import AUDIT_STOP, LOGIN_KINDS

__all__ = ["rig"]

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
    queries = plain_queries()
    assert len(queries) == 2
    assert any("mysql\\-audit\\-stop" in query for query in queries)
    assert any("event.outcome:failure" in query for query in queries)


def plain_queries() -> list[str]:
    from sigma.backends.opensearch import OpensearchLuceneBackend  # noqa: PLC0415

    # Without the correlations: a rule that one of them refers to is not put out by itself.
    documents = (each for file in FILES for each in yaml.safe_load_all(file.read_text("utf-8")))
    plain = [each for each in documents if "correlation" not in each]
    queries: list[str] = OpensearchLuceneBackend().convert(sigma.SigmaCollection.from_dicts(plain))
    return queries


@pytest.mark.timeout(600)  # the server may have to start
def test_the_queries_find_refused_logins_and_the_end_of_auditing(rig: OpenSearchRig) -> None:
    records = [*benign(), *attacks()]
    filled(rig, records)
    nobodys = {1040, 1158}
    refused = [r for r in records if r.kind in LOGIN_KINDS and r.status not in {0, *nobodys}]
    stops = [r for r in records if r.kind == AUDIT_STOP]
    assert sorted(count(rig, words(query)) for query in plain_queries()) == [
        len(stops),
        len(refused),
    ]


def test_the_correlations_convert_with_their_thresholds() -> None:
    from sigma.backends.opensearch import OpenSearchPPLBackend  # noqa: PLC0415

    queries = OpenSearchPPLBackend().convert(collection())
    assert len(queries) == 3  # both correlations, and the rule that stands alone
    (burst,) = (query for query in queries if "count() as" in query)
    (spraying,) = (query for query in queries if "dc(user.name)" in query)
    assert burst.endswith("by source.ip | where event_count >= 20")
    assert spraying.endswith("by source.ip | where value_count >= 5")
    assert all('NOT (`event.code` in ("1040"' in query for query in (burst, spraying))


def test_rules_use_only_fields_that_documents_have() -> None:
    for file in FILES:
        for rule in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            detection = rule.get("detection", {})
            used = {name for part in detection.values() if isinstance(part, dict) for name in part}
            correlation = rule.get("correlation", {})
            used |= set(correlation.get("group-by", ()))
            used |= {correlation.get("condition", {}).get("field", "user.name")}
            assert used <= set(FIELDS), file
