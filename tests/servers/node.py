"""A real kubelet with containerd and runc, as a node of a `Cluster`: pods run.

Needs what `privileges.py` tries. Only pods of the host's network work (`hostNetwork: true`): the
node has no other.
Nothing of the machine is changed: the kernel settings that kubelet wants to write are shown to it
in a mount name space of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from servers import free_port, need
from servers.cluster import Cluster
from servers.images import PAUSE
from servers.kubernetes import need_privileges, program

NAME: Final = "localhost"
_SETTINGS: Final = {
    "vm/overcommit_memory": "1",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# Shows kubelet the settings as it wants them, and the rest of /proc/sys read-only.
_SHOWN: Final = """
mount --make-rprivate / && mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys &&
for k in {names}; do mount --bind "$D/sysctl/$k" "/proc/sys/$k" || exit 1; done; exec "$@"
""".format(names=" ".join(_SETTINGS))


def _containerd(folder: Path) -> str:
    off = [f"io.containerd.snapshotter.v1.{name}" for name in ("btrfs", "zfs", "devmapper", "aufs")]
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = {[*off, "io.containerd.internal.v1.opt"]!r}
[grpc]
address = "{folder}/containerd.sock"
{cri}]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true
disable_apparmor = true
{cri}.cni]
conf_dir = "{folder}/cni"
bin_dir = "/usr/lib/cni"
{cri}.containerd]
default_runtime_name = "runc"
{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
"""


def _kubelet(folder: Path) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": free_port(),
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "makeIPTablesUtilChains": False,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "podLogsDir": f"{folder}/logs",
        "syncFrequency": "5s",
        # CI's machine is a small one: what pods request must not depend on it.
        "maxPods": 20,
    }


class Node:
    """The running node."""

    def __init__(self, api: Cluster) -> None:
        self.api = api
        # Sockets have short paths.
        self.folder = api.folder / "node"

    def start(self, images: Path) -> None:
        """Start with the images of this archive."""
        folder = self.folder
        for name in ("cni", "logs", "kubelet"):
            (folder / name).mkdir(parents=True)
        loopback = '{"cniVersion": "0.4.0", "name": "lo-only", "type": "loopback"}'
        (folder / "cni" / "10-lo.conf").write_text(loopback)  # without one the node is not ready
        (folder / "containerd.toml").write_text(_containerd(folder).replace("'", '"'))
        (folder / "kubelet.yaml").write_text(yaml.safe_dump(_kubelet(folder)))
        for name, value in _SETTINGS.items():
            path = folder / "sysctl" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(value)
        processes = self.api.processes
        processes.start("containerd", need("containerd"), "-c", str(folder / "containerd.toml"))
        processes.until("containerd answers", lambda: self.ctr("version").returncode == 0)
        imported = self.ctr("images", "import", str(images))
        assert imported.returncode == 0, imported.stderr
        self._start_kubelet()

    def _start_kubelet(self) -> None:
        folder = self.folder
        self.api.processes.start(
            "kubelet",
            "unshare",
            "-m",
            "sh",
            "-c",
            _SHOWN,
            "sh",
            program("kubelet"),
            f"--config={folder / 'kubelet.yaml'}",
            f"--kubeconfig={self.api.kubeconfig}",
            f"--root-dir={folder / 'kubelet'}",
            f"--cert-dir={folder / 'kubelet' / 'pki'}",
            f"--hostname-override={NAME}",
            env={**os.environ, "D": str(folder)},
        )
        ready = ("wait", "--for=condition=Ready", "--timeout=1s", f"node/{NAME}")
        self.api.processes.until("the node is ready", lambda: self.api.ok(*ready))

    def ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = ["-a", f"{self.folder}/containerd.sock", "-n", "k8s.io"]
        return subprocess.run(
            [need("ctr"), *where, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,  # unpacking images, on a busy disk
        )

    def clear(self) -> None:
        """Stop all pods that run, and what kubelet has not collected."""
        # Those of a job that is over would be waited for in vain: its controller holds them.
        alive = "--field-selector=status.phase!=Failed,status.phase!=Succeeded"
        self.api.kubectl("delete", "pods", "-A", alive, "--wait", "--timeout=60s")
        for task in self.ctr("tasks", "ls", "-q").stdout.split():
            self.ctr("tasks", "kill", "-s", "KILL", task)
            self.ctr("tasks", "delete", task)
        for mount in reversed(_mounts_below(self.folder)):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [path for path in (line.split()[1] for line in lines) if path.startswith(f"{folder}/")]


@contextmanager
def node(api: Cluster, images: Path) -> Iterator[Node]:
    """Add a node to a cluster; its pods are gone afterwards. The cluster stops its processes."""
    need_privileges()
    running = Node(api)
    try:
        running.start(images)
        yield running
    finally:
        running.clear()
        api.processes.stop(2)
        for mount in reversed(_mounts_below(running.folder)):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        with contextlib.suppress(OSError):
            shutil.rmtree(running.folder)
