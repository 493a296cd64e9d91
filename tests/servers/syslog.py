"""Real syslog daemons: rsyslog and syslog-ng of Debian 12, unpacked by `make servers`.

Each listens on every transport and writes one JSON line for each message: what it understood.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from servers import free_port, need_file
from servers.certificates import Authority
from servers.waiting import listens, until_ready

ROOT = Path(__file__).parents[2] / ".servers/syslog/root"
STOP_SECONDS = 30
VISIBLE_SECONDS = 30
POLL_SECONDS = 0.02


class Daemon(ABC):
    """A syslog daemon; it can be killed and started again at the same places."""

    program: ClassVar[str]
    has_stream: ClassVar[bool] = False  # listens on a local stream socket too

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority
        self.certificate, self.key = authority.pair("localhost")
        self.output = folder / "received.jsonl"
        self.output.touch()
        self.udp, self.tcp, self.tls, self.mutual = (free_port() for _ in range(4))
        self.datagram = folder / "datagram"
        self.stream = folder / "stream"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def configuration(self) -> str: ...

    @abstractmethod
    def command(self, configuration: Path) -> list[str]: ...

    def start(self) -> None:
        (self.folder / "pid").unlink(missing_ok=True)  # of one that was killed
        configuration = self.folder / "daemon.conf"
        configuration.write_text(self.configuration())
        folders = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/syslog-ng")
        environment = os.environ | {
            "LD_LIBRARY_PATH": os.pathsep.join(str(ROOT / f) for f in folders)
        }
        with (self.folder / "errors.log").open("ab") as errors:
            self._process = subprocess.Popen(
                self.command(configuration),
                cwd=self.folder,
                env=environment,
                stdout=errors,
                stderr=errors,
            )
        until_ready(self._process, self._listens, self.folder / "errors.log")

    def _listens(self) -> bool:
        try:
            if not all(map(listens, (self.tcp, self.tls, self.mutual))):
                return False
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
                probe.connect(str(self.datagram))
            if self.has_stream:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                    probe.connect(str(self.stream))
        except OSError:
            return False
        # A datagram port answers nobody, so the kernel's table is asked.
        return f":{self.udp:04X} " in Path("/proc/net/udp").read_text()

    def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        (process.kill if kill else process.terminate)()
        process.wait(timeout=STOP_SECONDS)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Killed while the context lasts; its sockets refuse."""
        self.stop(kill=True)
        try:
            yield
        finally:
            self.start()

    def received(
        self, since: int, enough: Callable[[list[dict[str, Any]]], bool]
    ) -> list[dict[str, Any]]:
        """What was written behind byte `since`, as soon as it is enough, or time is over."""
        deadline = time.monotonic() + VISIBLE_SECONDS
        while True:
            with self.output.open("rb") as file:
                file.seek(since)
                whole, _, _ = file.read().rpartition(b"\n")
            messages = [json.loads(line) for line in whole.splitlines()]
            if enough(messages) or time.monotonic() > deadline:
                return messages
            threading.Event().wait(POLL_SECONDS)


class Rsyslog(Daemon):
    program = "rsyslogd"

    def configuration(self) -> str:
        f = self.folder
        fields = {
            "pri": "pri",
            "host": "hostname",
            "app": "app-name",
            "msgid": "msgid",
            "data": "structured-data",
            "text": "msg",
        }
        template = ",".join(rf"\"{key}\":\"%{name}:::json%\"" for key, name in fields.items())
        tls = 'streamDriver.name="ossl" streamDriver.mode="1"'
        return f"""
global(workDirectory="{f}" maxMessageSize="64k" net.enableDNS="off"
       parser.escapeControlCharactersOnReceive="off"
       defaultNetstreamDriverCAFile="{self.authority.ca_file}"
       defaultNetstreamDriverCertFile="{self.certificate}"
       defaultNetstreamDriverKeyFile="{self.key}")
module(load="imudp")
module(load="imtcp")
module(load="imuxsock" sysSock.use="off")
template(name="json" type="string"
         string="{{{template},\\"time\\":\\"%timestamp:::date-rfc3339%\\"}}\\n")
ruleset(name="all") {{ action(type="omfile" file="{self.output}" template="json") }}
input(type="imudp" address="127.0.0.1" port="{self.udp}" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{self.tcp}" ruleset="all")
input(type="imtcp" address="127.0.0.1" port="{self.tls}" ruleset="all" {tls}
      streamDriver.authMode="anon")
input(type="imtcp" address="127.0.0.1" port="{self.mutual}" ruleset="all" {tls}
      streamDriver.authMode="x509/certvalid")
input(type="imuxsock" socket="{self.datagram}" ruleset="all" usePIDFromSystem="off")
"""

    def command(self, configuration: Path) -> list[str]:
        modules = ROOT / "usr/lib/x86_64-linux-gnu/rsyslog"
        program = str(ROOT / "usr/sbin/rsyslogd")
        pid = f"{self.folder}/pid"  # absolute: rsyslog leaves the folder that it was started in
        return [program, "-n", "-f", str(configuration), "-i", pid, "-M", str(modules)]


class SyslogNg(Daemon):
    program = "syslog-ng"
    has_stream = True

    def configuration(self) -> str:
        tls = (
            f'key-file("{self.key}") cert-file("{self.certificate}") '
            f'ca-file("{self.authority.ca_file}")'
        )
        here = 'ip("127.0.0.1") max-connections(1000)'
        fields = "pri=$PRI host=$HOST app=$PROGRAM msgid=$MSGID data=$SDATA text=$MESSAGE"
        return f"""
@version: 3.38
options {{
    keep-hostname(yes); use-dns(no); chain-hostnames(no); stats-freq(0); time-reopen(1);
}};
source all {{
    syslog({here} port({self.udp}) transport("udp"));
    syslog({here} port({self.tcp}) transport("tcp"));
    syslog({here} port({self.tls}) transport("tls") tls({tls} peer-verify(optional-untrusted)));
    syslog({here} port({self.mutual}) transport("tls") tls({tls} peer-verify(required-trusted)));
    unix-dgram("{self.datagram}");
    unix-stream("{self.stream}");
}};
destination file {{
    file("{self.output}" template("$(format-json {fields} time=$ISODATE)\\n"));
}};
log {{ source(all); destination(file); }};
"""

    def command(self, configuration: Path) -> list[str]:
        return [
            str(ROOT / "usr/sbin/syslog-ng"),
            "--foreground",
            "--no-caps",
            f"--module-path={ROOT / 'usr/lib/syslog-ng/3.38'}",
            f"--cfgfile={configuration}",
            f"--pidfile={self.folder}/pid",
            f"--persist-file={self.folder}/persist",
            f"--control={self.folder}/control",
        ]


@contextmanager
def _running(kind: type[Daemon]) -> Iterator[Daemon]:
    need_file(ROOT / "usr/sbin" / kind.program)
    folder = Path(tempfile.mkdtemp(prefix="syslog-"))
    try:
        daemon = kind(folder, Authority(folder))
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def rsyslog() -> Iterator[Daemon]:
    with _running(Rsyslog) as daemon:
        yield daemon


@contextmanager
def syslog_ng() -> Iterator[Daemon]:
    with _running(SyslogNg) as daemon:
        yield daemon
