"""A record that OpenSearch refused comes back once the cause is gone, and nothing comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from app.running import configure, daemon
from command import audit_shipper
from lane.logs import mariadb_row
from servers.waiting import until
from sink.rigs.opensearch import OpenSearchRig

ROWS = 20
POISON = "u7"


@pytest.fixture
def pipeline(rig: OpenSearchRig) -> Iterator[str]:
    """A check of the operator's own that one record does not pass."""
    name = f"{rig.base}-check"
    refuse = "throw new IllegalArgumentException('not this one')"
    script = {"if": f"ctx.user?.name == '{POISON}'", "source": refuse}
    rig.server.call("PUT", f"/_ingest/pipeline/{name}", {"processors": [{"script": script}]})
    yield name
    rig.server.call("DELETE", f"/_ingest/pipeline/{name}")


def test_dead_letters_are_replayed_into_the_index(
    tmp_path: Path, rig: OpenSearchRig, pipeline: str
) -> None:
    (tmp_path / "main.log").write_text("".join(map(mariadb_row, range(ROWS))))
    sink = f"{{type: opensearch, urls: ['{rig.server.url}'], retention: off, "
    sink += f"index: '{rig.base}-%Y.%m.%d', pipeline: {pipeline}}}"
    config = configure(tmp_path, sinks=sink)
    with daemon(config) as running:
        until(lambda: len(rig.documents()) == ROWS - 1)
        assert running.stop() == 0, running.log
    assert b"main opensearch " in audit_shipper("dead-letters", "list", "-c", config).stdout
    shown = audit_shipper("dead-letters", "show", "-c", config).stdout
    assert b"not this one" in shown
    assert f'"user":"{POISON}"'.encode() in shown

    replay = ("dead-letters", "replay", "-c", config)
    still = audit_shipper(*replay)
    assert (still.returncode, len(rig.documents())) == (1, ROWS - 1)
    assert b"1 letter still refused" in still.stderr
    rig.server.call("PUT", f"/_ingest/pipeline/{pipeline}", {"processors": []})
    done = audit_shipper(*replay)
    assert (done.returncode, done.stderr) == (0, b"1 letter delivered\n")
    assert sorted(hit["_source"]["user"]["name"] for hit in rig.documents()) == sorted(
        f"u{number}" for number in range(ROWS)
    )
    # The letter is gone, and there is nothing to send again.
    assert audit_shipper("dead-letters", "show", "-c", config).stdout == b""
    audit_shipper(*replay)
    assert len(rig.documents()) == ROWS
