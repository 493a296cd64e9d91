"""A real MySQL 8.0 server: a target of the SQL sink. Without plugins, so it cannot audit."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from servers import free_port, need
from servers.mariadb import READY_SECONDS
from servers.waiting import until_ready

HOME = Path(__file__).parents[2] / ".servers" / "mysql-8.0.12"


class MySql:
    """A running server; `folder/data` has the certificates that it made for itself."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port

    def answers(self) -> bool:
        """Whether root can log in."""
        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root").close()
        except pymysql.err.OperationalError:
            return False
        return True


@contextmanager
def mysql() -> Iterator[MySql]:
    """Start a server in a temporary folder; stop it by its process id, whatever happens."""
    program = need(str(HOME / "bin" / "mysqld"))
    folder = Path(tempfile.mkdtemp(prefix="mysql-"))
    common = [
        program,
        "--no-defaults",
        f"--datadir={folder}/data",
        f"--lc-messages-dir={HOME}/share",
        f"--log-error={folder}/error.log",
        *(["--user=root"] if os.getuid() == 0 else []),  # it would refuse otherwise
    ]
    try:
        subprocess.run(
            [*common, "--initialize-insecure"],
            check=True,
            capture_output=True,
            timeout=READY_SECONDS,
        )
        server = MySql(folder, free_port())
        process = subprocess.Popen(
            [
                *common,
                f"--port={server.port}",
                "--bind-address=127.0.0.1",
                f"--socket={folder}/s.sock",
                f"--pid-file={folder}/pid",
                "--mysqlx=OFF",
                "--skip-log-bin",
                "--innodb-flush-log-at-trx-commit=2",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until_ready(process, server.answers, folder / "error.log")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=READY_SECONDS)
    finally:
        shutil.rmtree(folder)
