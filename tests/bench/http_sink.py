"""A server that answers like _bulk and does nothing else, in a process of its own.

    python -m bench.http_sink       (prints its port, and serves until its input ends)

It inflates a request as it comes, piece by piece, to count the documents, and sends an answer that
was made before. So it costs a fraction of what its client spends, on another core, and leaves the
cache that cores share to the client. One thread a connection.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from isal import isal_zlib

LENGTH = re.compile(rb"content-length: (\d+)\r\n", re.IGNORECASE)
GZIP = re.compile(rb"content-encoding: gzip\r\n", re.IGNORECASE)
ITEM = b'{"create":{"status":201}}'
HEAD_BYTES_MAX = 64 * 1024
PIECE_BYTES = 8 * 1024  # ten times as much when it is inflated: the cache of a core holds that
ACTION = b'\n{"create":{"_i'  # behind each document but the last; long texts are counted faster


def answer(documents: int) -> bytes:
    """Give what the server says after having stored so many documents."""
    items = b",".join([ITEM] * documents)
    body = b'{"errors":false,"items":[%b]}' % items
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


class Counter:
    """Counts the documents of a body that comes in pieces."""

    def __init__(self, *, packed: bool) -> None:
        self._inflate = isal_zlib.decompressobj(wbits=31).decompress if packed else bytes
        self._last = b"\n"
        self.documents = 0

    def add(self, piece: bytes) -> None:
        plain = self._last + self._inflate(piece)
        self.documents += plain.count(ACTION)
        self._last = plain[1 - len(ACTION) :]


def serve(connection: socket.socket) -> None:
    """Answer one connection's requests until it is closed."""
    answers: dict[int, bytes] = {}
    buffered = b""
    with connection:
        while True:
            while (end := buffered.find(b"\r\n\r\n")) < 0:
                received = connection.recv(HEAD_BYTES_MAX)
                if not received:
                    return
                buffered += received
            head, rest = buffered[: end + 4], buffered[end + 4 :]
            found = LENGTH.search(head)
            size = int(found[1]) if found else 0
            counter = Counter(packed=GZIP.search(head) is not None)
            counter.add(rest[:size])
            got, buffered = len(rest[:size]), rest[size:]
            while got < size:
                piece = connection.recv(min(size - got, PIECE_BYTES))
                if not piece:
                    return
                counter.add(piece)
                got += len(piece)
            documents = counter.documents
            if documents not in answers:
                answers[documents] = answer(documents)
            connection.sendall(answers[documents])


def leave_core() -> None:
    """Run on another core than whoever started this, if there is one: it has its own cache."""
    others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
    if others:
        os.sched_setaffinity(0, others)


def main() -> None:
    """Serve until standard input ends."""
    leave_core()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(listening.getsockname()[1], flush=True)

        def accept() -> None:
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdin.read()


@contextmanager
def running() -> Iterator[str]:
    """Start the server; give its url."""
    command = [sys.executable, "-m", "bench.http_sink"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    main()
