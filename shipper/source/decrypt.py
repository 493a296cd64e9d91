"""Plain bytes out of AES-256-CBC as `openssl enc` and the servers write it.

    53 61 6c 74 65 64 5f 5f  salt(8)  block(16) block(16) … last block with PKCS#7 padding

A block needs only itself and the one before it, so any offset is as cheap as the next one. The
last block there is may be the last of all: if it ends as padding does, the padding is not given
and the file counts as ended. Should a block follow after all, those bytes were content, and are
given with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from shipper.source.passwords import Key
from shipper.source.stream import Stream

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.modes import CBC

MAGIC: Final = b"Salted__"
SALT_BYTES: Final = 8
HEADER_BYTES: Final = len(MAGIC) + SALT_BYTES
BLOCK_BYTES: Final = 16


class Decrypt:
    """The plain bytes of an encrypted file."""

    def __init__(self, inner: Stream, key: Key) -> None:
        """Read the file, header included, from `inner`; the key is known to fit, or being tried."""
        self._inner = inner
        self._key = key
        self.ended = False

    def read(self, offset: int, size: int) -> bytes:
        """Decrypt the blocks that hold the range. A wrong key gives nonsense, not an error."""
        if size <= 0:
            return b""
        first = offset // BLOCK_BYTES * BLOCK_BYTES
        # One block more than asked for tells whether the last one asked for is the last of all.
        wanted = (offset + size - first + BLOCK_BYTES - 1) // BLOCK_BYTES * BLOCK_BYTES
        iv, blocks = self._blocks(first, wanted + BLOCK_BYTES)
        whole = len(blocks) // BLOCK_BYTES * BLOCK_BYTES
        self.ended = False
        plain = self._decrypted(blocks[:whole], iv)
        if len(blocks) < wanted + BLOCK_BYTES and whole == len(blocks):
            padding = padding_of(plain)
            plain = plain[: len(plain) - padding]
            self.ended = padding > 0 and offset + size >= first + len(plain)
        return plain[offset - first : offset - first + size]

    def _blocks(self, first: int, size: int) -> tuple[bytes, bytes]:
        """Give the block before plain offset `first`, and the encrypted bytes from there."""
        start = HEADER_BYTES + first
        if first == 0:
            return self._key.iv, self._inner.read(start, size)
        data = self._inner.read(start - BLOCK_BYTES, BLOCK_BYTES + size)
        return data[:BLOCK_BYTES], data[BLOCK_BYTES:]

    def _decrypted(self, blocks: bytes, iv: bytes) -> bytes:
        if not blocks:
            return b""
        return _cipher(self._key.key, iv).decryptor().update(blocks)

    def close(self) -> None:
        """Close the file."""
        self._inner.close()


def _cipher(key: bytes, iv: bytes) -> Cipher[CBC]:
    # Loaded where an encrypted file is met: it is a fifth of a daemon's memory.
    from cryptography.hazmat.primitives.ciphers import Cipher  # noqa: PLC0415 see above
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256  # noqa: PLC0415 see above
    from cryptography.hazmat.primitives.ciphers.modes import CBC  # noqa: PLC0415 see above

    return Cipher(AES256(key), CBC(iv))


def padding_of(plain: bytes) -> int:
    """Give the number of padding bytes at the end (1 to 16), 0 if it does not end as padding."""
    count = plain[-1] if plain else 0
    if 1 <= count <= BLOCK_BYTES and plain.endswith(bytes([count]) * count):
        return count
    return 0
