"""The syslog receiver under real senders: logger, rsyslog, sockets, TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import need
from source.descriptors import none_left
from source.listening import Told, eventually
from source.receiving import Received, receiving

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Dropped, Mended, Rejected, Trouble
from shipper.source.base import Surroundings
from shipper.source.receive import Receiver, SyslogInputSettings
from shipper.source.spool import Spool, SpoolSettings

LOCAL = "127.0.0.1:0"
HEAD = b"<14>Feb 12 07:18:30 a: "
MB = 1024 * 1024


def listening(folder: Path, **options: Any) -> contextlib.AbstractContextManager[Received]:
    clock = options.pop("clock", None)
    return receiving(SyslogInputSettings(**options), folder, clock=clock)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def reasons(received: Received) -> dict[str, int]:
    counts: dict[str, int] = {}
    for rejected in received.told.of(Rejected):
        counts[rejected.reason] = counts.get(rejected.reason, 0) + rejected.count
    return counts


def logger(*arguments: str) -> None:
    subprocess.run([need("logger"), *arguments], check=True)


# --- real senders


@pytest.mark.parametrize("form", ["--rfc3164", "--rfc5424"])
@pytest.mark.parametrize("way", ["unix", "udp", "tcp", "tcp counted"])
def test_logger_sends_by_every_way(way: str, form: str, tmp_path: Path) -> None:
    local = tmp_path / "socket"
    with listening(tmp_path, unix=str(local), udp=LOCAL, tcp=LOCAL) as received:
        ports = received.ports
        arguments = {
            "unix": ["-u", str(local), "--socket-errors=on"],
            "udp": ["-n", "127.0.0.1", "-P", str(ports["udp"]), "-d"],
            "tcp": ["-n", "127.0.0.1", "-P", str(ports["tcp"]), "-T"],
            "tcp counted": ["-n", "127.0.0.1", "-P", str(ports["tcp"]), "-T", "--octet-count"],
        }[way]
        logger(*arguments, form, "-t", "mysqld", "-p", "user.info", '{"audit_record":{}}')
        (line,) = received.lines(1)
    assert line.startswith(b"<14>")
    assert line.endswith(b'{"audit_record":{}}')


def rsyslogd() -> str:
    unpacked = Path(__file__).parents[2] / ".servers/syslog/root/usr/sbin/rsyslogd"
    return str(unpacked) if unpacked.exists() else need("rsyslogd")


@contextlib.contextmanager
def forwarding(folder: Path, target: str) -> Iterator[Path]:
    """A real rsyslog that sends on what its local socket gets."""
    program = Path(rsyslogd())
    root = program.parents[2]
    local = folder / "log"
    (folder / "rsyslog.conf").write_text(
        f"""
