"""Ship files to their end, once.

The bytes a target already holds are decoded again but not delivered: joining a `Quit` to its
`Connect` needs the sessions that were open, and decoding costs a few microseconds a record.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from msgspec import Struct

from shipper.decode import Decoder, Format, Options
from shipper.lane.identify import segment_of
from shipper.model import Block, Span
from shipper.refine.sessions import Sessions
from shipper.sink import Batch, RememberingSink
from shipper.source.file import open_log, pieces

# A row of these says nothing of its own end but the line feed: `…,,,10` may become 1045.
_ENDED_BY_LINE: Final = frozenset(("mariadb", "rds-mysql", "aurora-mysql"))


class Shipped(Struct):
    """What shipping one file came to. Updated while it goes on."""

    path: Path
    size: int = 0  # bytes of the file
    done: int = 0  # offset up to which the target holds it
    records: int = 0  # records now in the target, those of earlier runs not counted
    defects: int = 0  # ranges that could not be read, likewise
    seen: int = 0  # records decoded, whether new or not

    @property
    def left(self) -> int:
        """Bytes at the end that are not shipped: a record that is not complete yet."""
        return self.size - self.done


def ship(
    path: Path,
    sink: RememberingSink,
    formats: tuple[type[Format], ...],
    options: Options,
    tell: Callable[[Shipped], None],
) -> Shipped:
    """Ship one file to its end. `tell` hears of every batch.

    Raises UsageError where the file cannot be read; what the sink raises ends the run.
    """
    with open_log(path) as log:
        result = Shipped(path, size=path.stat().st_size)
        first = _first_item(log, Decoder(formats, options=options))
        if first is None:
            result.done = result.size
            return result
        log.seek(first.start)
        segment = segment_of(log.read(first.end - first.start))
        result.done = sink.position(segment)
        if result.done < result.size:
            log.seek(0)
            _Run(sink, segment, result, tell).ship(log, Decoder(formats, options=options))
        tell(result)
        return result


def _first_item(log: BinaryIO, decoder: Decoder) -> Span | None:
    for piece in pieces(log):
        for span, _ in decoder.feed(piece).items():
            return span
    return next((span for span, _ in decoder.finish().items()), None)


def _closed(tail: Block, *, line_ended: bool) -> Block:
    """Leave out what the end of the file may have cut: it is whole when the file is read again."""
    if tail.defects and tail.defects[-1].span.end == tail.end:
        tail.end = tail.defects.pop().span.start
    elif tail.records and not line_ended and tail.records[-1].format in _ENDED_BY_LINE:
        del tail.records[-1], tail.ends[-1]
        tail.end = tail.starts.pop()
    return tail


class _Run:
    """One pass over one file."""

    def __init__(
        self, sink: RememberingSink, segment: str, result: Shipped, tell: Callable[[Shipped], None]
    ) -> None:
        self._sink = sink
        self._segment = segment
        self._result = result
        self._tell = tell
        self._held = result.done  # what the target has from earlier runs
        self._sessions = Sessions()
        self._blocks: list[Block] = []

    def ship(self, log: BinaryIO, decoder: Decoder) -> None:
        last = b""
        for piece in pieces(log):
            last = piece[-1:]
            self._take(decoder.feed(piece))
        self._result.size = max(self._result.size, log.tell())
        self._take(_closed(decoder.finish(), line_ended=last == b"\n"))
        self._deliver()

    def _take(self, block: Block) -> None:
        self._sessions.join(block.marked.records)
        self._result.seen += len(block.records)
        if block.end <= self._held:
            return
        self._blocks.append(block.since(self._held))
        if block.end - self._blocks[0].start >= self._sink.batch_bytes:
            self._deliver()

    def _deliver(self) -> None:
        if not self._blocks:
            return
        batch = Batch(self._segment, str(self._result.path), self._blocks)
        self._result.records += self._sink.deliver(batch).new
        self._result.defects += sum(len(block.defects) for block in self._blocks)
        self._result.done = batch.upto
        self._blocks = []
        self._tell(self._result)
