"""Where Go's programs are kept, and what is asked of the machine before containers are tried."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from servers.kubernetes import need_made, need_privileges

SERVERS: Final = Path(__file__).parents[1] / "servers"
# Writes what it would build, and that it was called.
GO: Final = """#!/bin/sh
echo "$@" >>"$CALLS"
while [ "$1" != -o ]; do shift; done
to=$2
shift 2
for package in "$@"; do
	echo "program $package" >"$to/${package##*/}"
	chmod +x "$to/${package##*/}"
done
"""


class Checkout:
    """A checkout that holds no more than the installation; its Go builds nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "cache"
        self.calls = folder / "calls"
        self.servers = folder / "checkout" / "tests" / "servers"
        self.servers.mkdir(parents=True)
        shutil.copy(SERVERS / "install-kubernetes", self.servers)
        shutil.copytree(SERVERS / "kubernetes-modules", self.servers / "kubernetes-modules")
        go = folder / "bin" / "go"
        go.parent.mkdir()
        go.write_text(GO)
        go.chmod(0o755)

    def install(self) -> Path:
        """Install kubelet, in a checkout that has nothing yet."""
        home = self.servers.parents[1] / ".servers"
        shutil.rmtree(home, ignore_errors=True)
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        mine = {"PATH": path, "XDG_CACHE_HOME": str(self.cache), "CALLS": str(self.calls)}
        command = [self.servers / "install-kubernetes", "node"]
        subprocess.run(command, cwd=self.folder, env=os.environ | mine, check=True, timeout=300)
        return home / "kubernetes" / "bin" / "kubelet"

    def builds(self) -> int:
        return len(self.calls.read_text().splitlines())

    def kept(self) -> Path:
        return next(self.cache.glob("audit-shipper/kubernetes/*/kubelet"))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    need_privileges()
    need_made("kubelet")  # with it came Debian's packages
    return Checkout(tmp_path)


def test_a_program_is_built_once(checkout: Checkout) -> None:
    first = checkout.install().read_text()
    assert first == "program k8s.io/kubernetes/cmd/kubelet\n"
    assert checkout.install().read_text() == first
    assert checkout.builds() == 1
    kept = checkout.kept()
    assert sorted(path.name for path in kept.parent.iterdir()) == ["kubelet", "kubelet.sha256"]


def test_a_program_that_is_not_whole_is_built_again(checkout: Checkout) -> None:
    whole = checkout.install().read_text()
    checkout.kept().write_text(whole[:5])
    assert checkout.install().read_text() == whole
    checkout.kept().with_suffix(".sha256").unlink()
    assert checkout.install().read_text() == whole
    assert checkout.builds() == 3


def test_other_modules_are_another_program(checkout: Checkout) -> None:
    checkout.install()
    with (checkout.servers / "kubernetes-modules" / "go.sum").open("a") as sums:
        sums.write("\n")
    checkout.install()
    assert checkout.builds() == 2
    assert len(list(checkout.cache.glob("audit-shipper/kubernetes/*/kubelet"))) == 2


def test_a_cache_that_cannot_be_written_is_no_hindrance(checkout: Checkout) -> None:
    checkout.cache.write_text("a file")
    before = set(checkout.folder.iterdir())
    assert checkout.install().exists()
    assert checkout.install().exists()
    assert checkout.builds() == 2
    assert set(checkout.folder.iterdir()) == before | {checkout.calls}


def _refused(*without: str) -> subprocess.CompletedProcess[str]:
    command = ["setpriv", *without, sys.executable, str(SERVERS / "privileges.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


def test_a_machine_without_privileges_is_told_apart() -> None:
    need_privileges()
    assert _refused().returncode == 0
    refused = _refused("--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    assert refused.returncode == 1
    assert refused.stdout.startswith("name spaces and mounts: ")
