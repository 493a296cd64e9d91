"""Fluentd's forward protocol, version 1, as bytes: entries, messages, the handshake. Pure.

    ["mysql.audit", <entries, packed, perhaps gzipped>, {"chunk": "…", "size": 300}]
    an entry: [EventTime, {"@timestamp": "2024-09-03T01:53:33Z", "event": {…}, …}]
    the answer: {"ack": "…"}

EventTime is fluent-logger's; PackedForward, CompressedPackedForward, chunks and the handshake are
what that package lacks.
"""

from __future__ import annotations

import base64
import hashlib
import re
import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgpack
import msgspec
from fluent.sender import EventTime
from isal import igzip
from msgspec import Struct

from shipper.document import columns
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.percona import percona
from shipper.document.stencil import Row, Stencils
from shipper.model import AuditRecord, Block

_pack: Final = msgspec.msgpack.Encoder().encode
_from_json: Final = msgspec.json.Decoder().decode

# What a tag may be made of: closed sets and the operator's own names, never a log's content, or
# whoever can log in could make tags without end.
TAG_FIELDS: Final = ("kind", "format", "source", "instance")
_TAG: Final = re.compile(r"[A-Za-z0-9_.{}-]+")
# The fastest: on one core the network is rarely what holds us up.
_GZIP_LEVEL: Final = 0
# First bytes of values in MessagePack.
_ARRAY_OF_2, _ARRAY_OF_3, _BIN_32 = b"\x92", b"\x93", b"\xc6"


class Refused(NamedTuple):
    """What a server that does not let us in says."""

    reason: str


class Credentials(Struct, frozen=True):
    """Who we are to a server. Empty: no account."""

    shared_key: str
    username: str = ""
    password: str = ""


def tag_problems(template: str) -> Iterator[str]:
    """Say what is wrong with a tag's template."""
    if not _TAG.fullmatch(template):
        yield "tag may have letters, digits, '_', '-', '.' and {fields}"
        return
    try:
        names = [(name, spec) for _, name, spec, _ in string.Formatter().parse(template)]
    except ValueError as error:
        yield f"tag: {error}"
        return
    for name, spec in names:
        if name is not None and (name not in TAG_FIELDS or spec):
            yield f"tag: {{{name}}} is none of {', '.join(TAG_FIELDS)}"


class Tags:
    """Tags of one source's records."""

    def __init__(self, template: str, source: str, instance: str) -> None:
        """Prepare a template without problems."""
        names = [name for _, name, _, _ in string.Formatter().parse(template)]
        self.vary = "kind" in names or "format" in names
        self._template = template
        self._source = _word(source)
        self._instance = _word(instance)

    def of(self, kind: str, format_: str) -> str:
        """Give the tag of records of a kind, read with a format."""
        return self._template.format(
            kind=kind, format=_word(format_), source=self._source, instance=self._instance
        )


def _word(text: str) -> str:
    """Keep the dots of a tag for the template: `match mysql.*` counts them."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)


class Encoder:
    """Write the records of one segment as entries; to be used by one thread."""

    def __init__(self, document: str, segment: str, path: str, instance: str = "") -> None:
        """`document` is `ecs` or `percona`; `instance` the operator's name for the server."""
        self._segment = segment
        if document == "ecs":
            encoder = EcsEncoder(Place(segment=segment, path=path, instance=instance))
            self._document: Callable[[AuditRecord, int], Any] = lambda record, offset: _from_json(
                encoder.documents(Block(offset, offset, [record], [offset], [offset], []))
            )
            self._order = (0, 1, 6, 4, 5, 3, 2)  # of the columns in `_rows`
        else:
            self._document = self._percona
            self._order = (0, 2, 1, 4, 3, 5, 6)
        self._stencils = Stencils(self._render, self._rows)
        self._now = 0.0

    def entries(self, block: Block, now: float) -> list[bytes]:
        """Give an entry for every record; `now`, seconds, stands in for a missing time."""
        self._now = now
        return self._stencils.fill(block)

    def _percona(self, record: AuditRecord, offset: int) -> dict[str, Any]:
        return {**percona(record), "segment": self._segment, "offset": offset}

    def _render(self, record: AuditRecord, offset: int) -> bytes:
        time = event_time(record.timestamp, self._now)
        document = self._document(record, offset)
        try:
            return _ARRAY_OF_2 + time + _pack(document)
        except OverflowError:
            return _ARRAY_OF_2 + time + _pack(_packable(document))

    def _rows(self, block: Block, numbers: Sequence[int | None]) -> Iterable[Row]:
        records = block.records
        times = columns.timestamps(records)
        every = (
            columns.repeated(times, lambda at: event_time(at, self._now)),
            columns.repeated(times, lambda at: b"" if at is None else _pack(at)),
            columns.texts(columns.record_ids(records), _pack),
            columns.texts(columns.statements(records), _pack),
            columns.repeated(
                columns.connection_ids(records),
                lambda number: b"" if number is None else _pack(str(number)),
            ),
            _packed(numbers),
            list(map(_pack, block.starts)),
        )
        return zip(*(every[index] for index in self._order), strict=True)


