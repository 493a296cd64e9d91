"""Values that fit their schema and yet not each other are refused, with the reason."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from charts.config_schema import secret_names
from charts.helm import LIBRARY, render, shipper_yaml, try_template


def refused(values: dict[str, Any]) -> str:
    """What helm says about values that it must not take."""
    run = try_template(values)
    assert run.returncode != 0, run.stdout
    return run.stderr


def side(**values: Any) -> dict[str, Any]:
    return {"sidecar": values}


LOG = "/var/log/mysql-audit/audit.log"
TLS = {"tls_certificate": "/c", "tls_key": "/k"}
PEER = {"podSelector": {"matchLabels": {"app": "prometheus"}}}


@pytest.mark.parametrize(
    ("policy", "sidecar", "words"),
    [
        ({}, {}, "networkPolicy: give metricsFrom or egress"),
        ({"metricsFrom": [PEER]}, {"config": {"http": None}}, "metricsFrom needs sidecar.config"),
    ],
)
def test_a_network_policy_that_allows_nothing(
    policy: dict[str, Any], sidecar: dict[str, Any], words: str
) -> None:
    """Without `policyTypes` the API server takes it for one that forbids all that comes in."""
    assert words in refused({"networkPolicy": {"enabled": True, **policy}, "sidecar": sidecar})


# -- secrets

PLAIN: list[tuple[dict[str, Any], str]] = [
    ({"http": {"password": "hunter2"}}, "config.http.password"),
    ({"sinks": [{"type": "metrics", "hash_key": "hunter2"}]}, "config.sinks.0.hash_key"),
    (
        {"sources": [{"type": "file", "path": LOG, "passwords": {"default": "hunter2"}}]},
        "config.sources.0.passwords.default",
    ),
    (
        {"sinks": [{"type": "opensearch", "urls": ["https://u:hunter2@os"]}]},
        "config.sinks.0.urls.0",
    ),
]


@pytest.mark.parametrize(("config", "place"), PLAIN, ids=[place for _config, place in PLAIN])
def test_a_secret_does_not_get_into_the_config_map(config: dict[str, Any], place: str) -> None:
    said = refused(side(config=config))
    assert f"{place}: a ConfigMap is no place for a secret" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("password", ["${PASSWORD}", ""])
def test_a_secret_may_come_from_the_environment(password: str) -> None:
    made = render(side(config={"http": {"password": password}}))
    assert yaml.safe_load(shipper_yaml(made))["http"]["password"] == password


def test_all_secrets_of_the_settings_are_known() -> None:
    """The template has their names; the settings say which there are."""
    text = (LIBRARY / "templates" / "_check.tpl").read_text()
    named = re.search(r"\$secrets := list (.*?) -?}}", text)
    assert named
    assert set(re.findall(r'"(\w+)"', named[1])) == secret_names()


# -- what does not fit the pod

MISFITS: list[tuple[dict[str, Any], str]] = [
    ({"config": {"state": "/data"}}, "config.state: /data is on no volume"),
    (
        {"config": {"sources": [{"type": "file", "path": "/var/log/mysql-auditing/a.log"}]}},
        "config.sources.0.path: /var/log/mysql-auditing/a.log is not below /var/log/mysql-audit/",
    ),
    ({"secrets": [{"name": "state", "secretName": "x"}]}, "the name state is taken"),
    (
        {
            "host": "mariadb-operator",
            "secrets": [{"name": "os", "secretName": "x"}],
            "configMaps": [{"name": "os", "configMapName": "y"}],
        },
        "the name os is taken",
    ),
    ({"env": [{"name": "POD_NAME", "value": "x"}]}, "env: the name POD_NAME is taken"),
    (
        {"config": {"sinks": [{"type": "metrics"}, {"type": "metrics"}]}},
        "config.sinks: the name metrics is taken",
    ),
    (
        {
            "config": {
                "sources": [
                    {"type": "file", "path": LOG},
                    {"type": "syslog", "udp": "0.0.0.0:514", "name": "file"},
                ]
            }
        },
        "config.sources: the name file is taken",
    ),
    ({"config": {"workers": 2}}, "config.workers: each has a port of its own"),
    ({"config": {"http": {"port": 0}}}, "config.http.port: with 0"),
    ({"config": {"http": {"host": "127.0.0.1"}}}, "kubelet does not reach 127.0.0.1"),
    ({"config": {"http": TLS | {"tls_client_ca": "/ca"}}}, "kubelet has no certificate"),
]


@pytest.mark.parametrize(("values", "words"), MISFITS, ids=[words for _values, words in MISFITS])
def test_what_cannot_work_in_the_pod(values: dict[str, Any], words: str) -> None:
    assert words in refused(side(**values))


def test_all_of_it_is_said_at_once() -> None:
    said = refused(side(config={"state": "/data", "http": {"port": 0}}))
    assert "config.state" in said
    assert "config.http.port" in said


NO_PROBES = {"liveness": None}


@pytest.mark.parametrize(
    "values",
    [
        {"config": {"state": "/var/lib/audit-shipper/main"}},
        {"config": {"sources": [{"type": "file", "path": "${FOLDER}/audit.log"}]}},
        {"config": {"sources": [{"type": "syslog", "udp": "0.0.0.0:5514"}]}},
        {
            "config": {"sources": [{"type": "file", "path": "/logs/a.log"}]},
            "log": {"mountPath": "/logs/"},
        },
        {"config": {"http": {"host": "127.0.0.1"}}, "probes": NO_PROBES},
        {"config": {"http": {"host": "::"}}},
        {"config": {"http": TLS | {"tls_client_ca": "/ca"}}, "host": "mariadb-operator"},
    ],
)
def test_what_can_work_is_taken(values: dict[str, Any]) -> None:
    assert render(side(**values))
