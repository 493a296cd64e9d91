"""What the dashboards are tested and photographed with: the real daemon, a log, a real Prometheus.

The log is written here, by the corpus' writer: ordinary traffic of a shop; one address that guesses
at root and gets in; one that tries many accounts; a scanner's statements; changes of rights; a
damaged line; a rotation. One sink has a target that is not there.

`play` plays it once, for tests; `perform` for a while, for `pictures.py`.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from corpus.event import CONNECT, QUERY, QUIT, Event
from corpus.writers import writer
from servers import free_port
from servers.prometheus import Server, prometheus
from servers.waiting import answers, until, until_ready

ROOT = Path(__file__).parents[2]
WRITER = "percona-json-8.0"
GUESSER = "203.0.113.9"
SPRAYER = "198.51.100.7"
HOSTILE = '<img src=x onerror="alert(1)">'
ACCOUNTS = ("app", "billing", "report", "orders", "backup")
ADDRESSES = ("10.0.4.17", "10.0.4.18", "10.0.5.3")
CLASSES = {
    "select": "SELECT name, price FROM article WHERE id = 4711",
    "insert": "INSERT INTO orders (customer, article) VALUES (17, 4711)",
    "update": "UPDATE stock SET amount = amount - 1 WHERE article = 4711",
    "set_option": "SET NAMES utf8mb4",
    "commit": "COMMIT",
    "begin": "BEGIN",
}
WEIGHTS = (60, 12, 9, 6, 7, 6)


class Log:
    """The log of a server, as its plugin would write it just now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.chance = random.Random(20240903)
        self.records = 0
        self._layout = writer(WRITER)
        self._session = 100
        self._opened = datetime.now(UTC)
        path.touch()

    def write(self, *events: dict[str, Any]) -> None:
        """Append records of this second."""
        now = datetime.now(UTC)
        pieces = []
        for event in events:
            self.records += 1
            made = Event(sequence=self.records, time=now, opened=self._opened, **event)
            pieces.append(self._layout.write(made).raw)
        with self.path.open("ab") as file:
            file.write(b"".join(pieces))

    def login(self, user: str, ip: str, status: int = 0) -> dict[str, Any]:
        self._session += 1
        priv = "" if status else user
        return {
            "kind": CONNECT, "connection_id": self._session, "status": status, "user": user,
            "priv_user": priv, "host": "", "ip": ip, "db": "shop" if not status else "",
        }  # fmt: skip

    def statement(
        self, class_: str, sql: str, *, status: int = 0, user: str = "app"
    ) -> dict[str, Any]:
        return {
            "kind": QUERY, "command_class": class_, "sql": sql, "status": status, "user": user,
            "priv_user": user, "host": "", "ip": "10.0.4.17", "connection_id": self._session,
        }  # fmt: skip

    def ordinary(self, count: int) -> None:
        """Traffic of a shop: logins, statements, ends of sessions, a few errors."""
        chance, events = self.chance, []
        for _ in range(count):
            user, ip = chance.choice(ACCOUNTS), chance.choice(ADDRESSES)
            kind = chance.random()
            if kind < 0.08:
                events.append(self.login(user, ip))
            elif kind < 0.15:
                events.append({"kind": QUIT, "user": user, "priv_user": user, "ip": ip, "host": "",
                               "connection_id": self._session})  # fmt: skip
            elif kind < 0.16:
                status = chance.choice((1062, 1205, 1213, 1146))
                events.append(self.statement("insert", CLASSES["insert"], status=status, user=user))
            elif kind < 0.17:
                events.append(self.login("", "10.0.0.2", 1158))  # a health probe
            else:
                (class_,) = chance.choices(list(CLASSES), WEIGHTS)
                events.append(self.statement(class_, CLASSES[class_], user=user))
        self.write(*events)

    def mistyped(self) -> None:
        """Somebody mistypes, and an old password in a program."""
        self.write(self.login("report", "10.0.5.3", 1045), self.login("billing", "10.0.4.18", 1045))

    def guessing(self, count: int) -> None:
        """One address guesses at root."""
        self.write(*(self.login("root", GUESSER, 1045) for _ in range(count)))

    def success(self) -> None:
        """And gets in."""
        self.write(self.login("root", GUESSER))

    def spraying(self) -> None:
        """One address tries the usual names, and one that is none."""
        names = ("admin", "mysql", "test", "oracle", "postgres", "guest", "backup", HOSTILE)
        self.write(*(self.login(name, SPRAYER, 1045) for name in names))

    def scanning(self) -> None:
        """Statements of somebody who looks around."""
        self.write(
            self.statement("select", "SELECT * FROM wp_users", status=1146, user="root"),
            self.statement("select", "SELECT password FROM users", status=1054, user="root"),
            self.statement("select", "SELECT * FROM mysql.user", status=1142, user="report"),
            self.statement("show_grants", "SHOW GRANTS", user="root"),
            self.statement("select", "SELEC 1", status=1064, user="root"),
        )

    def rights(self) -> None:
        """Accounts and tables are changed."""
        self.write(
            self.statement("create_user", "CREATE USER 'x'@'%' IDENTIFIED BY <secret>"),
            self.statement("grant", "GRANT ALL ON *.* TO 'x'@'%'"),
            self.statement("create_table", "CREATE TABLE shop.staging (id INT)"),
            self.statement("drop_table", "DROP TABLE shop.staging"),
        )

    def damage(self) -> None:
        """Bytes that are no record."""
        with self.path.open("ab") as file:
            file.write(b'{"audit_record":{"name":"Query","record":\x00\x00 torn by a full disk\n')

    def rotate(self) -> None:
        """The plugin begins a new file."""
        self.path.rename(self.path.with_name(self.path.name + ".1"))
        self.path.touch()


