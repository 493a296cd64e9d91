"""Real pods: the chart installed by helm, a MariaDB, and the shipper as its native sidecar.

The images are built from this checkout, the node is a real kubelet. What fsGroup does to the
volumes of a provisioner is done by hand: the volumes here are folders.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import yaml
from charts.helm import CHART
from command import audit_shipper
from servers import free_port, need
from servers.cluster import READY_SECONDS, Cluster, cluster
from servers.images import MARIADB, PAUSE, build_mariadb, build_pause, current, store
from servers.kubernetes import HOME, need_made, need_privileges, program
from servers.node import Node, node
from servers.opensearch import OpenSearch, shared
from servers.proxy import Answer, Proxy, proxy
from sink.rigs.opensearch import OpenSearchRig

pytestmark = pytest.mark.timeout(1500)  # the first test waits for images and the node

SERVER_GROUP: Final = 999
COMPLETE, UNFINISHED = 0, 4
_numbers = count()


class World:
    """The node and what runs on it."""

    def __init__(self, api: Cluster, node: Node, image: str) -> None:
        self.api = api
        self.node = node
        self.repository, _, self.tag = image.rpartition(":")

    def helm(self, *arguments: str, values: Any = None) -> subprocess.CompletedProcess[str]:
        options = ["--values", "-"] if values is not None else []
        return subprocess.run(
            [program("helm"), f"--kubeconfig={self.api.kubeconfig}", *arguments, *options],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
            env={"HOME": str(self.api.folder), "PATH": "/usr/bin:/bin"},
        )

    def install(self, space: str, values: Any) -> None:
        command = [
            "upgrade",
            "--install",
            "s",
            str(CHART),
            "-n",
            space,
            "--wait",
            "--wait-for-jobs",
        ]
        done = self.helm(*command, "--timeout=300s", values=values)
        assert done.returncode == 0, done.stderr + self.words_of_pods(space)

    def words_of_pods(self, space: str) -> str:
        shown = self.api.kubectl("describe", "pods", "-n", space).stdout
        return shown + self.api.kubectl("logs", "-n", space, "-l", "app.kubernetes.io/name").stdout

    def values(self, url: str, index: OpenSearchRig, **more: Any) -> dict[str, Any]:
        sink = {
            "type": "opensearch",
            "urls": [url],
            "index": f"{index.base}-%Y.%m.%d",
            "retention": "off",
        }
        return {
            "sidecar": {
                "image": {"repository": self.repository, "tag": self.tag, "pullPolicy": "Never"},
                "config": {
                    "http": {"port": free_port()},
                    "sinks": [{"type": "metrics"}, sink],
                    "drain_seconds": 10,
                },
            },
            **more,
        }


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    need_privileges()
    need_made("rootfs-build", "rootfs-mariadb", "kubelet", "kube-scheduler")
    with store() as images:
        build_pause(images)
        build_mariadb(images)
        image = current(images)
        archive = images.save(HOME / "images.tar", image, PAUSE, MARIADB)
    with cluster() as api, node(api, archive) as running:
        api.start_controllers()
        yield World(api, running, image)
        api.processes.stop(2)  # else the pods that the node stops would be made anew


@pytest.fixture
def space(world: World) -> Iterator[str]:
    with world.api.namespace(f"n{next(_numbers)}") as name:
        yield name


@pytest.fixture
def index() -> Iterator[OpenSearchRig]:
    rig = OpenSearchRig(shared())
    yield rig
    rig.remove()


# -- bootstrap


def _version(server: OpenSearch) -> int:
    version: int = server.call("GET", "/_cluster/state/version")["version"]
    return version


def test_bootstrap_twice(world: World, space: str, index: OpenSearchRig) -> None:
    values = world.values(index.server.url, index, bootstrap={"enabled": True, "hostNetwork": True})
    world.install(space, values)
    made = index.server.call("GET", f"/_index_template/{index.base}*")["index_templates"]
    assert made
    before = _version(index.server)
    world.install(space, values)
    assert _version(index.server) == before
    assert world.api.get("jobs", "-n", space)["items"] == []


def test_bootstrap_that_cannot_be_done_fails_the_install(
    world: World, space: str, index: OpenSearchRig
) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    job = {"enabled": True, "hostNetwork": True, "backoffLimit": 0}
    command = ["install", "s", str(CHART), "-n", space, "--wait", "--timeout=200s"]
    done = world.helm(*command, values=world.values(nobody, index, bootstrap=job))
    assert done.returncode != 0
    assert "BackoffLimitExceeded" in done.stderr


# -- life-cycle


class Seen:
    """What was seen of a pod's end, once it is over."""

    ends: dict[str, Any]  # container -> how it ended
    words: str  # the shipper's log


