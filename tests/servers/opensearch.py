"""Real OpenSearch servers: 3.7 without, and 2.19 with the security plugin.

`shared("core")` and `shared("secure")` start one of each for the whole session, at the first use;
they are stopped at its end. A test that kills or restarts its server starts its
own with `opensearch`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from servers import free_port
from servers.certificates import Authority
from servers.shared import shared as run_shared
from servers.waiting import until, until_ready

Flavour = Literal["core", "secure"]

HOME = Path(__file__).parents[2] / ".servers" / "opensearch"
READY_SECONDS = 300  # a cold start takes 10 s on a quiet machine
HEAP = "512m"


class OpenSearch:
    """One node, in a folder of its own; `url` answers while it runs."""

    def __init__(self, flavour: Flavour, folder: Path) -> None:
        self.flavour = flavour
        self.folder = folder
        self.port = free_port()
        self.transport_port = free_port()
        self.authority = Authority(folder / "authority") if flavour == "secure" else None
        self._process: subprocess.Popen[bytes] | None = None
        self._configure()

    @property
    def url(self) -> str:
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def call(
        self, method: str, path: str, body: object = None, *, ok: tuple[int, ...] = (200, 201)
    ) -> Any:
        """Call the server as its administrator; fails where the status is not one of `ok`."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        data = data.encode() if isinstance(data, str) else data
        kind = "application/x-ndjson" if isinstance(body, bytes) else "application/json"
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": kind}
        )
        try:
            with urllib.request.urlopen(request, context=self._trust(), timeout=60) as reply:
                status, text = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            with error:
                status, text = error.code, error.read()
        assert status in ok, f"{method} {path}: {status} {text[:2000]!r}"
        return json.loads(text) if text.startswith((b"{", b"[")) else text.decode()

    def ask(self, path: str, body: object = None) -> dict[str, Any]:
        """Count or search; again where an index is just being made, and has no shard to ask yet."""

        def answer() -> dict[str, Any]:
            found: dict[str, Any] = self.call("POST", path, body, ok=(200, 503))
            return {} if "error" in found else found

        return until(answer)

    def start(self) -> None:
        """Start, or start again on the same port with the same data."""
        log = (self.folder / "console.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [
                    *self._drop(),
                    str(HOME / self.flavour / "bin" / "opensearch"),
                    *(f"-Epath.{name}={self.folder / name}" for name in ("data", "logs")),
                    f"-Ehttp.port={self.port}",
                    f"-Etransport.port={self.transport_port}",
                ],
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until_ready(self._process, self._ready, self.folder / "console.log", READY_SECONDS)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it by its process id; SIGKILL is a crash."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _environment(self) -> dict[str, str]:
        java = (HOME / self.flavour / ".java").read_text()
        # C1 only: starts faster, and leaves the cores to the tests.
        options = f"-XX:TieredStopAtLevel=1 -Xms{HEAP} -Xmx{HEAP}"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "OPENSEARCH_JAVA_HOME": java,
            "OPENSEARCH_PATH_CONF": str(self.folder / "config"),
            "OPENSEARCH_TMPDIR": str(self.folder / "tmp"),
            "OPENSEARCH_JAVA_OPTS": options,
        }

    def _configure(self) -> None:
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir()
        shutil.copytree(HOME / self.flavour / "config", self.folder / "config")
        if self.authority:
            certificates = self.folder / "config" / "certs"
            certificates.mkdir()
            self.authority.write("node", certificates)
            shutil.copyfile(self.authority.ca_file, certificates / "ca.pem")
        for path in self.folder.rglob("*"):
            path.chmod(0o700 if path.is_dir() or "bin" in path.parts else 0o600)

    def _drop(self) -> list[str]:
        """OpenSearch refuses to run as root: then as nobody, who must be able to read the install.

        The server is told to end with the test process, so that none is left behind by a kill.
        """
        command = ["setpriv", "--pdeathsig", "TERM"]
        if os.getuid() != 0:
            return command
        nobody = [*command, "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        program = str(HOME / self.flavour / "bin" / "opensearch")
        if subprocess.run([*nobody, "test", "-x", program], check=False).returncode == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                if "authority" not in path.parts:
                    shutil.chown(path, "nobody", "nogroup")
            return nobody
        # A checkout that nobody may read: a name space in which this very account is not root.
        return [*command, "unshare", "--user", "--map-user=1000", "--map-group=1000"]

    def _trust(self) -> ssl.SSLContext | None:
        if self.authority is None:
            return None
        context = ssl.create_default_context(cafile=str(self.authority.ca_file))
        context.load_cert_chain(*self.authority.pair("admin"))
        return context

    def _ready(self) -> bool:
        path = "/_cluster/health?wait_for_status=yellow&timeout=1s"
        if self.authority:
            path = "/_plugins/_security/api/roles/readall"
        try:
            self.call("GET", path, ok=(200,))
        except (OSError, AssertionError):
            return False
        return True


def need_opensearch(flavour: Flavour) -> None:
    """Skip without the server, or fail where REQUIRE_SERVERS=1."""
    if not (HOME / flavour / ".installed").exists():
        reason = f"OpenSearch ({flavour}) is not installed: run `make servers`"
        if os.environ.get("REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


@contextmanager
def opensearch(flavour: Flavour = "core") -> Iterator[OpenSearch]:
    """Start a server of one's own; it is stopped and its data removed, whatever happens."""
    need_opensearch(flavour)
    folder = Path(tempfile.mkdtemp(prefix="opensearch-"))
    try:
        server = OpenSearch(flavour, folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def _core() -> Iterator[OpenSearch]:
    with opensearch("core") as server:
        yield server


@contextmanager
def _secure() -> Iterator[OpenSearch]:
    with opensearch("secure") as server:
        yield server


def shared(flavour: Flavour = "core") -> OpenSearch:
    """Give the session's server of this flavour; started at the first call."""
    return run_shared(_core if flavour == "core" else _secure)
