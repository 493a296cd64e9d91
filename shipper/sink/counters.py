"""The sink `metrics`: counts records for Prometheus and hands logins to the detector.

Guarantee: it always accepts, and its counts are committed together with the lane's cursor, so a
restart neither loses nor repeats them. It remembers for each segment how far it counted: a batch
that is delivered again is not counted again.

Theory of operation. Work is per batch, not per record: one `Counter` over the command classes, and
of what its blocks have marked (all but harmless statements) one over what its series depend on.
Python sees each combination once, however many records have it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import ClassVar, Final, Protocol

import msgspec
from msgspec import Struct

from shipper.clock import seconds_of
from shipper.counts import COMMAND_CLASSES, OTHER, QUERY_ERRORS, AuditCounts
from shipper.errors import MisconfiguredError
from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    DISCONNECT,
    LOGIN_KINDS,
    QUERY,
    AuditRecord,
    Block,
    Marked,
)
from shipper.sink.base import Batch, Receipt, Surroundings
from shipper.sink.labels import Labels, LabelSettings
from shipper.sink.refused import RefusedLogins

VERSION: Final = 1
SEGMENTS_MAX: Final = 64  # as in shipper.detect.state
_NUMBERS: Final = {number: str(number) for number in QUERY_ERRORS}
_CLASS: Final = attrgetter("command_class")
_STATUS: Final = attrgetter("status")
_OUTCOME: Final = attrgetter("kind", "command_class", "status")
_LOGIN: Final = attrgetter("kind", "user", "ip", "host", "status", "format")


class Settings(LabelSettings, frozen=True, kw_only=True, tag="metrics"):
    """What is counted for `/metrics`."""


class Watcher(Protocol):
    """Somebody who looks at the same records, with a state that is kept with the counts."""

    def see(self, marked: Marked, batch: Batch, end: int) -> None:
        """Look at a block's marked records, up to `end`."""
        ...

    def settle(self) -> bool:
        """Make durable what came of it; False where nothing did.

        Raises UnavailableError; it is then asked again.
        """
        ...

    def dump(self) -> bytes:
        """Write everything that a later process needs."""
        ...

    def load(self, saved: bytes) -> bool:
        """Go on where `dump` was; False where that cannot be read."""
        ...


class _Saved(Struct):
    version: int
    upto: dict[str, int]
    counts: AuditCounts
    watcher: bytes = b""