global(workDirectory="{folder}" net.enableDNS="off")
module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{local}")
action(type="omfwd" target="127.0.0.1" {target} action.resumeRetryCount="-1")
"""
    )
    libraries = [str(root / part) for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")]
    command = [program, "-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]
    with subprocess.Popen(
        [*command, "-M", f"{libraries[0]}/rsyslog"],
        env={**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(libraries)},
    ) as daemon:
        try:
            eventually(local.exists)
            yield local
        finally:
            daemon.terminate()


@pytest.mark.parametrize("framing", ["traditional", "octet-counted", "udp"])
def test_rsyslog_forwards_records_with_line_feeds(framing: str, tmp_path: Path) -> None:
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    with listening(tmp_path, udp=LOCAL, tcp=LOCAL) as received:
        target = (
            f'protocol="udp" port="{received.ports["udp"]}"'
            if framing == "udp"
            else f'protocol="tcp" port="{received.ports["tcp"]}" TCP_Framing="{framing}"'
        )
        with (
            forwarding(folder, target) as local,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
        ):
            for number in range(20):
                record = b'<AUDIT_RECORD\n  NAME="Query"\n  RECORD="%d"\n/>\n' % number
                sender.sendto(b"<14>Feb 12 07:18:30 percona-audit: " + record, str(local))
            lines = received.lines(20)
    end = b'percona-audit: <AUDIT_RECORD#012  NAME="Query"#012  RECORD="%d"#012/>'
    assert all(line.endswith(end % number) for number, line in enumerate(lines))


# --- datagrams


def test_a_datagram_is_one_line_whatever_is_in_it(tmp_path: Path) -> None:
    local = tmp_path / "socket"
    forged = HEAD + b"x\n<14>Feb 12 07:18:31 root: forged\n"
    with listening(tmp_path, unix=str(local), udp=LOCAL) as received:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(forged, str(local))
            sender.sendto(b"\n", str(local))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(forged, ("127.0.0.1", received.ports["udp"]))
        assert received.lines(2) == [HEAD + b"x#012<14>Feb 12 07:18:31 root: forged"] * 2


def test_datagrams_that_the_kernel_dropped_are_counted(tmp_path: Path) -> None:
    told = Told()
    spool = Spool(tmp_path, "in", tell=told)
    around = Surroundings(source="in", tell=told)
    receiver = Receiver(SyslogInputSettings(udp=LOCAL), spool, around)
    stop = threading.Event()
    thread = threading.Thread(target=receiver.run, args=[stop])
    address = ("127.0.0.1", receiver.ports["udp"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(20_000):
            sender.sendto(HEAD + b"%d %b" % (number, b"." * 1000), address)
        thread.start()

        sent = 20_000

        def probed() -> bool:
            """The kernel says how many it dropped with the next datagram only."""
            nonlocal sent
            sender.sendto(HEAD + b"probe", address)
            sent += 1
            return bool(told.of(Dropped))

        eventually(probed)
        stop.set()
        thread.join()
        receiver.close()
        spool.close()
    lost = sum(dropped.records for dropped in told.of(Dropped))
    lines = b"".join(path.read_bytes() for path in spool.segments()).splitlines()
    assert {dropped.reason for dropped in told.of(Dropped)} == {"receive_buffer"}
    assert len(lines) + lost == sent
    assert lost > 0


def test_a_message_that_is_too_large_is_cut_and_told(tmp_path: Path) -> None:
    local = tmp_path / "socket"
    with listening(tmp_path, unix=str(local), tcp=LOCAL, message_bytes_max=1024) as received:
        big = HEAD + b"x" * 2000
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(big, str(local))
        with connect(received.ports["tcp"]) as sender:
            sender.sendall(big + b"\n")
        with connect(received.ports["tcp"]) as sender:
            sender.sendall(b"%d %b" % (len(big), big))
        assert received.lines(3) == [big[:1024]] * 3
        eventually(lambda: reasons(received) == {"too_large": 3})


def test_the_socket_file_has_its_mode_replaces_a_dead_one_and_goes_away(tmp_path: Path) -> None:
    local = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(local))
    with listening(tmp_path, unix=str(local), unix_mode="0666"):
        assert stat.S_IMODE(local.stat().st_mode) == 0o666
        second = SyslogInputSettings(unix=str(local))
        spool = Spool(tmp_path / "second", "in")
        with pytest.raises(MisconfiguredError, match="another program listens there"):
            Receiver(second, spool, Surroundings(source="in"))
        spool.close()
    assert not local.exists()


def test_a_file_in_the_place_of_the_socket_is_left_alone(tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_text("precious")
    spool = Spool(tmp_path / "spool", "in")
    with pytest.raises(MisconfiguredError, match="no socket"):
        Receiver(SyslogInputSettings(unix=str(local)), spool, Surroundings(source="in"))
    spool.close()
    assert local.read_text() == "precious"


def test_an_address_that_is_taken_is_unavailable(tmp_path: Path) -> None:
    spool = Spool(tmp_path, "in")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="Address already in use"):
            Receiver(SyslogInputSettings(tcp=address), spool, Surroundings(source="in"))
    spool.close()


# --- connections


def test_each_connection_has_its_framing(tmp_path: Path) -> None:
    with listening(tmp_path, tcp=LOCAL) as received:
        port = received.ports["tcp"]
        with connect(port) as lines, connect(port) as counted:
            lines.sendall(HEAD + b"1\n" + HEAD)
            received.lines(1)
            counted.sendall(b"25 " + HEAD + b"\n2")
            received.lines(2)
            lines.sendall(b"3\n")
            received.lines(3)
        assert received.content == HEAD + b"1\n" + HEAD + b"#0122\n" + HEAD + b"3\n"


def test_a_connection_that_ends_in_a_message_gives_what_it_has(tmp_path: Path) -> None:
    with listening(tmp_path, tcp=LOCAL) as received:
        with connect(received.ports["tcp"]) as sender:
            sender.sendall(HEAD + b"1\n" + HEAD + b"ha")
        assert received.lines(2)[1] == HEAD + b"ha"


def test_bad_framing_ends_the_connection_and_only_it(tmp_path: Path) -> None:
    with listening(tmp_path, tcp=LOCAL) as received:
        with connect(received.ports["tcp"]) as good, connect(received.ports["tcp"]) as bad:
            bad.sendall(b"5 <14>a" + b"GET / HTTP/1.1\r\n")
            assert bad.recv(1) == b""
            good.sendall(HEAD + b"1\n")
            received.lines(2)
        eventually(lambda: reasons(received) == {"framing": 1})
        assert received.told.of(Rejected)[0].example == "127.0.0.1"


def test_connections_are_limited_and_room_is_made_again(tmp_path: Path) -> None:
    with listening(tmp_path, tcp=LOCAL, connections_max=2) as received:
        port = received.ports["tcp"]
        with connect(port) as first, connect(port) as second:
            first.sendall(HEAD + b"1\n")
            second.sendall(HEAD + b"2\n")
            received.lines(2)
            with connect(port) as third:
                assert third.recv(1) == b""
        eventually(lambda: reasons(received) == {"too_many_connections": 1})

        def accepted() -> bool:
            with connect(port) as sender, contextlib.suppress(OSError):
                sender.sendall(HEAD + b"3\n")
                sender.shutdown(socket.SHUT_WR)
                assert sender.recv(1) == b""
            return b"3\n" in received.content

        eventually(accepted)


class Leaping:
    """A clock whose monotonic time leaps when told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        return self.time

    def wait(self, stop: threading.Event, _seconds: float) -> bool:
        return stop.is_set()


