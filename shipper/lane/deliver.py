"""Deliver until acknowledged, keep what was refused, commit: each tried again until it works.

All waiting of a lane is here, interruptible by `stop`; what was interrupted counts as not done and
is done again after the next start.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, Final, Protocol, TypeAlias, TypeVar, runtime_checkable

import msgspec
from msgspec.structs import asdict

from shipper.clock import rfc3339
from shipper.errors import UnavailableError
from shipper.lane.dead_letters import Letter, letter_bytes
from shipper.lane.fittings import Fittings
from shipper.lane.parcel import Parcel
from shipper.lane.retry import Backoff
from shipper.model import AuditRecord, Block, Defect
from shipper.notices import Attempted, Delivered, Mended, Refused, Trouble, Waiting
from shipper.refine.sequence import Sequences
from shipper.refine.sessions import Changes
from shipper.sink import Receipt, Sink

Result = TypeVar("Result")
Placed: TypeAlias = tuple[int, AuditRecord | None]  # where a record ends, and itself

# Losing the state's disk is told once, then after as many failures again.
TOLD_AGAIN: Final = 60


@runtime_checkable
class StatefulSink(Protocol):
    """A sink whose own state is committed with the cursor: counters, detectors."""

    # Whether to commit now, for what came of the last deliveries is durable elsewhere, and known
    # there for one delivery: findings. The lane resets it.
    urgent: bool

    def dump(self) -> bytes:
        """Give the state after everything that was delivered."""
        ...

    def load(self, state: bytes) -> None:
        """Go on from a state that `dump` gave."""
        ...


class Courier:
    """Delivers the parcels of one lane."""

    def __init__(self, lane: str, sink: Sink, fittings: Fittings, *, keeps_defects: bool) -> None:
        """`keeps_defects`: the source's unreadable ranges go to the dead letters by this lane."""
        self._lane = lane
        self._sink = sink
        self._fit = fittings
        self._keeps_defects = keeps_defects

    def restore(self, state: bytes | None) -> None:
        """Give a stateful sink the state it had at the last commit."""
        if state is not None and isinstance(self._sink, StatefulSink):
            self._sink.load(state)

    def prepare(self) -> bool:
        """Make the target ready; False where `stop` came first. Raises MisconfiguredError."""
        return self._until_done("prepare the target", self._prepared) is not None

    def _prepared(self) -> bool:
        self._sink.prepare()
        return True

    def deliver(self, parcel: Parcel) -> Receipt | None:
        """Deliver until acknowledged; None where `stop` came first. Raises MisconfiguredError."""
        fit, clock = self._fit, self._fit.clock
        batch = parcel.batch(fit.source)
        attempt = 0

        def once() -> Receipt:
            nonlocal attempt
            attempt += 1
            begun = clock.monotonic()
            try:
                receipt = self._sink.deliver(batch)
            except UnavailableError as error:
                spent = clock.monotonic() - begun
                fit.tell(Attempted(fit.source, self._lane, spent, error.reason, attempt))
                raise
            spent = clock.monotonic() - begun
            fit.tell(Attempted(fit.source, self._lane, spent, None, attempt))
            return receipt

        receipt = self._until_done("deliver", once)
        if receipt is None or not self._keep_dead(parcel, receipt):
            return None
        newest = parcel.progress.newest
        fit.tell(
            Delivered(fit.source, self._lane, receipt.new, receipt.duplicates, receipt.size, newest)
        )
        return receipt

    def commit(self, parcels: Sequence[Parcel]) -> bool:
        """Make the progress durable; False where `stop` came before the disk would take it."""
        changes = Changes()
        for parcel in parcels:
            changes.add(parcel.changes)
        sequences = msgspec.json.decode(parcels[-1].sequences, type=Sequences)
        sink = self._sink.dump() if isinstance(self._sink, StatefulSink) else None
        progress = [parcel.progress for parcel in parcels]
        clock = self._fit.clock

        def once() -> bool:
            self._fit.state.commit(
                self._lane, progress, changes, sequences, now=clock.now(), sink=sink
            )
            return True

        return self._until_done("save the position", once) is not None

    def _until_done(self, doing: str, once: Callable[[], Result]) -> Result | None:
        fit, backoff = self._fit, Backoff(self._fit.chance)
        while True:
            try:
                result = once()
            except UnavailableError as error:
                seconds = backoff.failed(error.retry_after)
                if backoff.attempt % TOLD_AGAIN == 1:
                    detail = f"cannot {doing}: {error}"
                    fit.tell(Trouble(fit.source, self._lane, detail, down=True))
                fit.tell(Waiting(fit.source, self._lane, str(error), seconds, backoff.attempt))
                if fit.clock.wait(fit.stop, seconds):
                    return None
                continue
            if backoff.attempt:
                fit.tell(Mended(fit.source, self._lane, f"can {doing} again", down=True))
            return result

    # --- dead letters ----------------------------------------------------------------------

    def _keep_dead(self, parcel: Parcel, receipt: Receipt) -> bool:
        if self._until_done("keep dead letters", lambda: self._kept(parcel, receipt)) is None:
            return False
        for reason in dict.fromkeys(refusal.reason for refusal in receipt.refusals):
            of_reason = [each for each in receipt.refusals if each.reason == reason]
            example = of_reason[0].detail
            fit = self._fit
            fit.tell(Refused(fit.source, self._lane, reason, len(of_reason), example))
        return True

    def _kept(self, parcel: Parcel, receipt: Receipt) -> bool:
        letters = [*self._refused(parcel, receipt)]
        if self._keeps_defects:
            letters += [
                self._letter(parcel, defect) for block in parcel.blocks for defect in block.defects
            ]
        if letters:
            self._fit.dead_letters.add(letters)
        return True

    def _refused(self, parcel: Parcel, receipt: Receipt) -> list[Letter]:
        if not receipt.refusals:
            return []
        places = self._places(parcel, {refusal.offset for refusal in receipt.refusals})
        letters = []
        for refusal in receipt.refusals:
            end, record = places.get(refusal.offset, (refusal.offset, None))
            # A log that is gone by now, in the middle of a delivery: what was sent is left.
            lost = record is None and refusal.document
            letters.append(
                Letter(
                    at=rfc3339(self._fit.clock.now()),
                    sink=self._lane,
                    reason=refusal.reason,
                    detail=refusal.detail,
                    source=self._fit.source,
                    path=parcel.segment.path,
                    segment=parcel.segment.id,
                    span=(refusal.offset, end),
                    record=None if record is None else asdict(record),
                    document=msgspec.json.decode(refusal.document) if lost else None,
                    **self._raw(parcel, refusal.offset, end),
                )
            )
        return letters

    def _places(self, parcel: Parcel, offsets: Container[int]) -> dict[int, Placed]:
        """Find the records that begin at these offsets, and where each ends."""
        blocks: Iterable[Block] = parcel.blocks
        if parcel.package is not None:
            end = parcel.progress.offset
            blocks = self._fit.feed.again(parcel.segment, parcel.start, end, parcel.sessions)
        return {
            start: (end, record)
            for block in blocks
            for start, end, record in zip(block.starts, block.ends, block.records, strict=True)
            if start in offsets
        }

    def _letter(self, parcel: Parcel, defect: Defect) -> Letter:
        return Letter(
            at=rfc3339(self._fit.clock.now()),
            sink="",
            reason=defect.reason.value,
            detail=defect.detail,
            source=self._fit.source,
            path=parcel.segment.path,
            segment=parcel.segment.id,
            span=defect.span,
            **self._raw(parcel, *defect.span),
        )

    def _raw(self, parcel: Parcel, start: int, end: int) -> dict[str, Any]:
        """Read a range of the log again; the catalogue may have lost the file meanwhile."""
        return letter_bytes(self._fit.feed.catalog.read(parcel.segment, start, end - start))
