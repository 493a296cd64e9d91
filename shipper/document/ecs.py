"""ECS-shaped documents, and the bulk lines that carry them.

    {"create":{"_index":"mysql-audit-2024.09.03","_id":"9f…-495"}}
    {"@timestamp":"2024-09-03T01:53:33Z","event":{"action":"mysql-connect",…},"user":{…},…}

Theory of operation. Most of a document repeats from record to record: what kind of event it is, who
did it. Those parts are encoded once and remembered, bounded; a document is then one bytes template
filled with remembered parts and the few values that change. Everything from the log goes through
a JSON encoder on its way in, remembered or not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import ClassVar, Final, Generic, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.structs import astuple

from shipper.document import ecs_parts
from shipper.document.alert import alert
from shipper.document.columns import Shape, connection_ids, numbers, parted
from shipper.document.ecs_parts import Key, OddKey, What, Who, encode
from shipper.document.index_name import IndexName
from shipper.model import ALERT, AuditRecord, Block


class Place(Struct, frozen=True):
    """Where a block of records comes from and goes to; constant for one segment."""

    segment: str = ""  # digest that names the segment, ASCII
    path: str = ""  # of the log file, for people
    index: str = "mysql-audit-%Y.%m.%d"  # see index_name.PATTERN
    instance: str = ""  # the server whose log it is: the operator's name for it


Name = TypeVar("Name")
Part = TypeVar("Part")


class _Parts(dict[Name, Part], Generic[Name, Part]):
    """Bounded memo of encoded parts; forgets everything when full, see decode.base.Memo."""

    ENTRIES_MAX: ClassVar[int] = 8192  # distinct (who, from where) of a busy server

    def __init__(self, encode: Callable[[Name], Part]) -> None:
        super().__init__()
        self._encode = encode

    def __missing__(self, key: Name) -> Part:
        if len(self) >= self.ENTRIES_MAX:
            self.clear()
        part = self[key] = self._encode(key)
        return part


# What stands around a record's values, the same for all records with one key: between the number of
# its connection, or of its statement, and `event`, where there is no statement; the same up to its
# text; and the rest of `event` and of the document. The first two are templates where numbers in
# `extra` change. No named tuple: taking one apart takes longer.
_Frame: TypeAlias = tuple[bytes, bytes, bytes]

_WHAT: Final = 5  # members of a frame's key say what happened, the others who did it
_others: Final = attrgetter(
    *("kind", "name", "command_class", "status", "format"),
    *("user", "priv_user", "os_login", "host", "ip", "db"),
)
_Odd: TypeAlias = tuple[int, ...]
_NOTHING: Final[tuple[Shape, _Odd]] = ((), ())
_NEVER: Final[tuple[None, _Odd]] = (None, ())  # an `extra` that is not remembered
_CONNECTION: Final = b'},"mysql":{"audit":{"connection_id":"'
_NO_CONNECTION: Final = b'},"mysql":{"audit":{'
_EVENT: Final = b'},"event":{"kind":"event"'
_NUMBER: Final = b'","raw":{"query_id":'  # of the statement
_QUERY: Final = b',"query":{"text":'


class _Frames(_Parts[Key, _Frame | None]):
    # Accounts times statements. The memos behind it hold each once, so that a miss is no more
    # than three look-ups and a copy; 5 MiB when full.
    ENTRIES_MAX: ClassVar[int] = 2048


class EcsEncoder:
    """Encode records of one place as ECS documents; pure, to be used by one thread."""

    def __init__(self, place: Place | None = None) -> None:
        """Prepare the constant parts for `place`."""
        self._place = place or Place()
        self._what: _Parts[Key, What] = _Parts(ecs_parts.what)
        self._who: _Parts[Key, Who] = _Parts(ecs_parts.who)
        self._frames = _Frames(self._frame)
        self._numbered = _Frames(partial(self._frame, has_query=True))
        self._odds: _Parts[OddKey, ecs_parts.Odd | None] = _Parts(ecs_parts.odd_of)
        self._action: _Parts[str, bytes] = _Parts(self._action_head)
        place = self._place
        self._index = IndexName(place.index)
        self._log = ecs_parts.same(place.segment, place.path, place.instance)

    def bulk(self, block: Block, ingested: str) -> bytes:
        """Give an action line and a document for every record of `block`.

        `_id` is segment and offset: the same record always gets the same id, so `create` makes a
        replay harmless. `ingested` is RFC 3339, and stands in for a time that cannot be read.
        """
        return b"".join(self._pieces(block, ingested))

    def documents(self, block: Block) -> bytes:
        """Give the documents alone, one a line, without `event.ingested`."""
        return b"".join(self._pieces(block, None))

    def _pieces(self, block: Block, ingested: str | None) -> list[bytes]:
        """Encode a block in pieces: one join at the end is cheaper than a template a record."""
        if block.records and block.records[0].kind == ALERT:  # a log has findings only, or none
            items = zip(block.records, block.starts, strict=True)
            return [self._finding(record, offset, ingested) for record, offset in items]
        pieces: list[bytes] = []
        add, records = pieces.extend, block.records
        frames, numbered = self._frames, self._numbered
        offsets = numbers(block.starts)
        ids = [b""] * len(offsets) if ingested is None else offsets
        connections = numbers(connection_ids(records), before=_CONNECTION)
        (action, head), second = self._opening(None, ingested), None
        event = _EVENT if ingested is None else b'%b,"ingested":"%b"' % (_EVENT, ingested.encode())
        event_id = event + b',"id":'
        for record, fields, id_, offset, connection in zip(
            records, map(astuple, records), ids, offsets, connections, strict=True
        ):
            # fmt: off
            (
                what, name, time, class_, _, status, sql, user, host, login, ip, db, priv, proxy,
                kind, format_, extra, query,
            ) = fields
            # fmt: on
            if time != second:
                second = time
                action, head = self._opening(second, ingested)
            shape, odd = _NOTHING if extra is None else parted(extra) or _NEVER
            # fmt: off
            frame = (frames if query is None else numbered)[
                kind, what, class_, status, format_, user, priv, login, host, ip, db, shape, proxy
            ]
            # fmt: on
            if name is None:
                opened, of_record = event, b""
            else:
                opened, of_record = event_id, encode(name)
            if frame is None or not connection:
                add((action, id_, head, offset, self._rare(record, opened + of_record)))
                continue
            before, before_text, end = frame
            rest = before if sql is None else before_text
            if odd:
                rest %= odd
            if query is not None:
                rest = b"%b%d%b" % (_NUMBER, query, rest)
            if sql is None:
                add((action, id_, head, offset, connection, rest, opened, of_record, end))
            else:
                # fmt: off
                add((
                    action, id_, head, offset, connection, rest, encode(sql), b"}",
                    opened, of_record, end,
                ))
                # fmt: on
        return pieces

    def _finding(self, record: AuditRecord, offset: int, ingested: str | None) -> bytes:
        """Encode a finding, which has an id of its own. Few, so without memo."""
        made = alert(record, instance=self._place.instance, ingested=ingested)
        document = encode(made | {"log": {"segment": self._place.segment, "offset": offset}})
        if ingested is None:
            return document + b"\n"
        index = self._index.of((record.timestamp or "")[:10])
        action = encode({"create": {"_index": index, "_id": record.record}})
        return b"%b\n%b\n" % (action, document)

    def _frame(self, key: Key, *, has_query: bool = False) -> _Frame | None:
        """Make what all records with this key share; None where that is not clear."""
        *others, shape, proxy_user = key
        odd = None if shape is None else self._odds[shape, proxy_user, has_query]
        return odd and self._around((*others, proxy_user), odd, b"" if has_query else b'"')

    def _rare(self, record: AuditRecord, opened: bytes) -> bytes:
        """Write by itself what others have no part in, from behind `log`; `event` is `opened`."""
        odd = ecs_parts.odd(record.details, record.proxy_user)
        number = record.connection_id
        connection = _NO_CONNECTION if number is None else _CONNECTION + b"%d" % number
        before, before_text, end = self._around((*_others(record), record.proxy_user), odd, b'"')
        text = record.sqltext
        rest = before if text is None else b"%b%b}" % (before_text, encode(text))
        skipped = len(b'",') if number is None else 0
        return b"%b%b%b%b" % (connection, rest[skipped:], opened, end)

    def _around(self, key: Key, odd: ecs_parts.Odd, ended: bytes) -> _Frame:
        what, who = self._what[key[:_WHAT]], self._who[key[_WHAT:]]
        rest = what.audit + odd.audit + b"}}," + who.db
        before = ended + odd.raw + (ecs_parts.escaped(rest) if odd.numbered else rest)
        return before, before + _QUERY, what.event + who.who + odd.root + b"}\n"

    def _opening(self, stamp: str | None, ingested: str | None) -> tuple[bytes, bytes]:
        """Give what stands before a record's offset, in its action line and in its document."""
        day, stamp = (stamp or "")[:10], stamp or ingested
        begin = b'{"@timestamp":"%b",' % stamp.encode() if stamp else b"{"
        if ingested is None:
            return b"", begin + self._log
        return self._action[day], b'"}}\n' + begin + self._log

    def _action_head(self, day: str) -> bytes:
        index, segment = encode(self._index.of(day)), self._place.segment.encode()
        return b'{"create":{"_index":%b,"_id":"%b-' % (index, segment)
