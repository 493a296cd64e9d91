"""The PodMonitor, and what Prometheus makes of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from charts.helm import of_kind, only, paste, render, try_template
from charts.pods import sidecar, workload
from servers.cluster import Cluster
from servers.prometheus import prometheus_of
from servers.waiting import until

pytestmark = pytest.mark.timeout(400)  # the first test waits for the server


def side(**values: Any) -> dict[str, Any]:
    return {"sidecar": values}


def test_pod_monitor() -> None:
    assert not of_kind(render(), "PodMonitor")
    values = {"podMonitor": {"enabled": True, "labels": {"release": "p"}, "interval": "7s",
                             "scrapeTimeout": "5s", "sampleLimit": 9}}  # fmt: skip
    made = render(values)
    monitor = only(made, "PodMonitor")
    pod = workload("statefulset", paste(made, "statefulset"))
    labels = pod["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert monitor["metadata"]["labels"]["release"] == "p"
    assert monitor["spec"]["sampleLimit"] == 9
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]
    assert endpoint == {
        "path": "/metrics",
        "interval": "7s",
        "scrapeTimeout": "5s",
        "port": "audit-metrics",
    }
    assert endpoint["port"] == sidecar(pod)["ports"][0]["name"]


def test_pod_monitor_needs_the_endpoint() -> None:
    values = {"podMonitor": {"enabled": True}, **side(config={"http": None})}
    assert "needs sidecar.config.http" in try_template(values).stderr


def test_a_short_interval_is_enough() -> None:
    """The operator rejects a time-out above the interval; without one the lesser is taken."""
    endpoint = only(render(_on(interval="5s")), "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    assert "scrapeTimeout" not in endpoint


LOGIN = {key: {"name": "s", "key": key} for key in ("username", "password")}
TLS = {"tls_certificate": "/c", "tls_key": "/k"}
TRUST = {"ca": {"secret": {"name": "s", "key": "ca.crt"}}, "serverName": "db",
         "cert": {"configMap": {"name": "c", "key": "k"}},
         "keySecret": {"name": "s", "key": "k"}, "minVersion": "TLS12"}  # fmt: skip


def _on(http: dict[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    config = {"config": {"http": http}} if http else {}
    return {"podMonitor": {"enabled": True, **values}, **side(**config)}


def test_pod_monitor_with_password_and_tls(api: Cluster) -> None:
    http = {**TLS, "password_file": "/run/secrets/http/password"}
    monitor = only(render(_on(http, basicAuth=LOGIN, tlsConfig=TRUST)), "PodMonitor")
    endpoint = monitor["spec"]["podMetricsEndpoints"][0]
    assert endpoint["basicAuth"] == LOGIN
    assert endpoint["scheme"] == "https"
    assert endpoint["tlsConfig"] == TRUST
    applied = api.apply(monitor, namespace="default", dry=True)
    assert applied.returncode == 0, applied.stderr


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({"password": "${PASSWORD}"}, "podMonitor.basicAuth: the endpoint asks for a password"),
        ({"password_file": "/p"}, "podMonitor.basicAuth: the endpoint asks for a password"),
        (TLS, "podMonitor.tlsConfig: say how Prometheus trusts"),
    ],
)
def test_a_monitor_that_would_be_turned_away(http: dict[str, Any], words: str) -> None:
    assert words in try_template(_on(http)).stderr


@pytest.mark.parametrize(
    ("ip", "url"),
    [("10.1.2.3", "http://10.1.2.3:9619/metrics"), ("fd00::7", "http://[fd00::7]:9619/metrics")],
)
def test_where_the_port_has_no_name_prometheus_makes_the_address(
    ip: str, url: str, tmp_path: Path
) -> None:
    values = {"podMonitor": {"enabled": True}, **side(host="mariadb-operator")}
    endpoint = only(render(values), "PodMonitor")["spec"]["podMetricsEndpoints"][0]
    assert "port" not in endpoint
    relabel = [
        {
            re.sub("[A-Z]", lambda each: f"_{each[0].lower()}", key): value
            for key, value in e.items()
        }
        for e in endpoint["relabelings"]
    ]
    pod = {"targets": [ip], "labels": {"__meta_kubernetes_pod_ip": ip}}
    found = [
        {**pod, "labels": {**pod["labels"], "__meta_kubernetes_pod_container_name": name}}
        for name in ("mariadb", "audit-shipper")
    ]
    scrape = {"job_name": "x", "static_configs": found, "relabel_configs": relabel}
    with prometheus_of({"scrape_configs": [scrape]}, tmp_path) as server:
        targets = until(lambda: server.get("/api/v1/targets")["data"]["activeTargets"])
    assert [each["scrapeUrl"] for each in targets] == [url]
