"""The images of the pod tests, built by buildah on file systems made of Debian's packages.

The shipper's own is built from the Containerfile, on two bases: one with pip, and one that has
Python and no shell, so that a step or an entry point that needs one fails.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from servers import need
from servers.kubernetes import HOME, need_made

ROOT: Final = Path(__file__).parents[2]
SHIPPER: Final = "localhost/audit-shipper:test"
MARIADB: Final = "localhost/mariadb:test"
PAUSE: Final = "localhost/pause:test"
BUILD_SECONDS_MAX: Final = 900  # pip downloads 40 MB; 40 s on a quiet machine

# What the run base must do without.
_SHELLS: Final = {
    f"{folder}/{name}" for folder in ("bin", "usr/bin") for name in ("sh", "dash", "bash")
}
# Certificates of the machine, for builds behind a proxy that signs for others.
_CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"


class Store:
    """Images in a folder of their own, beside those of the machine."""

    def __init__(self, folder: Path) -> None:
        # podman takes 50 characters at most here, and remembers what it was: short, and always
        # the same for this checkout.
        self._state = Path("/run") / f"images-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"
        self._where = [f"--root={folder / 'storage'}", f"--runroot={self._state}"]
        self._config = folder / "containers.conf"
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            "[containers]\n"
            'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n'
            "[engine]\n"
            'runtime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
        )

    def attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run buildah or podman on this store, whatever comes of it."""
        return subprocess.run(
            [need(program), *self._where, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS_MAX,
            env={**os.environ, "CONTAINERS_CONF": str(self._config)},
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run buildah or podman on this store; what it printed."""
        run = self.attempt(program, *arguments)
        assert run.returncode == 0, f"{program} {' '.join(arguments)}:\n{run.stderr[-4000:]}"
        return run.stdout

    def has(self, image: str) -> bool:
        return image in self.run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").split()

    def build(self, tag: str, containerfile: Path, context: Path, *options: str) -> None:
        fixed = ["--isolation=chroot", "--network=host", "--timestamp=0", "--layers=false"]
        named = [f"--tag={tag}", f"--file={containerfile}"]
        self.run("buildah", "bud", *fixed, *named, *options, str(context))

    def import_base(self, tag: str, archive: Path) -> None:
        if not self.has(tag):
            self.run("podman", "import", "--quiet", str(archive), tag)

    def save(self, to: Path, *images: str) -> Path:
        """Write images to one file that containerd reads; what they share is in it once."""
        to.unlink(missing_ok=True)
        form = ["--quiet", "--multi-image-archive", "--format=docker-archive"]
        self.run("podman", "save", *form, f"--output={to}", *images)
        return to

    def close(self) -> None:
        """Leave nothing of what ran; the images stay for the next time."""
        shutil.rmtree(self._state, ignore_errors=True)


@contextmanager
def store() -> Iterator[Store]:
    images = Store(HOME / "images")
    try:
        yield images
    finally:
        images.close()


def without_shells(archive: Path, to: Path) -> Path:
    """Copy a file system, without shells; done once."""
    if not to.exists():
        part = to.with_suffix(".part")
        with tarfile.open(archive) as source, tarfile.open(part, "w") as target:
            for member in source:
                if member.name.removeprefix("./") in _SHELLS:
                    continue
                target.addfile(member, source.extractfile(member) if member.isreg() else None)
        part.rename(to)
    return to


def build_shipper(images: Store, tag: str = SHIPPER) -> None:
    """Build the image of this checkout."""
    need_made("rootfs-build")
    images.import_base("localhost/build:test", HOME / "build.tar")
    bare = without_shells(HOME / "build.tar", HOME / "bare.tar")
    images.import_base("localhost/bare:test", bare)
    cache = HOME / "pip"
    cache.mkdir(exist_ok=True)
    images.build(
        tag,
        ROOT / "Containerfile",
        ROOT,
        "--build-arg=BUILD_BASE=localhost/build:test",
        "--build-arg=BASE=localhost/bare:test",
        "--build-arg=VERSION=0.0.0-test",
        f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro",
        f"--volume={cache}:/root/.cache/pip",
    )


def build_mariadb(images: Store) -> None:
    """A server of Debian's package; its entry point is a script of ours."""
    need_made("rootfs-mariadb")
    images.import_base("localhost/mariadb-base:test", HOME / "mariadb.tar")
    if not images.has(MARIADB):
        folder = ROOT / "tests" / "image"
        options = ["--build-arg=BASE=localhost/mariadb-base:test"]
        images.build(MARIADB, folder / "Containerfile.mariadb", folder, *options)


def build_pause(images: Store) -> None:
    """What holds a pod's name spaces: a program that waits, on a base that is there anyway."""
    images.import_base("localhost/mariadb-base:test", HOME / "mariadb.tar")
    if not images.has(PAUSE):
        folder = ROOT / "tests" / "image"
        options = ["--build-arg=BASE=localhost/mariadb-base:test"]
        images.build(PAUSE, folder / "Containerfile.pause", folder, *options)


def sources() -> Iterator[Path]:
    """All files that the shipper's image is made of."""
    yield from (ROOT / name for name in ("Containerfile", "constraints.txt", "pyproject.toml"))
    yield ROOT / "tests" / "image" / "trim.py"
    yield from sorted((ROOT / "shipper").rglob("*.py"))


def key() -> str:
    """A digest of the sources: whether an image is that of this checkout."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def current(images: Store) -> str:
    """The image of this checkout; built where it is not there yet, in the place of an older one."""
    tag = f"localhost/audit-shipper:{key()}"
    if not images.has(tag):
        names = images.run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}").split()
        for old in names:
            if old.startswith("localhost/audit-shipper:"):
                images.run("podman", "rmi", old)
        build_shipper(images, tag)
    return tag
