"""Ship files to their end, once.

The bytes a target already holds are decoded again but not delivered: joining a `Quit` to its
`Connect` needs the sessions that were open, and decoding costs a few microseconds a record.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from shipper.decode import Decoder, Format, Options
from shipper.errors import ArchiveError, DamagedError, UsageError
from shipper.lane.another import KnowsPaths, inside, refuse_other, refuse_shorter
from shipper.lane.identify import segment_of
from shipper.lane.tail import closed
from shipper.model import EXCERPT_BYTES, Block, Defect, Span
from shipper.refine.sessions import Sessions
from shipper.sink import Batch, RememberingSink
from shipper.source.file import Log, open_log

# Headers, footers and separators behind the last record of a log that is shipped; a tail without
# records that is longer is looked at with the rest.
FRAMING_BYTES_MAX: Final = 4096


class Shipped(Struct):
    """What shipping one file came to. Updated while it goes on."""

    path: Path
    size: int = 0  # plain bytes; 0 while an archive is read
    done: int = 0  # offset up to which the target holds it: the end of a record or defect
    end: int = 0  # offset up to which it is understood, framing behind the last record included
    records: int = 0  # records now in the target, those of earlier runs not counted
    defects: int = 0  # ranges that could not be read, likewise
    seen: int = 0  # records decoded, whether new or not
    cut_short: bool = False  # an archive that ends in its middle
    damage: str = ""  # what is wrong with an archive; all before it is shipped

    @property
    def left(self) -> int:
        """Bytes at the end that wait: a record that is not complete yet."""
        return self.size - self.end


class _Head(NamedTuple):
    """The beginning of a log."""

    first: Span | None  # of its first item that is complete
    size: int  # bytes that were read for it
    end: int  # offset up to which they are understood


class OneShot:
    """Ships files, one after the other."""

    def __init__(
        self,
        sink: RememberingSink,
        formats: tuple[type[Format], ...],
        options: Options,
        *,
        instance: str = "",
        final: bool = False,
    ) -> None:
        """`instance`: the server, as in a configuration. `final`: no file will be written to."""
        self._sink = sink
        self._formats = formats
        self._options = options
        self._instance = instance
        self._final = final
        self._paths: dict[str, str] = {}  # where segments were found by this run

    def ship(self, path: Path, tell: Callable[[Shipped], None]) -> Shipped:
        """Ship one file to its end. `tell` hears of every batch.

        Raises UsageError where the file cannot be read or is not the log that its identity says,
        ArchiveError where an archive gives no record; what the sink raises ends the run.
        """
        with closing(open_log(path)) as log:
            result = Shipped(path, size=log.size)
            head = self._head(log)
            if head.first is None:
                result.size, result.end = head.size, head.end
                result.cut_short = log.cut_short
                return result
            segment = self._name(log, head.first)
            result.done = self._sink.position(segment)
            self._refuse_another(log, segment, result.done)
            if log.wrapped or not self._nothing_behind(log, result.done):
                self._pass(log, segment, result, tell)
            else:
                result.end = result.size
            tell(result)
            return result

    def _nothing_behind(self, log: Log, held: int) -> bool:
        """Say whether the target has all but a footer, without reading what it has."""
        if log.size - held > FRAMING_BYTES_MAX:
            return False
        decoder = Decoder(self._formats, start=held, options=self._options)
        return not _first(decoder.feed(log.read(held, FRAMING_BYTES_MAX))) and not _first(
            decoder.finish()
        )

    def _head(self, log: Log) -> _Head:
        """Look for the first item that is complete."""
        decoder = Decoder(self._formats, options=self._options)
        size, last = 0, b""
        for piece in log.pieces():
            size, last = size + len(piece), piece[-1:]
            block = decoder.feed(piece)
            if found := _first(block):
                return _Head(found, size, block.end)
        tail = decoder.finish()
        if not (self._final or log.whole):
            tail = closed(tail, line_ended=last == b"\n")
        return _Head(_first(tail), size, tail.end)

    def _name(self, log: Log, first: Span) -> str:
        item = b""
        while len(item) < first.end - first.start:
            at = first.start + len(item)
            item += log.read(at, first.end - at)
        return segment_of(item, self._instance)

    def _refuse_another(self, log: Log, segment: str, held: int) -> None:
        if not log.wrapped:
            refuse_shorter(log, log.size, held)
        path = self._paths.get(segment)
        if path is None and isinstance(self._sink, KnowsPaths):
            path = self._sink.path_of(segment)
        self._paths[segment] = str(log.path.absolute())
        if not held or not path or not Path(path).is_file() or log.path.samefile(path):
            return
        try:
            opened = open_log(Path(path))
        except UsageError:  # not ours to read: nothing can be seen
            return
        with suppress(ArchiveError), closing(opened) as other:
            first = self._head(other).first
            if first and self._name(other, first) == segment:
                refuse_other(log, other, held)

    def _pass(
        self, log: Log, segment: str, result: Shipped, tell: Callable[[Shipped], None]
    ) -> None:
        held = result.done
        run = _Run(self._sink, segment, result, tell)
        try:
            run.ship(log, Decoder(self._formats, options=self._options), final=self._final)
        except DamagedError as error:
            run.deliver()
            result.damage = str(error)
            return
        result.cut_short = log.cut_short
        if not log.cut_short:
            refuse_shorter(log, result.size, held)


def _first(block: Block) -> Span | None:
    return next((span for span, _ in block.items()), None)


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
        self._upto = result.done
        self._sessions = Sessions()
        self._blocks: list[Block] = []

    def ship(self, log: Log, decoder: Decoder, *, final: bool) -> None:
        size, last = 0, b""
        for piece in log.pieces():
            size, last = size + len(piece), piece[-1:]
            self._take(decoder.feed(piece), log)
        self._result.size = size
        tail = decoder.finish()
        if not (final or log.whole):
            tail = closed(tail, line_ended=last == b"\n")
        self._take(tail, log)
        self._result.end = tail.end
        self.deliver()

    def _take(self, block: Block, log: Log) -> None:
        self._sessions.join(block.marked.records)
        self._result.seen += len(block.records)
        if block.end <= self._held:
            return
        new = self._new(block, log)
        if not (new.records or new.defects):
            return
        # Framing at the end of a file may be taken back: old servers write on over their footer.
        # A position behind it would be in the middle of what they write.
        new.start, new.end = self._upto, new.items_end
        self._upto = new.end
        self._blocks.append(new)
        if block.end - self._blocks[0].start >= self._sink.batch_bytes:
            self.deliver()

    def _new(self, block: Block, log: Log) -> Block:
        """Give what is new in a block; it may begin in what the target has.

        An item that goes on where the target's end was taken for its end: a line feed is no
        change, more bytes that cannot be read are one more range, another record is none of ours.
        """
        held, new = self._held, block.since(self._held)
        for span, item in block.items():
            if span.start >= held:
                break
            if span.end <= held:
                continue
            rest = log.read(held, min(span.end - held, EXCERPT_BYTES))
            if not rest.strip(b"\r\n"):
                break
            if not isinstance(item, Defect):
                raise inside(log.path, span, held)
            new.defects.insert(0, Defect(item.reason, item.detail, Span(held, span.end), rest))
        return new

    def deliver(self) -> None:
        """Bring what was collected to the target."""
        if not self._blocks:
            return
        path = str(self._result.path.absolute())
        batch = Batch(self._segment, path, self._blocks)
        self._result.records += self._sink.deliver(batch).new
        self._result.defects += sum(len(block.defects) for block in self._blocks)
        self._result.done = batch.upto
        self._blocks = []
        self._tell(self._result)
