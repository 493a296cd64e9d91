"""Sinks that want alerts: what is said where they cannot get any."""

from __future__ import annotations

import pytest

from shipper.config import load, name_of
from shipper.errors import ConfigError
from shipper.source.findings import FindingsSettings

BASE = """
state: /s
sources: [{type: file, name: a, path: /a}, {type: file, name: b, path: /b}]
sinks:
"""
METRICS = "- {type: metrics}\n"


def problems(sinks: str, base: str = BASE) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(base + sinks, {}, str)
    return [problem.partition("the file: ")[2] for problem in raised.value.problems]


def test_alerts_come_under_names_of_their_own_from_what_is_watched() -> None:
    config = load(
        BASE
        + "- {type: metrics, sources: [a]}\n"
        + "- {type: sqlite, path: /db}\n"
        + "- {type: syslog, alerts: only}\n"
        + "- {type: jsonl, alerts: true, path: '/x/{source}', name: file}\n",
        {},
        str,
    )
    a, b = config.sources
    assert [name_of(each) for each in config.sinks_of(a)] == ["metrics", "sqlite", "file"]
    assert [name_of(each) for each in config.sinks_of(b)] == ["sqlite", "file"]
    wanting = config.alert_sinks_of(a)
    assert [name_of(each) for each in wanting] == ["syslog.alerts", "file.alerts"]
    assert config.alert_sinks_of(b) == []
    assert config.findings_of(a) == FindingsSettings(name="a.alerts", directory="/s/findings/a")


def test_nobody_gets_what_they_did_not_ask_for() -> None:
    config = load(BASE + METRICS + "- {type: sqlite, path: /db}\n", {}, str)
    assert [config.alert_sinks_of(each) for each in config.sources] == [[], []]


@pytest.mark.parametrize(
    ("sinks", "says"),
    [
        (
            "- {type: syslog, alerts: on}\n",
            "sinks: syslog: alerts need the sink metrics, which detects: add `type: metrics`",
        ),
        (
            "- {type: metrics, sources: [b]}\n- {type: syslog, alerts: on, sources: [a]}\n",
            "sinks: syslog: alerts need the sink metrics, which detects: add `type: metrics`",
        ),
        (
            "- {type: metrics, alerts: on}\n",
            "sinks: metrics: alerts: it counts and detects, and takes none itself",
        ),
        (
            METRICS + "- {type: jsonl, path: /x, sources: [a], alerts: on}\n",
            "sinks: jsonl: records and alerts need {source} in its path",
        ),
        (
            METRICS + "- {type: jsonl, path: /x, alerts: only}\n",
            "sinks: jsonl: several sources need {source} in its path",
        ),
        (
            METRICS + "- {type: syslog, alerts: on}\n- {type: sqlite, path: /db, "
            "name: syslog.alerts}\n",
            "syslog.alerts is the name of the alerts of syslog: choose another for yours",
        ),
    ],
)
def test_what_cannot_work_is_told(sinks: str, says: str) -> None:
    assert problems(sinks) == [says]


def test_a_source_that_takes_the_name_of_anothers_alerts_is_told() -> None:
    base = BASE.replace("name: b", "name: a.alerts")
    found = problems(METRICS + "- {type: syslog, alerts: on}\n", base)
    assert found == ["a.alerts is the name of the alerts of a: choose another for yours"]


def test_alerts_alone_of_one_source_may_have_any_path() -> None:
    text = BASE.replace(", {type: file, name: b, path: /b}", "")
    load(text + METRICS + "- {type: jsonl, path: /x, alerts: only}\n", {}, str)


def test_a_word_that_is_none_is_told() -> None:
    with pytest.raises(ConfigError, match="must be one of off, on, only, not 'all'"):
        load(BASE + METRICS + "- {type: syslog, alerts: all}\n", {}, str)