def test_one_who_begins_a_message_and_stalls_is_sent_away_and_a_silent_one_stays(
    tmp_path: Path,
) -> None:
    clock = Leaping()
    with (
        listening(tmp_path, tcp=LOCAL, stall_seconds=60.0, clock=clock) as received,
        connect(received.ports["tcp"]) as slow,
        connect(received.ports["tcp"]) as silent,
    ):
        silent.sendall(HEAD + b"1\n")
        received.lines(1)
        slow.sendall(HEAD + b"slo")

        def stalled() -> bool:
            """Let a minute pass, again and again."""
            clock.time += 61
            return "stalled" in reasons(received)

        eventually(stalled)
        assert slow.recv(1) == b""
        silent.sendall(HEAD + b"2\n")
        lines = received.lines(3)
    assert sorted(lines) == [HEAD + b"1", HEAD + b"2", HEAD + b"slo"]


def test_a_full_spool_makes_a_connection_wait_and_loses_nothing(tmp_path: Path) -> None:
    spool = SpoolSettings(
        strategy="semisynchronous", segment_bytes=MB // 4, buffer_size_bytes=4096, size_bytes_max=MB
    )
    message = HEAD + b"." * 970 + b"\n"
    count = 8000
    with listening(tmp_path, tcp=LOCAL, spool=spool) as received:

        def send() -> None:
            with connect(received.ports["tcp"]) as sender:
                for _ in range(count):
                    sender.sendall(message)

        thread = threading.Thread(target=send)
        thread.start()
        taken = b""
        eventually(lambda: received.told.of(Trouble))

        def all_there() -> bool:
            """Be a lane: read what is complete, and remove it."""
            nonlocal taken
            assert received.spool.size <= MB
            for segment in received.spool.segments()[:-1]:
                taken += segment.read_bytes()
                assert received.spool.remove(segment)
            return (taken + received.content).count(b"\n") >= count

        eventually(all_there)
        thread.join()
        taken += received.content
    assert taken == message * count


# --- TLS


@pytest.fixture(name="certificates", scope="module")
def fixture_certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and server and client with certificates of it; stranger with one of its own."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run([need("openssl"), *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "stranger"):
        openssl(
            "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-days", "2",
        )  # fmt: skip
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("server", "client"):
        openssl(
            "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", f"{name}.pem", "-days", "2", "-extfile", "names",
        )  # fmt: skip
    return folder


def tls(folder: Path, *, client_ca: bool = False) -> dict[str, str]:
    files = {"tls_certificate_file": "server.pem", "tls_key_file": "server.key"}
    if client_ca:
        files["tls_client_ca_file"] = "ca.pem"
    return {"tls": LOCAL} | {name: str(folder / file) for name, file in files.items()}


@contextlib.contextmanager
def secured(port: int, folder: Path, client: str | None = None) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if client is not None:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    with connect(port) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as sender:
        yield sender


def test_tls_messages_arrive_also_many_in_one_record(certificates: Path, tmp_path: Path) -> None:
    with listening(tmp_path, **tls(certificates)) as received:
        data = b"".join(b"%d %b%d" % (len(HEAD) + len(str(n)), HEAD, n) for n in range(20_000))
        with secured(received.ports["tls"], certificates) as sender:
            sender.sendall(data)
        assert received.lines(20_000) == [HEAD + b"%d" % n for n in range(20_000)]


