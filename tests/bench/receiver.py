"""A receiver for the bench, in a process of its own: takes all, answers what the protocol asks.

    python -m bench.receiver syslog|forward

Prints its port; ends with its standard input. It only has to be faster than what it measures; real
servers stand in `tests/servers`.
"""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import msgpack
from bench.http_sink import leave_core

READ_BYTES = 1024 * 1024


def discard(connection: socket.socket) -> None:
    """Syslog: read."""
    while connection.recv(READ_BYTES):
        pass


def acknowledge(connection: socket.socket) -> None:
    """Forward: read, and acknowledge each chunk."""
    unpacker = msgpack.Unpacker(max_buffer_size=64 * READ_BYTES)
    while data := connection.recv(READ_BYTES):
        unpacker.feed(data)
        for _, _, options in unpacker:
            connection.sendall(msgpack.packb({"ack": options["chunk"]}))


def _serve(server: socket.socket, protocol: str) -> None:
    while True:
        connection, _ = server.accept()
        with connection:
            (discard if protocol == "syslog" else acknowledge)(connection)


def main() -> None:
    """Serve until standard input ends."""
    leave_core()
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        threading.Thread(target=_serve, args=(server, sys.argv[1]), daemon=True).start()
        Path("/dev/stdin").read_bytes()


if __name__ == "__main__":
    main()