def _packed(numbers: Sequence[int | None]) -> columns.Column:
    if numbers.count(None) == len(numbers):
        return [b""] * len(numbers)
    return [b"" if number is None else _pack(_packable(number)) for number in numbers]


def _packable(value: Any) -> Any:
    """Write numbers that MessagePack does not have as text; JSON logs may hold any."""
    match value:
        case dict():
            return {key: _packable(item) for key, item in value.items()}
        case list():
            return [_packable(item) for item in value]
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
        case _:
            return value


def event_time(timestamp: str | None, now: float) -> bytes:
    """Write an EventTime: seconds and nanoseconds since 1970, of 32 bits each.

    A time that is missing or does not fit (before 1970, after 2105) becomes `now`.
    """
    nanoseconds = int(now * 1e6) * 1000
    if timestamp is not None and "1970" <= timestamp < "2106":
        at = datetime.fromisoformat(timestamp).replace(tzinfo=UTC)
        nanoseconds = int(at.timestamp()) * 10**9 + at.microsecond * 1000
    packed: bytes = msgpack.packb(EventTime.from_unix_nano(nanoseconds))
    return packed


def chunk_of(segment: str, start: int, end: int, tag: str) -> str:
    """Name a chunk: the same records get the same name whenever they are sent."""
    text = f"{segment} {start} {end} {tag}".encode()
    return base64.b64encode(hashlib.blake2b(text, digest_size=16).digest()).decode()


def message(tag: str, entries: Sequence[bytes], chunk: str, *, compress: bool) -> bytes:
    """Write a PackedForward or CompressedPackedForward message that asks for an ack."""
    options: dict[str, Any] = {"chunk": chunk, "size": len(entries)}
    if compress:
        options["compressed"] = "gzip"
        entries = [igzip.compress(b"".join(entries), _GZIP_LEVEL, mtime=0)]
    # Put together here: to pack the whole would copy all entries once more.
    size = sum(map(len, entries)).to_bytes(4, "big")
    return b"".join((_ARRAY_OF_3, _pack(tag), _BIN_32, size, *entries, _pack(options)))


def ack_in(reply: object) -> str | None:
    """Give the chunk that a reply acknowledges; None where it is no acknowledgement."""
    chunk = reply.get(b"ack") if isinstance(reply, dict) else None
    return chunk.decode("ascii", "replace") if isinstance(chunk, bytes) else None


def is_helo(reply: object) -> bool:
    """Say whether the server begins a handshake."""
    return isinstance(reply, list) and reply[:1] == [b"HELO"]


class Login:
    """Our side of the handshake: HELO, PING, PONG."""

    def __init__(self, credentials: Credentials, hostname: str, salt: bytes) -> None:
        """`salt` is random, 16 bytes, new for each connection."""
        self._credentials = credentials
        self._hostname = hostname.encode()
        self._salt = salt.hex().encode()
        self._nonce = b""

    def ping(self, helo: object) -> bytes:
        """Answer the server's HELO. Raises ValueError where it is none."""
        match helo:
            case [b"HELO", {b"nonce": bytes(nonce), **options}]:
                auth = options.get(b"auth", b"")
            case _:
                raise ValueError("the server did not begin with HELO")
        self._nonce = nonce
        ours = self._credentials
        username, password = "", ""
        if isinstance(auth, bytes) and auth:
            username = ours.username
            password = _sha512(auth, username.encode(), ours.password.encode())
        digest = self._digest(self._hostname)
        return _pack(
            ("PING", self._hostname.decode(), self._salt.decode(), digest, username, password)
        )

    def refusal(self, pong: object) -> Refused | None:
        """Read the server's PONG; None where both sides know each other.

        Raises ValueError where it is no PONG, or where the server does not know the shared key.
        """
        match pong:
            case [b"PONG", True, _, bytes(server), bytes(digest)]:
                if digest.decode("ascii", "replace") != self._digest(server):
                    raise ValueError("the server does not know the shared key")
                return None
            case [b"PONG", False, bytes(reason), *_]:
                return Refused(reason.decode("utf-8", "replace"))
            case _:
                raise ValueError("the server did not answer PING with PONG")

    def _digest(self, hostname: bytes) -> str:
        return _sha512(self._salt, hostname, self._nonce, self._credentials.shared_key.encode())


def _sha512(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()
