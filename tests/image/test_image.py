"""The image: small, the same every time, without a shell, and able to do everything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.images import Store, build_shipper, current, store
from servers.kubernetes import need_made, need_privileges

MIB = 1024 * 1024
OVER_BASE_MIB_MAX = 90

pytestmark = pytest.mark.timeout(1000)  # two builds, where nothing is cached


@pytest.fixture(scope="module")
def images() -> Iterator[Store]:
    need_privileges()
    need_made("rootfs-build")
    with store() as made:
        yield made


@pytest.fixture(scope="module")
def image(images: Store) -> str:
    return current(images)


def inspect(images: Store, image: str) -> Any:
    return json.loads(images.run("podman", "inspect", image))[0]


def run(images: Store, image: str, *arguments: str, options: tuple[str, ...] = ()) -> str:
    hardened = [
        "--read-only",
        "--cap-drop=all",
        "--security-opt=no-new-privileges",
        "--network=none",
    ]
    return images.run("podman", "run", "--rm", *hardened, *options, image, *arguments)


def test_it_runs_hardened(images: Store, image: str) -> None:
    assert run(images, image, "--version").startswith("audit-shipper, version ")


def test_it_decodes_a_real_log(images: Store, image: str, tmp_path: Path) -> None:
    sample = Path(__file__).parents[1] / "samples" / "mariadb" / "mariadb_10.11_logins.log"
    log = tmp_path / "audit.log"
    log.write_bytes(sample.read_bytes())
    tmp_path.chmod(0o755)
    shown = run(
        images, image, "decode", "/log/audit.log", options=(f"--volume={tmp_path}:/log:ro",)
    )
    assert len(shown.splitlines()) == 77


def test_every_module_and_sink_is_there(images: Store, image: str) -> None:
    """Nothing that was trimmed is missed."""
    program = (
        "import importlib, pkgutil, shipper\n"
        "for m in pkgutil.walk_packages(shipper.__path__, 'shipper.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "from shipper.sink import SINKS\n"
        "for k in SINKS.values(): k.settings; getattr(importlib.import_module(k.module), k.name)\n"
        "print('all')"
    )
    assert run(images, image, "-c", program, options=("--entrypoint=python3",)) == "all\n"


def test_there_is_no_shell(images: Store, image: str) -> None:
    with pytest.raises(AssertionError, match=r"no such file|not found"):
        run(images, image, "-c", "true", options=("--entrypoint=/bin/sh",))


def test_user_labels_and_no_health_check(images: Store, image: str) -> None:
    config = inspect(images, image)["Config"]
    labels = {key: value for key, value in config["Labels"].items() if "opencontainers" in key}
    assert config["User"] == "65532:65532"
    assert config["StopSignal"] == "SIGTERM"
    assert "Healthcheck" not in config
    assert labels["org.opencontainers.image.version"] == "0.0.0-test"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_small(images: Store, image: str) -> None:
    base = inspect(images, "localhost/bare:test")["Size"]
    assert (inspect(images, image)["Size"] - base) / MIB < OVER_BASE_MIB_MAX


def test_bytecode_is_compiled_and_asks_for_no_time_stamp(images: Store, image: str) -> None:
    program = (
        "import pathlib, importlib.util as u\n"
        "files = [p for p in pathlib.Path('/opt/audit-shipper').rglob('*.py')]\n"
        "flags = [pathlib.Path(u.cache_from_source(str(p))).read_bytes()[4] for p in files]\n"
        "print(len(files) > 500, set(flags))"
    )
    # PEP 552: 1 is "hash-based, and not checked against the source".
    assert run(images, image, "-c", program, options=("--entrypoint=python3",)) == "True {1}\n"


def test_the_same_sources_give_the_same_image(images: Store, image: str) -> None:
    build_shipper(images, "localhost/audit-shipper:again")
    try:
        layers = [
            inspect(images, each)["RootFS"]["Layers"]
            for each in (image, "localhost/audit-shipper:again")
        ]
        assert layers[0] == layers[1]
    finally:
        images.run("podman", "rmi", "localhost/audit-shipper:again")


def test_a_missing_configuration_ends_with_its_status(images: Store, image: str) -> None:
    ended = images.attempt(
        "podman", "run", "--rm", "--network=none", image, "run", "-c", "/nothing"
    )
    assert ended.returncode == 2
    assert "cannot read /nothing" in ended.stderr