class AuditCounters:
    """Counts of one source."""

    in_flight: ClassVar[int] = 1
    batch_bytes: ClassVar[int] = 1024 * 1024  # a commit costs an fsync; a count is seen 1 s later

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        """Begin at 0."""
        surroundings = surroundings or Surroundings()
        self._clock = surroundings.clock
        self._labels = Labels(settings)
        self._refused = RefusedLogins(self._labels)
        self._lock = threading.Lock()  # the thread of the lane counts, that of a scrape copies
        self._counts = AuditCounts()
        self._upto: dict[str, int] = {}
        self._watcher: Watcher | None = None
        # Of the batch that was counted, and whose findings are not durable yet.
        self._owed: tuple[str, int, Receipt] | None = None
        self.urgent = False  # see lane.deliver.StatefulSink

    def watch(self, watcher: Watcher) -> None:
        """Let somebody look at the same records, from the first one on."""
        self._watcher = watcher

    def prepare(self) -> None:
        """Nothing is needed."""

    def deliver(self, batch: Batch) -> Receipt:
        """Count a batch; what was counted before is left out.

        Raises UnavailableError where the watcher cannot keep what it found. The counts are right
        by then, and the next attempt at the same batch gets the receipt that this one owes.
        """
        if self._owed is None or self._owed[:2] != (batch.segment, batch.upto):
            self._owed = batch.segment, batch.upto, self._counted(batch)
        if self._watcher is not None and self._watcher.settle():
            self.urgent = True
        receipt, self._owed = self._owed[2], None
        return receipt

    def _counted(self, batch: Batch) -> Receipt:
        fresh: list[Block] = []
        upto = self._upto.get(batch.segment, 0)
        for block in batch.blocks:
            left = block if block.start >= upto else block.since(upto)
            if left.records or left.defects:
                fresh.append(left)
            # Not the block's end: the server may take framing back, and write a record there.
            upto = max(upto, block.items_end)
        self._mark(batch.segment, upto)
        if fresh:
            self._count(fresh)
        if self._watcher is not None:
            for left in fresh:
                self._watcher.see(left.marked, batch, left.end)
        new = sum(len(block.records) for block in fresh)
        return Receipt(new, batch.count - new)

    def _mark(self, segment: str, end: int) -> None:
        self._upto[segment] = max(end, self._upto.pop(segment, 0))
        if len(self._upto) > SEGMENTS_MAX:
            del self._upto[next(iter(self._upto))]

    def _count(self, blocks: Sequence[Block]) -> None:
        counts, every = self._counts, chain.from_iterable
        special = list(every(block.marked.records for block in blocks))
        classes = Counter(map(_CLASS, every(block.records for block in blocks)))
        kinds = Counter({QUERY: classes.total() - len(special)})
        outcomes = Counter(map(_OUTCOME, special))
        logins = Counter(
            [_LOGIN(each) for each in filter(_STATUS, special) if each.kind in LOGIN_KINDS]
        )
        with self._lock:
            self._count_outcomes(outcomes, kinds, classes)
            for defect in every(block.defects for block in blocks):
                counts.defects[defect.reason.value] += 1
            if logins:
                self._refused.count(counts, logins, int(self._clock.now()))
            if kinds[AUDIT_START] or kinds[AUDIT_STOP]:
                for record in special:
                    if record.kind in (AUDIT_START, AUDIT_STOP):
                        counts.logging = int(record.kind == AUDIT_START)
            for block in blocks:
                self._move_on(block.records)

    def _count_outcomes(
        self,
        outcomes: Counter[tuple[str, str | None, int | None]],
        kinds: Counter[str],
        classes: Counter[str | None],
    ) -> None:
        """Count kinds and command classes, those of the marked records corrected first."""
        counts = self._counts
        for (kind, name, status), number in outcomes.items():
            kinds[kind] += number
            if kind != QUERY:
                classes[name] -= number
            elif status:
                counts.query_failures[_class(name)] += number
                counts.query_errors[_NUMBERS.get(status, OTHER)] += number
        for kind, number in kinds.items():
            counts.records[kind] = counts.records.get(kind, 0) + number
        for command, number in classes.items():
            counts.queries[_class(command)] += number
        self._count_kinds(kinds)

    def _count_kinds(self, kinds: Counter[str]) -> None:
        counts = self._counts
        for event in counts.connects:
            counts.connects[event] += kinds[event]
        counts.disconnects += kinds[DISCONNECT]
        counts.starts += kinds[AUDIT_START]
        counts.stops += kinds[AUDIT_STOP]
        if counts.logging is None:
            counts.logging = 1

    def _move_on(self, records: Sequence[AuditRecord]) -> None:
        """Note the event time of the newest record: the last of a block is close enough."""
        last = next((record.timestamp for record in reversed(records) if record.timestamp), None)
        if last is not None:
            self._counts.newest = max(self._counts.newest or 0.0, seconds_of(last))

    def view(self) -> AuditCounts:
        """Copy the counts, as of now, for a scrape in another thread."""
        with self._lock:
            self._labels.forget(self._counts, int(self._clock.now()))
            return msgspec.msgpack.decode(msgspec.msgpack.encode(self._counts), type=AuditCounts)

    @property
    def labels(self) -> Labels:
        """Give the rules by which users and addresses become label values."""
        return self._labels

    def dump(self) -> bytes:
        """Write the counts, and what the watcher knows."""
        watcher = b"" if self._watcher is None else self._watcher.dump()
        with self._lock:
            return msgspec.msgpack.encode(_Saved(VERSION, self._upto, self._counts, watcher))

    def load(self, state: bytes) -> None:
        """Go on from `dump`. Raises MisconfiguredError where another program wrote it."""
        try:
            saved = msgspec.msgpack.decode(state, type=_Saved)
        except msgspec.DecodeError as error:
            raise MisconfiguredError(
                f"the counts in the state cannot be read ({error}): another version of this "
                "program wrote them. Rename the sink, and it begins anew"
            ) from error
        with self._lock:
            _complete(saved.counts)
            self._labels.review(saved.counts)
            self._counts, self._upto = saved.counts, saved.upto
        if self._watcher is not None and saved.watcher:
            self._watcher.load(saved.watcher)

    def check(self) -> Sequence[str]:
        """Find nothing in the way: there is no target."""
        return ()

    def close(self) -> None:
        """Give up nothing; the counts stay readable."""


def _class(name: str | None) -> str:
    return name if name in COMMAND_CLASSES else OTHER


def _complete(counts: AuditCounts) -> None:
    """Add what newer closed lists have and older states do not."""
    empty = AuditCounts()
    for name in AuditCounts.__struct_fields__:
        table = getattr(empty, name)
        if isinstance(table, dict):
            setattr(counts, name, {**table, **getattr(counts, name)})
