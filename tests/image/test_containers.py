"""Server and shipper as two hardened containers on one volume, without Kubernetes.

The shipper is process 1 of its container, has a user of its own with the server's group, and a
read-only root. What a pod adds (order, probes) is in tests/charts/test_node.py.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import orjson
import pytest
import yaml
from command import audit_shipper
from servers import free_port, need
from servers.images import MARIADB, Store, build_mariadb, current, store
from servers.kubernetes import need_made, need_privileges
from sink.rigs.opensearch import OpenSearchRig, shared

pytestmark = pytest.mark.timeout(1000)  # the first test builds images

GROUP: Final = 999
COMPLETE, UNFINISHED = "0", "4"
POLL_SECONDS: Final = 0.3
READY_SECONDS_MAX: Final = 90
FOLDERS: Final = {
    "data": "/var/lib/mysql",
    "log": "/var/log/mysql-audit",
    "state": "/var/lib/audit-shipper",
    "config": "/etc/audit-shipper",
}


class Pair:
    """The two containers, and their folders."""

    def __init__(self, images: Store, folder: Path, index: OpenSearchRig) -> None:
        self._images = images
        self._folder = folder
        self.index = index
        self._port = free_port()
        self._names: list[str] = []
        self.log = folder / "log" / "audit.log"
        for name in FOLDERS:
            (folder / name).mkdir()
            # As fsGroup has it done.
            os.chown(folder / name, 0, GROUP)
            (folder / name).chmod(0o2775)

    def _start(self, image: str, *options: str, arguments: list[str]) -> str:
        always = ["--detach", "--network=host", "--cap-drop=all"]
        name = self._images.run("podman", "run", *always, *options, image, *arguments).strip()
        self._names.append(name)
        return name

    def _mount(self, name: str, flags: str = "rw") -> str:
        return f"--volume={self._folder / name}:{FOLDERS[name]}:{flags}"

    def start_server(self) -> str:
        audit = ["--plugin-load-add=server_audit", "--server-audit-logging=ON"]
        audit += ["--server-audit-events=CONNECT,QUERY"]
        audit += [f"--server-audit-file-path={FOLDERS['log']}/audit.log", f"--port={self._port}"]
        mounts = [self._mount("data"), self._mount("log")]
        name = self._start(MARIADB, f"--user={GROUP}:{GROUP}", *mounts, arguments=audit)
        self._until(lambda: self.sql("select 1"))
        return name

    def start_shipper(self, url: str) -> str:
        """Start, and wait until /readyz says so."""
        port = free_port()
        sink = {"type": "opensearch", "urls": [url], "index": f"{self.index.base}-%Y.%m.%d"}
        config = {
            "state": FOLDERS["state"],
            "instance": "db/mysql-0",
            "http": {"host": "127.0.0.1", "port": port},
            "drain_seconds": 5,
            "sources": [{"type": "file", "path": f"{FOLDERS['log']}/audit.log"}],
            "sinks": [{**sink, "retention": "off"}],
        }
        (self._folder / "config" / "shipper.yaml").write_text(yaml.safe_dump(config))
        hardened = ["--read-only", "--security-opt=no-new-privileges", "--tmpfs=/tmp"]
        mounts = [self._mount("log", "ro"), self._mount("state"), self._mount("config", "ro")]
        command = ["run", "-c", f"{FOLDERS['config']}/shipper.yaml"]
        user = f"--user=65532:{GROUP}"
        name = self._start(current(self._images), user, *hardened, *mounts, arguments=command)
        self._until(lambda: _answers(port))
        return name

    def _until(self, condition: Callable[[], bool]) -> None:
        never = threading.Event()
        for _ in range(int(READY_SECONDS_MAX / POLL_SECONDS)):
            if condition():
                return
            never.wait(POLL_SECONDS)
        raise AssertionError(self.words(self._names[-1]))

    def sql(self, statement: str, user: str = "root", password: str = "") -> bool:
        where = ["--protocol=tcp", "--host=127.0.0.1", f"--port={self._port}"]
        run = subprocess.run(
            [need("mariadb"), "--no-defaults", *where, f"--user={user}", "-e", statement],
            env={**os.environ, "MYSQL_PWD": password},
            capture_output=True,
            check=False,
            timeout=60,
        )
        return run.returncode == 0

    def stop(self, name: str) -> str:
        """SIGTERM, and the exit status."""
        self._images.run("podman", "stop", "--time=60", name)
        return self._images.run("podman", "inspect", "--format={{.State.ExitCode}}", name).strip()

    def words(self, name: str) -> str:
        run = self._images.attempt("podman", "logs", name)
        return run.stdout + run.stderr

    def remove(self) -> None:
        for name in self._names:
            self._images.run("podman", "rm", "--force", "--time=1", name)


def _answers(port: int) -> bool:
    probe = ["curl", "--silent", "--fail", "--max-time", "5", f"http://127.0.0.1:{port}/readyz"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    need_privileges()
    need_made("rootfs-build", "rootfs-mariadb")
    with store() as images:
        build_mariadb(images)
        index = OpenSearchRig(shared())
        made = Pair(images, tmp_path, index)
        yield made
        made.remove()
        index.remove()


def written(log: Path) -> list[int]:
    run = audit_shipper("decode", log)
    assert run.returncode == 0, run.stderr
    return sorted(orjson.loads(line)["span"][0] for line in run.stdout.splitlines())


def indexed(index: OpenSearchRig) -> list[int]:
    return sorted(hit["_source"]["log"]["offset"] for hit in index.documents())


def work(pair: Pair) -> None:
    for _ in range(5):
        assert pair.sql("select 'a long day'")
        assert not pair.sql("select 1", user="guest", password="guess")


def test_drained_by_a_user_who_may_only_read(pair: Pair) -> None:
    shipper = pair.start_shipper(pair.index.server.url)
    server = pair.start_server()
    work(pair)
    assert pair.stop(server) == "0"
    assert pair.stop(shipper) == COMPLETE, pair.words(shipper)
    found = written(pair.log)
    assert len(found) >= 15
    assert indexed(pair.index) == found


def test_a_remainder_is_named_and_shipped_by_the_next_container(pair: Pair) -> None:
    shipper = pair.start_shipper(f"http://127.0.0.1:{free_port()}")
    server = pair.start_server()
    work(pair)
    pair.stop(server)
    assert pair.stop(shipper) == UNFINISHED
    size = pair.log.stat().st_size
    left = f"{size:,} bytes of {FOLDERS['log']}/audit.log not shipped to opensearch"
    assert left in pair.words(shipper)
    assert indexed(pair.index) == []
    again = pair.start_shipper(pair.index.server.url)
    assert pair.stop(again) == COMPLETE, pair.words(again)
    assert indexed(pair.index) == written(pair.log)
