"""What a file is: plain, compressed or encrypted, found out from its first bytes, not its name.

A name says only which password belongs to it. A file that is too short to tell is asked again at
the next read, so a live archive may be opened while it is empty.
"""

from __future__ import annotations

import zlib
from typing import Final

from shipper.errors import WrongPasswordError
from shipper.source import decrypt, gunzip
from shipper.source.decrypt import BLOCK_BYTES, Decrypt
from shipper.source.gunzip import Gunzip
from shipper.source.passwords import Passwords, password_id
from shipper.source.stream import PlainStream, Stream

# Plain bytes that must make sense under a key: enough to tell a wrong key from a damaged start.
_HEAD_BYTES: Final = 4096
_TEXT: Final = bytes({*range(0x20, 0x7F), *b"\t\r\n"})


def open_stream(fd: int, path: str, passwords: Passwords) -> Stream:
    """Take over `fd` and give its plain bytes; a plain file is a PlainStream.

    Raises WrongPasswordError or UnavailableError, and closes `fd` then. DamagedError comes from
    reads that reach the damage.
    """
    stream = _Recognised(PlainStream(fd, path), path, passwords)
    try:
        return stream.recognise() or stream
    except Exception:
        stream.close()
        raise


class _Recognised:
    """A file whose kind may not be known yet."""

    def __init__(self, file: PlainStream, path: str, passwords: Passwords) -> None:
        self._file = file
        self._path = path
        self._passwords = passwords
        self._content: Stream | None = None

    def recognise(self) -> Stream | None:
        """Find out what the file is; None where it is too short to tell."""
        if self._content is None:
            head = self._file.read(0, decrypt.HEADER_BYTES + BLOCK_BYTES)
            if head.startswith(decrypt.MAGIC):
                if len(head) == decrypt.HEADER_BYTES + BLOCK_BYTES:
                    self._content = self._decrypted(head[len(decrypt.MAGIC) : decrypt.HEADER_BYTES])
            elif head.startswith(gunzip.MAGIC):
                self._content = Gunzip(self._file, self._path)
            elif not (decrypt.MAGIC.startswith(head) or gunzip.MAGIC.startswith(head)):
                self._content = self._file
        return self._content

    def _decrypted(self, salt: bytes) -> Stream | None:
        id_ = password_id(self._path)
        for key in self._passwords.keys(id_, salt):
            content = Decrypt(self._file, key)
            head = content.read(0, _HEAD_BYTES)
            if not _makes_sense(head, whole=content.ended):
                continue
            if head.startswith(gunzip.MAGIC):
                return Gunzip(content, self._path, sealed=True)
            return content
        raise WrongPasswordError(
            f"{self._path}: no known password opens it: {self._passwords.advice(id_)}. "
            "(Damage in its first 32 bytes looks the same.)"
        )

    def read(self, offset: int, size: int) -> bytes:
        """Read plain bytes, once it is known what the file is."""
        content = self._content or self.recognise()
        return b"" if content is None else content.read(offset, size)

    @property
    def ended(self) -> bool:
        """Whether the content proves that it is whole."""
        return self._content is not None and self._content.ended

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _makes_sense(head: bytes, *, whole: bool) -> bool:
    """Say whether these can be the first plain bytes of a log.

    Two blocks of text suffice where the first is none: damage spoils two blocks, a wrong key all.
    A random block is text with a chance of 0.38 ** 16, two of 256 blocks with one of 1e-9.
    """
    if not head:
        return whole
    if head.startswith(gunzip.MAGIC):
        try:
            zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 1)
        except zlib.error:
            return False
        return True
    blocks = [head[at : at + BLOCK_BYTES] for at in range(0, len(head), BLOCK_BYTES)]
    texts = [block for block in blocks if not block.translate(None, _TEXT)]
    return texts[:1] == blocks[:1] or len(texts) > 2  # the last block may be short