@dataclass
class Stage:
    """What is running."""

    folder: Path
    log: Log
    shipper: str  # URL of its endpoint
    prometheus: Server
    store: Path

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.shipper}{path}", timeout=10) as reply:
            return json.load(reply)

    def await_sample(self, expression: str, least: float = 1) -> None:
        """Wait until a query of Prometheus gives at least this much."""
        until(partial(self._reaches, expression, least))

    def _reaches(self, expression: str, least: float) -> bool:
        return any(value >= least for value in self.prometheus.samples(expression).values())

    def play(self) -> None:
        """Everything once, each act seen by Prometheus before the next begins."""
        log, records = self.log, "sum(audit_shipper_sink_records_total{sink='store'})"
        acts = (
            lambda: log.ordinary(300),
            lambda: (log.mistyped(), log.rights(), log.damage(), log.ordinary(100)),
            lambda: (log.guessing(30), log.ordinary(50)),
            lambda: (log.success(), log.scanning(), log.ordinary(50)),
            lambda: (log.spraying(), log.ordinary(50)),
            lambda: (log.rotate(), log.ordinary(200)),
        )
        self.await_sample("audit_shipper_build_info")
        for act in acts:
            act()
            self.await_sample(records, log.records)
        self.await_sample("sum(increase(audit_shipper_source_rotations_total[1m]))", 0.5)


def configuration(folder: Path, port: int) -> dict[str, Any]:
    return {
        "state": str(folder / "state"),
        "instance": "shop-db-0",
        "sources": [{"type": "file", "name": "audit", "path": str(folder / "audit.log")}],
        "sinks": [
            {"type": "metrics"},
            {"type": "sqlite", "name": "store", "path": str(folder / "audit.db")},
            {"type": "jsonl", "name": "archive", "path": str(folder / "records.jsonl")},
            # Nobody listens there.
            {
                "type": "opensearch",
                "name": "search",
                "urls": ["http://127.0.0.1:9"],
                "setup": "off",
                "retention": "off",
            },
        ],
        "http": {"host": "127.0.0.1", "port": port},
        "log": {"format": "console", "level": "info"},
    }


@contextmanager
def daemon(folder: Path) -> Iterator[str]:
    """The daemon as a process of its own; gives the URL of its endpoint."""
    port = free_port()
    (folder / "state").mkdir(mode=0o700)
    file = folder / "shipper.yaml"
    file.write_text(yaml.safe_dump(configuration(folder, port)), encoding="utf-8")
    with (folder / "shipper.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "shipper", "run", "-c", str(file)],
            stdout=log, stderr=log, cwd=ROOT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        until_ready(process, lambda: answers(f"{url}/readyz"), folder / "shipper.log")
        yield url
    finally:
        process.send_signal(signal.SIGKILL)  # a dead target would make it drain for long
        process.wait()


@contextmanager
def stage(folder: Path, interval: str = "1s") -> Iterator[Stage]:
    """Start the daemon and a Prometheus that scrapes it."""
    with ExitStack() as stack:
        log = Log(folder / "audit.log")
        url = stack.enter_context(daemon(folder))
        target = url.removeprefix("http://")
        server = stack.enter_context(prometheus(folder, target, None, interval=interval, rules=[]))
        yield Stage(folder, log, url, server, folder / "audit.db")


def perform(running: Stage, seconds: int) -> None:
    """Play for a while as a demo: the acts come at their times, traffic all the while."""
    acts = {
        0.10: lambda log: log.mistyped(),
        0.25: lambda log: log.guessing(9),
        0.30: lambda log: log.guessing(14),
        0.33: lambda log: (log.guessing(12), log.success()),
        0.36: lambda log: log.scanning(),
        0.45: lambda log: log.rights(),
        0.55: lambda log: log.spraying(),
        0.60: lambda log: log.damage(),
        0.70: lambda log: log.rotate(),
        0.80: lambda log: (log.mistyped(), log.scanning()),
    }
    clock = subprocess.Popen(["sleep", str(seconds)])
    begun = datetime.now(UTC)
    while clock.poll() is None:
        gone = (datetime.now(UTC) - begun).total_seconds() / seconds
        for at in [at for at in acts if at <= gone]:
            acts.pop(at)(running.log)
        wave = 6 + 5 * math.sin(gone * 14) + 8 * (0.42 < gone < 0.5)
        running.log.ordinary(running.log.chance.randint(1, int(wave) + 2))
        with contextlib.suppress(subprocess.TimeoutExpired):
            clock.wait(1)
