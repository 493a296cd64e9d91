"""Dead letters: what could not be read, and what a sink refused, kept for a person to look at.

One JSON object a line, in one file a source, mode 0600:

    {"at":"2026-11-23T10:00:00.000Z","sink":"opensearch","reason":"mapping","detail":"…",
     "source":"main","path":"/var/lib/mysql/audit.log","segment":"…","span":[160,250],
     "bytes":"<AUDIT_RECORD…","record":{…}}

`bytes` are the bytes of the log as text, where they are UTF-8, else `bytes_base64`. `record` is the
decoded record, there only for refused ones: with it, `replay` delivers exactly what was refused.
Where the log was cut away before its sink answered, `document` is what the sink was sent instead.
A letter is on the disk before the cursor moves over its record, so a crash may write one twice;
`list` shows it once.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from shipper.errors import UnavailableError
from shipper.model import AuditRecord

# What a person can look through and a small state volume can hold.
BYTES_MAX: Final = 256 * 1024 * 1024
# A cut record may be 16 MiB of somebody's SQL: its beginning tells what it was, its span the rest.
KEPT_BYTES_MAX: Final = 1024 * 1024


class Letter(Struct, kw_only=True, omit_defaults=True):
    """One dead letter."""

    at: str
    sink: str  # "" for what could not be read: no sink ever saw it
    reason: str
    detail: str
    source: str
    path: str
    segment: str
    span: tuple[int, int]
    bytes: str | None = None
    bytes_base64: str | None = None
    record: dict[str, Any] | None = None
    document: dict[str, Any] | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What makes two letters the same."""
        return self.sink, self.segment, self.span[0]

    def audit_record(self) -> AuditRecord:
        """Give the record as it was refused."""
        return msgspec.convert(self.record, AuditRecord)


def letter_bytes(raw: bytes) -> dict[str, str]:
    """Give the member of a letter that holds `raw`."""
    kept = raw[:KEPT_BYTES_MAX]
    try:
        return {"bytes": kept.decode()}
    except UnicodeDecodeError:
        return {"bytes_base64": base64.b64encode(kept).decode()}


class DeadLetters:
    """The file of one source. Thread-safe."""

    def __init__(self, path: Path, bytes_max: int = BYTES_MAX) -> None:
        """Make nothing yet; most sources never write a letter."""
        self._path = path
        self._bytes_max = bytes_max
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of the file now."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def add(self, letters: Sequence[Letter]) -> None:
        """Append letters, durably.

        Raises UnavailableError where the disk or the limit does not let us: then the lane waits,
        because going on would lose records without a trace.
        """
        lines = b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters)
        with self._lock:
            if self.size + len(lines) > self._bytes_max:
                raise UnavailableError(
                    f"the dead letters {self._path} are full ({self._bytes_max:,} bytes): look at "
                    "them with `audit-shipper dead-letters list`, then replay or remove the file",
                    reason="rejected",
                )
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _append(self._path, lines)
            except OSError as error:
                text = f"cannot write the dead letters {self._path}: {error.strerror}"
                raise UnavailableError(text, reason="rejected") from error

    def read(self) -> Iterator[Letter]:
        """Give each letter once, in the order of writing; a line that a crash cut is left out."""
        decoder = msgspec.json.Decoder(Letter)
        seen: set[tuple[str, str, int]] = set()
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for line in file:
                try:
                    letter = decoder.decode(line)
                except msgspec.DecodeError:
                    continue
                if letter.key not in seen:
                    seen.add(letter.key)
                    yield letter

    def replace(self, letters: Sequence[Letter]) -> None:
        """Keep only these; atomic."""
        with self._lock:
            fresh = self._path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            _append(fresh, b"".join(msgspec.json.encode(each) + b"\n" for each in letters))
            fresh.replace(self._path)


def _append(path: Path, lines: bytes) -> None:
    fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(fd).st_size
        cut = size > 0 and os.pread(fd, 1, size - 1) != b"\n"  # by a crash
        left = memoryview(b"\n" + lines if cut else lines)
        try:
            while left:
                left = left[os.write(fd, left) :]
            os.fsync(fd)
        except OSError:
            os.ftruncate(fd, size)  # half a line would hide the next letter
            raise
    finally:
        os.close(fd)