def test_openssl_speaks_to_it(certificates: Path, tmp_path: Path) -> None:
    with listening(tmp_path, **tls(certificates, client_ca=True)) as received:
        subprocess.run(
            [
                need("openssl"), "s_client", "-connect", f"127.0.0.1:{received.ports['tls']}",
                "-CAfile", certificates / "ca.pem", "-verify_return_error", "-quiet", "-no_ign_eof",
                "-cert", certificates / "client.pem", "-key", certificates / "client.key",
            ],
            input=HEAD + b"by openssl\n",
            check=True,
            capture_output=True,
        )  # fmt: skip
        assert received.lines(1) == [HEAD + b"by openssl"]


@pytest.mark.parametrize("client", [None, "stranger"])
def test_a_client_without_a_trusted_certificate_is_sent_away(
    client: str | None, certificates: Path, tmp_path: Path
) -> None:
    with listening(tmp_path, **tls(certificates, client_ca=True)) as received:
        with (
            contextlib.suppress(OSError),
            secured(received.ports["tls"], certificates, client) as sender,
        ):
            sender.sendall(HEAD + b"let me in\n")
            sender.recv(1)
        eventually(lambda: reasons(received) == {"tls": 1})
        with secured(received.ports["tls"], certificates, "client") as sender:
            sender.sendall(HEAD + b"me\n")
        assert received.lines(1) == [HEAD + b"me"]


@pytest.mark.parametrize("data", [b"", HEAD + b"plain text\n", os.urandom(5000)])
def test_what_is_no_tls_disturbs_nobody(data: bytes, certificates: Path, tmp_path: Path) -> None:
    with listening(tmp_path, **tls(certificates)) as received:
        with connect(received.ports["tls"]) as stranger, contextlib.suppress(OSError):
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
            stranger.recv(100)
        eventually(lambda: reasons(received) == {"tls": 1})
        with secured(received.ports["tls"], certificates) as sender:
            sender.sendall(HEAD + b"fine\n")
        assert received.lines(1) == [HEAD + b"fine"]


def test_a_wrong_key_is_told_with_its_file(certificates: Path, tmp_path: Path) -> None:
    options = tls(certificates) | {"tls_key_file": str(certificates / "client.key")}
    spool = Spool(tmp_path, "in")
    with pytest.raises(MisconfiguredError, match=r"client\.key"):
        Receiver(SyslogInputSettings(**options), spool, Surroundings(source="in"))  # type: ignore[arg-type]
    spool.close()


# --- settings


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "nothing to listen on: set unix, udp, tcp or tls"),
        ({"udp": "514"}, "udp: '514' is not HOST:PORT"),
        ({"tcp": "localhost:70000"}, "tcp: 'localhost:70000' is not HOST:PORT"),
        ({"tls": ":1"}, "tls needs tls_certificate_file and tls_key_file"),
        (
            {"udp": "[::1]:1", "tls_key_file": "k"},
            "tls_certificate_file, tls_key_file and tls_client_ca_file go with tls",
        ),
    ],
)
def test_settings_that_disagree(options: dict[str, Any], problem: str) -> None:
    assert list(SyslogInputSettings(**options).problems()) == [problem]


def test_an_ipv6_address_can_be_listened_on(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with listening(tmp_path, udp="[::1]:0", tcp="[::1]:0") as received:
        with socket.create_connection(("::1", received.ports["tcp"])) as sender:
            sender.sendall(HEAD + b"six\n")
        assert received.lines(1) == [HEAD + b"six"]


def test_being_out_of_descriptors_is_told_and_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, accept = 0, socket.socket.accept

    def counted(listener: socket.socket) -> tuple[socket.socket, Any]:
        nonlocal asked
        asked += 1
        return accept(listener)

    monkeypatch.setattr(socket.socket, "accept", counted)
    with listening(tmp_path, tcp=LOCAL) as received, socket.socket() as sender:
        address = ("127.0.0.1", received.ports["tcp"])
        with none_left():
            sender.connect(address)
            sender.sendall(HEAD + b"1\n")
            sender.shutdown(socket.SHUT_WR)
            eventually(lambda: received.told.of(Trouble))
            before = asked
            eventually(lambda: asked > before)  # once a second, not as fast as it can
        received.lines(1)
        eventually(lambda: received.told.of(Mended))
    assert len(received.told.of(Trouble)) == 1
    assert asked < 100
