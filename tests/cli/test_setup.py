"""`audit-shipper setup opensearch`, as a process, against the real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import audit_shipper
from servers.proxy import Answer, proxy
from sink.rigs.opensearch import OpenSearchRig, opensearch

REST = "state: state\nsources: [{type: file, path: /var/lib/mysql/audit.log}]\n"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[OpenSearchRig]:
    with opensearch(tmp_path) as rig:
        yield rig


def config(folder: Path, rig: OpenSearchRig, retention: str = "off") -> Path:
    path = folder / "shipper.yaml"
    path.write_text(
        f"{REST}sinks:\n"
        "  - type: opensearch\n"
        f"    urls: [{rig.server.url}]\n"
        f"    index: {rig.base}-%Y.%m.%d\n"
        f"    retention: {retention}\n"
    )
    return path


def test_dry_run_prints_and_setup_makes(rig: OpenSearchRig, tmp_path: Path) -> None:
    path = config(tmp_path, rig)
    dry = audit_shipper("setup", "opensearch", "-c", path, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.count(b"  PUT ") == dry.stdout.count(b"would create") == 4
    assert b"created" not in dry.stdout
    assert b'"match_only_text"' in dry.stdout
    made = audit_shipper("setup", "opensearch", "-c", path)
    assert (made.returncode, made.stdout.count(b"created")) == (0, 4), made.stderr
    again = audit_shipper("setup", "opensearch", "-c", path)
    assert again.stdout.count(b"unchanged") == 3
    assert again.stdout.count(b"kept") == 1


def test_what_is_not_as_it_should_be_is_status_1(rig: OpenSearchRig, tmp_path: Path) -> None:
    done = audit_shipper("setup", "opensearch", "-c", config(tmp_path, rig, "ism"))
    assert done.returncode == 1
    assert b"absent" in done.stdout
    assert b"retention: own" in done.stdout


def test_a_cluster_that_is_not_there_is_status_2(tmp_path: Path) -> None:
    path = tmp_path / "shipper.yaml"
    path.write_text(f"{REST}sinks: [{{type: opensearch, urls: ['http://127.0.0.1:9']}}]\n")
    done = audit_shipper("setup", "opensearch", "-c", path)
    assert done.returncode == 2
    assert b"cannot be reached" in done.stderr


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_page_instead_of_a_cluster_is_status_3(
    rig: OpenSearchRig, tmp_path: Path, status: int, dry: tuple[str, ...]
) -> None:
    page = Answer(status, b"<html>please log in</html>", {"content-type": "text/html"})
    with proxy(rig.server.url) as between:
        between.fault = lambda _request: page
        path = config(tmp_path, rig)
        path.write_text(path.read_text().replace(rig.server.url, between.url))
        done = audit_shipper("setup", "opensearch", "-c", path, *dry)
    assert done.returncode == 3
    assert b"does not look like OpenSearch" in done.stderr
    assert b"please log in" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_channel_without_monitors_is_wrong_use(rig: OpenSearchRig, tmp_path: Path) -> None:
    done = audit_shipper("setup", "opensearch", "-c", config(tmp_path, rig), "--channel", "c")
    assert done.returncode == 2
    assert b"--monitors" in done.stderr


@pytest.mark.parametrize(
    ("sinks", "said"),
    [
        ("[{type: jsonl, path: x}]", b"no sink of type opensearch"),
        ("[{type: opensearch, urls: ['ftp://x'], username: me}]", b"is not like https://"),
        ("[{type: opensearch, urls: ['http://x'], username: me}]", b"belong together"),
        ("[{type: opensearch, urls: ['http://u:p@x']}]", b"do not belong in a url"),
        ("[{type: opensearch, urls: ['http://x'], index: A-%Y}]", b"index"),
        ("[{type: opensearch, urls: ['http://x'], data_stream: true}]", b"has a date"),
        ("[{type: opensearch, urls: ['http://x'], index: a, retention: own}]", b"has no date"),
        ("[{type: opensearch, urls: ['http://x'], ca_file: a}]", b"need https"),
        ("[{type: opensearch, urls: ['http://x'], api_key: a, aws: {region: b}}]", b"one way"),
    ],
)
def test_a_wrong_configuration_is_explained(tmp_path: Path, sinks: str, said: bytes) -> None:
    path = tmp_path / "shipper.yaml"
    path.write_text(f"{REST}sinks: {sinks}\n")
    done = audit_shipper("setup", "opensearch", "-c", path)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_dry_run_is_the_mapping(rig: OpenSearchRig, tmp_path: Path) -> None:
    dry = audit_shipper("setup", "opensearch", "-c", config(tmp_path, rig), "--dry-run").stdout
    _, _, rest = dry.decode().partition(f"PUT /_component_template/{rig.base}-fields\n")
    body, _ = json.JSONDecoder().raw_decode(rest)
    assert body["template"]["mappings"]["dynamic"] is False