class Pod:
    """The StatefulSet that the chart wants pasted, on folders, on the host's network."""

    def __init__(self, world: World, space: str, folder: Path) -> None:
        self.api = world.api
        self.space = space
        self.folder = folder
        self.port = free_port()
        self.log = folder / "audit-log" / "audit.log"
        self.state = folder / "audit-shipper-state"
        text = self.api.get("configmap", "s-audit-shipper-paste", "-n", space)["data"]
        self._set = yaml.safe_load(text["statefulset.yaml"])
        self._adapt(self._set["spec"]["template"]["spec"])

    def _adapt(self, spec: dict[str, Any]) -> None:
        spec["hostNetwork"] = True
        server = spec["containers"][0]
        server.update(image=MARIADB, imagePullPolicy="Never", env=[])
        server["args"].append(f"--port={self.port}")
        server["ports"][0]["containerPort"] = self.port

    def create(self) -> None:
        volumes = []
        for claim in self._set["spec"]["volumeClaimTemplates"]:
            name = claim["metadata"]["name"]
            folder = self.folder / name
            folder.mkdir()
            os.chown(folder, 0, SERVER_GROUP)
            folder.chmod(0o2775)
            volumes.append(self._volume(name, folder))
        applied = self.api.apply(*volumes, self._set, namespace=self.space)
        assert applied.returncode == 0, applied.stderr

    def _volume(self, name: str, folder: Path) -> dict[str, Any]:
        claim = {"namespace": self.space, "name": f"{name}-mysql-0"}
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{self.space}-{name}"},
            "spec": {
                "capacity": {"storage": "10Gi"},
                "accessModes": ["ReadWriteOnce"],
                "hostPath": {"path": str(folder), "type": "Directory"},
                "claimRef": claim,
            },
        }

    def await_ready(self) -> None:
        rollout = ("rollout", "status", "statefulset/mysql", "-n", self.space)
        done = self.api.kubectl(*rollout, f"--timeout={READY_SECONDS - 10}s")
        shown = self.api.kubectl("describe", "pods", "-n", self.space).stdout
        assert done.returncode == 0, done.stderr + shown
        self.await_server()

    def await_server(self) -> None:
        self.api.processes.until("MariaDB answers", lambda: self.sql("select 1"))

    def says(self, words: str) -> None:
        """Wait until the shipper's log has this."""
        log = ("logs", "mysql-0", "-c", "audit-shipper", "-n", self.space)
        self.api.processes.until(words, lambda: words in self.api.kubectl(*log).stdout)

    def shipper(self) -> dict[str, Any]:
        """How the sidecar stands."""
        found: dict[str, Any] = self.status()["initContainerStatuses"][0]
        return found

    def sql(self, *statements: str, user: str = "root", password: str = "") -> bool:
        """Run statements as a client; whether that worked."""
        where = ["--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}"]
        run = subprocess.run(
            [need("mariadb"), "--no-defaults", *where, f"--user={user}"],
            input=";\n".join(statements) + ";\n",
            env={**os.environ, "MYSQL_PWD": password},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return run.returncode == 0

    def status(self) -> Any:
        return self.api.get("pod", "mysql-0", "-n", self.space)["status"]

    def scale(self, replicas: int) -> None:
        assert self.api.ok("scale", "statefulset/mysql", f"--replicas={replicas}", "-n", self.space)

    def stop_under_load(self) -> Seen:
        """Scale to none while clients work."""
        busy, threads = threading.Event(), []
        for _ in range(2):
            threads.append(threading.Thread(target=self._work, args=(busy,)))
            threads[-1].start()
        assert busy.wait(READY_SECONDS)
        with self._watching() as seen:
            self.scale(0)
            gone = ("wait", "--for=delete", "pod/mysql-0", "-n", self.space, "--timeout=120s")
            assert self.api.ok(*gone)
        for thread in threads:
            thread.join(READY_SECONDS)
        return seen

    def _work(self, busy: threading.Event) -> None:
        rounds = 0
        while self.sql("select 'a long day'"):
            self.sql("select 1", user="guest", password="guess")
            rounds += 1
            if rounds == 3:
                busy.set()

    @contextmanager
    def _watching(self) -> Iterator[Seen]:
        """Follow the pod; what was seen is filled in when the context is left."""
        space = ["-n", self.space]
        base = [program("kubectl"), f"--kubeconfig={self.api.kubeconfig}"]
        pod = [*base, "get", "pod", "mysql-0", "--watch", "-o", "json", *space]
        log = [*base, "logs", "mysql-0", "-c", "audit-shipper", "-f", *space]
        states, words = self.folder / "watch.json", self.folder / "words.txt"
        running = []
        for command, file in ((pod, states), (log, words)):
            with file.open("wb") as out:
                running.append(subprocess.Popen(command, stdout=out, stderr=out))
        seen = Seen()
        try:
            # Both must look before the end begins.
            self.api.processes.until("watching", lambda: states.stat().st_size)
            yield seen
        finally:
            for process in running:
                process.terminate()
                process.wait()
            seen.ends, seen.words = _ends(states.read_text()), words.read_text()


def _ends(text: str) -> dict[str, Any]:
    """Container -> how it ended, out of all states that were seen."""
    decoder, at, ends = json.JSONDecoder(), 0, {}
    while (at := text.find("{", at)) >= 0:
        try:
            seen, at = decoder.raw_decode(text, at)
        except json.JSONDecodeError:
            break
        status = seen["status"]
        both = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        for each in both:
            if "terminated" in each["state"]:
                ends[each["name"]] = each["state"]["terminated"]
    return ends


def written(log: Path) -> list[int]:
    """Offsets of all records, by an independent reading of the file."""
    run = audit_shipper("decode", log)
    assert run.returncode == 0, run.stderr
    return sorted(orjson.loads(line)["span"][0] for line in run.stdout.splitlines())


def indexed(index: OpenSearchRig) -> list[int]:
    return sorted(hit["_source"]["log"]["offset"] for hit in index.documents())


@pytest.fixture
def created(world: World, space: str, tmp_path: Path) -> Iterator[Callable[[Any], Pod]]:
    """Makes the pod; nothing is waited for."""
    made: list[Pod] = []

    def make(values: Any) -> Pod:
        world.install(space, values)
        made.append(Pod(world, space, tmp_path))
        made[0].create()
        return made[0]

    yield make
    for each in made:
        each.scale(0)
        world.api.kubectl("wait", "--for=delete", "pod/mysql-0", "-n", space, "--timeout=120s")
        volumes = [f"{space}-{name}" for name in ("data", "audit-log", "audit-shipper-state")]
        world.api.kubectl("delete", "pv", *volumes, "--wait=false")


@pytest.fixture
def pod(created: Callable[[Any], Pod]) -> Callable[[Any], Pod]:
    """Makes the pod, and waits until it is ready."""

    def make(values: Any) -> Pod:
        made = created(values)
        made.await_ready()
        return made

    return make


def test_the_sidecar_starts_before_and_ends_after_the_server_and_ships_all(
    world: World, pod: Callable[[Any], Pod], index: OpenSearchRig
) -> None:
    running = pod(world.values(index.server.url, index))
    status = running.status()
    first, second = status["initContainerStatuses"][0], status["containerStatuses"][0]
    assert (first["name"], second["name"]) == ("audit-shipper", "mysql")
    assert first["state"]["running"]["startedAt"] <= second["state"]["running"]["startedAt"]
    assert first["started"] is True

    seen = running.stop_under_load()
    assert seen.ends["audit-shipper"]["exitCode"] == COMPLETE, seen.words
    assert seen.ends["mysql"]["exitCode"] == 0
    assert seen.ends["mysql"]["finishedAt"] <= seen.ends["audit-shipper"]["finishedAt"]
    assert indexed(index) == written(running.log)


def test_a_dead_target_keeps_nobody_and_loses_nothing(
    world: World, pod: Callable[[Any], Pod], index: OpenSearchRig
) -> None:
    with proxy(index.server.url) as between:
        between.fault = lambda _request: Answer(503)
        running = pod(world.values(between.url, index))
        assert {"type": "Ready", "status": "True"}.items() <= _ready(running).items()

        seen = running.stop_under_load()
        size = running.log.stat().st_size
        assert seen.ends["audit-shipper"]["exitCode"] == UNFINISHED, seen.words
        assert f"{size:,} bytes of /var/log/mysql-audit/audit.log not shipped" in seen.words
        assert indexed(index) == []

        _revive(running, between)
        assert indexed(index) == written(running.log)


def test_a_target_that_refuses_us_leaves_the_server_in_its_service(
    world: World, pod: Callable[[Any], Pod], index: OpenSearchRig
) -> None:
    """A wrong password, which ends the process elsewhere."""
    with proxy(index.server.url) as between:
        between.fault = lambda _request: Answer(401)
        values = world.values(between.url, index)
        values["sidecar"]["config"]["refused_retry_seconds"] = 2
        running = pod(values)
        running.says("asked again in 2 s")
        assert _ready(running)["status"] == "True"
        assert running.shipper()["restartCount"] == 0

        between.fault = lambda _request: None
        seen = running.stop_under_load()
        assert seen.ends["audit-shipper"]["exitCode"] == COMPLETE, seen.words
        assert indexed(index) == written(running.log)


def test_a_shipper_that_cannot_start_does_not_hold_the_server_up(
    world: World, created: Callable[[Any], Pod], index: OpenSearchRig
) -> None:
    values = world.values(index.server.url, index)
    values["sidecar"]["config"]["http"] |= {"password_file": "/run/secrets/nowhere/password"}
    running = created(values)
    running.says("/run/secrets/nowhere/password")
    running.await_server()
    # That much is kubelet's: a container that does not run is not ready, nor is its pod. It ran for
    # a moment, and kubelet says so as late as it likes.
    not_ready = "the pod is not ready"
    world.api.processes.until(not_ready, lambda: _ready(running)["status"] == "False")


def _ready(running: Pod) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = running.status()["conditions"]
    return next(each for each in conditions if each["type"] == "Ready")


def _revive(running: Pod, between: Proxy) -> None:
    """Let the target answer, and the pod start and end once more."""
    between.fault = lambda _request: None
    running.scale(1)
    running.await_ready()
    seen = running.stop_under_load()
    assert seen.ends["audit-shipper"]["exitCode"] == COMPLETE, seen.words
