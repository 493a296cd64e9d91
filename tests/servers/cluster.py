"""A real Kubernetes control plane: etcd, kube-apiserver, and on demand its controllers.

Started on free ports of 127.0.0.1 in a temporary folder, and stopped by process id. `Node`
(servers/node.py) adds a kubelet, so that pods run.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from servers import free_port, need
from servers.kubernetes import program

READY_SECONDS: Final = 180  # the API server is ready in 4 to 8 s on a quiet machine
POLL_SECONDS: Final = 0.3
STOP_SECONDS: Final = 30
# Their folder is removed: an orderly end would take them 25 s, for which nobody is the wiser.
FORGETFUL: Final = frozenset(("etcd", "apiserver", "controllers", "scheduler"))


class Processes:
    """Programs that run until `stop`, each with its log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(self, name: str, *command: str, env: dict[str, str] | None = None) -> None:
        """Start one; it is told to end with the test process, so that a kill leaves none behind."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=env,
            )
        self._running.append((name, process))

    def stop(self, count: int | None = None) -> None:
        """Stop all, or so many: the last first."""
        for _ in range(len(self._running) if count is None else count):
            name, process = self._running.pop()
            if name in FORGETFUL:
                process.kill()
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def until(self, what: str, condition: Callable[[], object]) -> None:
        """Poll a condition; fails with the ends of all logs where it does not come true."""
        for _ in range(int(READY_SECONDS / POLL_SECONDS)):
            if condition():
                return
            if not self._wait_a_little():
                break
        logs = (f"{name}: {self._said(name)}" for name, _process in self._running)
        raise RuntimeError(f"{what}: not so\n" + "\n".join(logs))

    def _wait_a_little(self) -> bool:
        """Wait for a moment, or for the end of the newest process, which nobody wants."""
        _name, process = self._running[-1]
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-1500:]


class Cluster:
    """A running API server; `kubectl` and `helm` reach it with `kubeconfig`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.kubeconfig = folder / "kubeconfig"
        self.processes = Processes(folder)

    def start(self) -> None:
        etcd, peer = free_port(), free_port()
        self.processes.start(
            "etcd",
            need("etcd"),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            # Nothing here must survive the machine.
            "--unsafe-no-fsync",
        )
        self._write_access()
        key = str(self.folder / "sa.key")
        self.processes.start(
            "apiserver",
            program("kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self.folder / 'certs'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={key}",
            f"--service-account-key-file={key}",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",
            "--endpoint-reconciler-type=none",
        )
        self.processes.until("the API server is ready", lambda: self.ok("get", "--raw", "/readyz"))
        self.processes.until("namespaces are there", lambda: self.ok("get", "namespace", "default"))

    def start_controllers(self) -> None:
        """Start what makes pods of StatefulSets and Jobs, and puts them on a node."""
        common = [
            f"--kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
        ]
        self.processes.start(
            "controllers",
            program("kube-controller-manager"),
            *common,
            f"--secure-port={free_port()}",
            f"--cert-dir={self.folder / 'controllers'}",
            "--controllers=*,-node-ipam-controller",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            "--use-service-account-credentials=false",
        )
        self.processes.start(
            "scheduler",
            program("kube-scheduler"),
            *common,
            f"--secure-port={free_port()}",
            f"--cert-dir={self.folder / 'scheduler'}",
        )

    def _write_access(self) -> None:
        key = str(self.folder / "sa.key")
        subprocess.run(
            [need("openssl"), "genrsa", "-out", key, "2048"], check=True, capture_output=True
        )
        token = secrets.token_hex(16)
        (self.folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
        server = {"server": f"https://127.0.0.1:{self.port}", "insecure-skip-tls-verify": True}
        access = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": server}],
            "users": [{"name": "admin", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(yaml.safe_dump(access))
        self.kubeconfig.chmod(0o600)

    def kubectl(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_SECONDS,
            env={"HOME": str(self.folder), "PATH": "/usr/bin:/bin"},
        )

    def ok(self, *arguments: str) -> bool:
        return self.kubectl(*arguments).returncode == 0

    def get(self, *arguments: str) -> Any:
        """What `kubectl get` finds, as values."""
        run = self.kubectl("get", *arguments, "-o", "json")
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)

    def apply(
        self, *objects: object, namespace: str, dry: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Server-side apply, strictly: an unknown field is an error."""
        text = yaml.safe_dump_all(objects)
        dry_run = ["--dry-run=server"] if dry else []
        return self.kubectl(
            "apply",
            "--server-side",
            "--validate=strict",
            "-n",
            namespace,
            *dry_run,
            "-f",
            "-",
            stdin=text,
        )

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace of one's own. Without controllers nothing empties it: it stays, marked."""
        assert self.ok("create", "namespace", name)
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a control plane; stop it and remove its folder, whatever happens."""
    for name in ("kube-apiserver", "kubectl"):
        program(name)
    folder = Path(tempfile.mkdtemp(prefix="cluster-"))
    running = Cluster(folder)
    try:
        running.start()
        yield running
    finally:
        running.processes.stop()
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)
