"""A real MariaDB server with server_audit writing its file log.

As a program (`python tests/servers/mariadb.py OUT`) it writes the log that `make run` ships: real
logins, a burst of failed ones, a guess at several accounts, a port probe, statements.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import free_port, need
from servers.waiting import until_ready

READY_SECONDS = 60  # a cold data directory on a busy machine


class MariaDb:
    """A running server; `log` is the file that its audit plugin writes."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.log = folder / "server_audit.log"

    def sql(
        self, *statements: str, user: str = "root", password: str = "", tcp: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run statements through the real client, over TCP or the socket."""
        where = (
            ["--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}"]
            if tcp
            else [f"--socket={self.folder}/s.sock"]
        )
        return subprocess.run(
            ["mariadb", "--no-defaults", *where, f"--user={user}", "--batch"],
            input="".join(f"{statement};\n" for statement in statements),
            env={**os.environ, "MYSQL_PWD": password},
            capture_output=True,
            text=True,
            check=False,
            timeout=READY_SECONDS,
        )

    def answers(self) -> bool:
        """Whether root can log in."""
        return self.sql("select 1").returncode == 0

    def probe(self) -> None:
        """Connect as a health check does: take the greeting, and leave."""
        with socket.create_connection(
            ("127.0.0.1", self.port), timeout=READY_SECONDS
        ) as connection:
            connection.recv(1)


@contextmanager
def mariadb(*options: str) -> Iterator[MariaDb]:
    """Start a server in a temporary folder; stop it by its process id, whatever happens."""
    need("mariadbd")
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    drop = _unprivileged(folder)
    try:
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={folder}/data"]
        subprocess.run(
            [*drop, *install, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            capture_output=True,
            timeout=READY_SECONDS,
        )
        server = MariaDb(folder, free_port())
        process = _start(server, drop, options)
        try:
            until_ready(
                process, lambda: server.sql("select 1").returncode == 0, folder / "error.log"
            )
            yield server
        finally:
            process.terminate()
            process.wait(timeout=READY_SECONDS)
    finally:
        shutil.rmtree(folder)


def _unprivileged(folder: Path) -> list[str]:
    """MariaDB refuses to run as root: then it runs as nobody, in a folder of nobody's."""
    if os.getuid() != 0:
        return []
    shutil.chown(folder, "nobody", "nogroup")
    folder.chmod(0o755)
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _start(server: MariaDb, drop: list[str], options: Sequence[str]) -> subprocess.Popen[bytes]:
    folder = server.folder
    with (folder / "error.log").open("wb") as errors:
        return subprocess.Popen(
            [
                *drop,
                "mariadbd",
                "--no-defaults",
                f"--datadir={folder}/data",
                f"--socket={folder}/s.sock",
                "--bind-address=127.0.0.1",
                f"--port={server.port}",
                f"--pid-file={folder}/pid",
                "--default-time-zone=+00:00",
                "--plugin-load-add=server_audit",
                "--server-audit=FORCE_PLUS_PERMANENT",
                "--server-audit-logging=ON",
                f"--server-audit-file-path={server.log}",
                "--server-audit-events=CONNECT,QUERY,TABLE",
                *options,
            ],
            stdout=errors,
            stderr=errors,
            env={**os.environ, "TZ": "UTC"},
        )


def scenario(server: MariaDb) -> None:
    """13 failed logins of 7 accounts, one port probe, and honest work between them."""
    server.sql(
        "create database shop",
        "create table shop.orders (id int primary key, item varchar(40))",
        "create user app identified by 'right'",
        "grant all on shop.* to app",
        "create user 'o''brien, jr' identified by 'right'",
    )
    server.sql(
        "use shop",
        "insert into orders values (1, 'tea \"green\"'), (2, 'caffè')",
        "select * from orders where item like '%é%' /* a comma, a 'quote' */",
        "select * from missing",
        user="app",
        password="right",
        tcp=True,
    )
    for password in ("123456", "password", "qwerty", "letmein", "admin", "root", "toor"):
        server.sql("select 1", user="app", password=password, tcp=True)
    for user in ("admin", "backup", "mysql", "oracle", "test", "o'brien, jr"):
        server.sql("select 1", user=user, password="guess", tcp=True)
    server.sql("select 1", user="app", password="right", tcp=True)
    server.probe()
    server.sql("drop table shop.orders", "select 'the end'")


if __name__ == "__main__":
    with mariadb() as running:
        scenario(running)
        shutil.copyfile(running.log, sys.argv[1])
