"""Archives as the real tools make them, and by a writer of our own for what no tool can do."""

from __future__ import annotations

import os
import subprocess
import zlib
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC

from shipper.source.archive import open_stream
from shipper.source.passwords import Passwords, PasswordSettings, derive
from shipper.source.stream import Stream

PASSWORD = "correct horse"  # noqa: S105 of archives made here
SALT = b"saltsalt"


def lines(count: int) -> bytes:
    return b"".join(
        b'{"audit_record":{"name":"Query","record":"%d_2024-09-03T01:53:33","sqltext":"%x"}}\n'
        % (number, number * 2654435761 % 2**32)
        for number in range(count)
    )


def gzip(plain: bytes, *, level: int = 6) -> bytes:
    """Compress with the real tool."""
    return subprocess.run(
        ["gzip", f"-{level}"], input=plain, check=True, capture_output=True
    ).stdout


def openssl(plain: bytes, *arguments: str, password: str = PASSWORD) -> bytes:
    """Encrypt with the real tool, in Oracle's way unless `arguments` say otherwise."""
    command = ["openssl", "enc", "-aes-256-cbc", "-md", "sha256", "-pass", "env:PASSWORD"]
    return subprocess.run(
        [*command, *arguments],
        input=plain,
        check=True,
        capture_output=True,
        env={**os.environ, "PASSWORD": password},
    ).stdout


def member(plain: bytes, *, flush_every: int = 0) -> bytes:
    """Compress to one member, as a writer does that flushes every few bytes."""
    compressor = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    step = flush_every or len(plain) or 1
    parts = []
    for at in range(0, len(plain), step):
        parts.append(compressor.compress(plain[at : at + step]))
        if flush_every:
            parts.append(compressor.flush(zlib.Z_SYNC_FLUSH))
    return b"".join([*parts, compressor.flush()])


def encrypt(plain: bytes, *, iterations: int | None = None) -> bytes:
    """Encrypt in process."""
    key = derive(PASSWORD, SALT, iterations)
    padding = 16 - len(plain) % 16
    cipher = Cipher(AES256(key.key), CBC(key.iv)).encryptor()
    return b"Salted__" + SALT + cipher.update(plain + bytes([padding]) * padding)


def passwords(password: str = PASSWORD) -> Passwords:
    return Passwords(PasswordSettings(default=password))


def opened(path: Path, with_: Passwords | None = None) -> Stream:
    return open_stream(os.open(path, os.O_RDONLY), str(path), with_ or passwords())


def drained(stream: Stream, *, offset: int = 0, size: int = 128 * 1024) -> bytes:
    parts = []
    while part := stream.read(offset, size):
        assert len(part) <= size
        parts.append(part)
        offset += len(part)
    return b"".join(parts)
