"""The SQL sink and a server with a certificate of its own authority."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from servers.certificates import Authority
from servers.mariadb import MariaDb, mariadb
from servers.shared import shared
from sink.blocks import batch, failed_login
from sink.rigs.sql import SqlRig

from shipper.errors import MisconfiguredError


@contextmanager
def secured() -> Iterator[tuple[MariaDb, Path]]:
    """A MariaDB with TLS, and the file of its authority."""
    folder = Path(tempfile.mkdtemp(prefix="tls-"))
    try:
        folder.chmod(0o755)  # the server is somebody else
        authority = Authority(folder)
        certificate, key = authority.pair("db.example")
        Path(key).chmod(0o644)
        with mariadb(f"--ssl-cert={certificate}", f"--ssl-key={key}") as server:
            yield server, authority.ca_file
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def rig() -> Iterator[tuple[SqlRig, str]]:
    server, ca_file = shared(secured)
    rig = SqlRig(server)
    try:
        yield rig, str(ca_file)
    finally:
        rig.drop()


def test_a_server_of_a_known_authority_is_trusted(rig: tuple[SqlRig, str]) -> None:
    target, ca_file = rig
    target.root("ALTER USER audit_user REQUIRE SSL")
    try:
        with closing(target.sink(tls="verify", ca_file=ca_file)) as store:
            store.prepare()
            assert store.deliver(batch(failed_login())).new == 1
        with closing(target.sink(tls="off")) as store, pytest.raises(MisconfiguredError):
            store.prepare()
    finally:
        target.root("ALTER USER audit_user REQUIRE NONE")


def test_a_server_of_an_unknown_authority_is_not(rig: tuple[SqlRig, str], tmp_path: Path) -> None:
    target, _ = rig
    for ca_file in (None, str(Authority(tmp_path).ca_file)):
        with (
            closing(target.sink(tls="verify", ca_file=ca_file)) as store,
            pytest.raises(MisconfiguredError, match="What to do: give the certificate"),
        ):
            store.prepare()
