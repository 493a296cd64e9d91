"""What a kubelet and its containers need of the machine, tried out: name spaces, mounts, cgroups.

As a program it says what is missing and ends with 1, or with 0 where all is permitted. Only the
standard library is used: `install-kubernetes` asks too, before there is an environment.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

_CGROUPS: Final = Path("/sys/fs/cgroup")
# Of version 1, where each controller has a tree of its own: those that runc cannot do without.
_CONTROLLERS: Final = ("cpu", "memory", "pids", "devices", "freezer")
# In name spaces of its own, so that all of it is gone with the shell.
_TRIAL: Final = """
mount --make-rprivate / && mount -t tmpfs probe "$1" && cd "$1" && mkdir lower upper work merged &&
mount -t overlay probe -o lowerdir=lower,upperdir=upper,workdir=work merged && touch merged/file &&
mount --bind /proc/sys lower && mount -o remount,ro,bind lower
"""


@cache
def refused() -> str:
    """What the machine does not permit; nothing where it permits all."""
    if os.geteuid() != 0:
        return "it needs root"
    return _name_spaces_and_mounts() or _cgroups()


def _name_spaces_and_mounts() -> str:
    with tempfile.TemporaryDirectory(prefix="privileges-") as folder:
        spaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork"]
        trial = [*spaces, "sh", "-c", _TRIAL, "sh", folder]
        run = subprocess.run(trial, capture_output=True, text=True, check=False, timeout=60)
    return f"name spaces and mounts: {run.stderr.strip()}" if run.returncode else ""


def _cgroups() -> str:
    whole = (_CGROUPS / "cgroup.controllers").exists()
    for tree in [_CGROUPS] if whole else [_CGROUPS / name for name in _CONTROLLERS]:
        group = tree / f"privileges-{os.getpid()}"
        try:
            group.mkdir()
            group.rmdir()
        except OSError as error:
            return f"cgroups: {error}"
    return ""


if __name__ == "__main__":
    reason = refused()
    print(reason or "all is permitted")
    sys.exit(bool(reason))
