"""The decoder: bytes of one segment in, blocks of records and defects out.

Theory of operation. The decoder holds the bytes after the last finished item. Whole blocks go
through the current format's `fast`; whatever that does not take goes item by item through the
careful loop `_step`, which classifies the bytes at the current place as framing, as a record
(its end found by the format, unless a new start proves that it was cut), or as foreign. Every
decision depends only on the bytes of the segment, never on how they were cut into calls. That, and
`fast` being all or nothing, is what makes the laws in tests/decode/test_laws.py hold.

The format is found again at every record start, so a file may change its format anywhere.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Final

from shipper.decode import base
from shipper.decode.base import BROKEN, LOOKAHEAD, MORE, Context, Data, Format, Options
from shipper.decode.seek import MORE_LINES, NONE, Seeker
from shipper.errors import MalformedError
from shipper.model import EXCERPT_BYTES, Block, Defect, Reason, Span

# Two blocks with their records fit the second-level cache; 1 MiB blocks cost 25-40 % more.
BLOCK_BYTES: Final = 128 * 1024
# Below this, halving on gains less than the careful path costs: about ten records.
SMALL_BYTES: Final = 4 * 1024

# What data can make a format raise although it should not. One record that nobody foresaw must not
# stop the log for ever: it becomes a defect, which the tests of the laws do not let pass.
UNFORESEEN: Final = (ValueError, LookupError, ArithmeticError, RecursionError)
NOT_FORESEEN: Final = "not foreseen, please report it"

# Headers, footers and separators of all formats, blanks, and the NUL padding that direct-I/O
# writers leave (formats.md 1.1, 2.1, 2.6, 3.2, 3.3, 4.6; `null` ends audit_log_read()).
_FRAMING: Final = re.compile(
    rb"""    [\s\0\[,]++
         |   \xef\xbb\xbf
         |   <\?xml\ version="1\.0"\ encoding="(?:UTF|utf)-8"\?>
         |   </?AUDIT>
         |   \]\}?+
         |   \{\s{0,9}"records"\s{0,9}:\s{0,9}\[
         |   null(?=\s)
         """,
    re.VERBOSE,
)


class Decoder:
    """Decode one segment: `feed` its bytes in any pieces, then `finish`.

    Never raises on any input. Holds at most `record_bytes_max` bytes plus one piece, and for a
    moment a copy of as much.
    `resume` is the offset at which a new decoder may go on as if it had read everything before.
    """

    def __init__(
        self, formats: Sequence[type[Format]], *, start: int = 0, options: Options | None = None
    ) -> None:
        """Read from offset `start` of a segment, choosing among `formats` in their order."""
        self._options = options or Options()
        self._context = Context(self._options)
        self._formats = [format_(self._context) for format_ in formats]
        starts = [re.compile(format_.start) for format_ in formats]
        self._starts = list(zip(self._formats, starts, strict=True))
        self._seeker = Seeker(formats)
        self._interrupts = {f: re.compile(f.interrupted_by) for f in self._formats}
        self._format = self._formats[0]
        self._data: Data = b""
        self._at = 0  # index in _data of the first byte that belongs to no item yet
        self._base = start  # offset of _data[0] in the segment
        self._reach = LOOKAHEAD  # how far the record at _at is looked at; doubles
        self._sought = 0  # index up to which _data was searched for the start of the next item
        self._lined = 0  # index of the first line behind framed ones that are no records
        self._slow_until = 0  # index up to which `fast` has refused
        self._endless = False  # no more record ends in what is held, says `cut`
        # Twice, so that a block and what was left of the one before go through at once.
        self._window_max = min(2 * BLOCK_BYTES, self._options.record_bytes_max)
        self._window = self._window_max  # how many bytes `fast` is offered

    @property
    def resume(self) -> int:
        """Offset of the first byte that belongs to no finished item; only ever grows."""
        return self._base + self._at

    def feed(self, data: bytes) -> Block:
        """Take the next bytes of the segment; give what can be said for sure."""
        block = Block(self.resume, 0, [], [], [], [])
        # In steps: `_record` copies what is held where that is beyond the limit, and holding much
        # more than the limit would make every record pay for such a copy.
        for start in range(0, len(data), BLOCK_BYTES):
            stop = min(start + BLOCK_BYTES, len(data))
            # Whole records first, most likely: `fast` takes all that is held then, without a copy.
            middle = self._format.cut(data, start, stop)
            self._take(data, start, middle, block)
            self._take(data, middle, stop, block)
        block.end = self.resume
        return block

    def finish(self) -> Block:
        """Say that the segment ends here: a cut last record becomes a Defect."""
        block = Block(self.resume, 0, [], [], [], [])
        self._drain(block, final=True)
        block.end = self.resume
        return block

    def _take(self, data: bytes, start: int, stop: int, block: Block) -> None:
        if start < stop:
            with memoryview(data)[start:stop] as piece:
                self._hold(data if len(piece) == len(data) else piece)
            self._drain(block, final=False)

    def _hold(self, data: bytes | memoryview) -> None:
        """Append to what is held, and let go of what belongs to finished items."""
        left = len(self._data) - self._at
        if left < BLOCK_BYTES:
            with memoryview(self._data)[self._at :] as rest:
                self._data = b"".join((rest, data)) if left else bytes(data)
        else:
            # A large record grows in place. To join it anew with each piece would copy it a
            # hundred times, and leave holes of its size in the heap.
            if isinstance(self._data, bytearray):
                del self._data[: self._at]
            else:
                self._data = bytearray(memoryview(self._data)[self._at :])
            self._data += data
        self._base += self._at
        self._sought = max(self._sought - self._at, 0)
        self._lined = max(self._lined - self._at, 0)
        self._slow_until = max(self._slow_until - self._at, 0)
        self._endless = False
        self._at = 0

    def _drain(self, block: Block, *, final: bool) -> None:
        while self._at < len(self._data) and (
            self._framing(final=final) or self._fast(block) or self._step(block, final=final)
        ):
            pass

    def _framing(self, *, final: bool) -> bool:
        match = _FRAMING.match(self._data, self._at)
        end = match.end() if match else self._at
        if not final and end == len(self._data) and self._data.endswith(b"]"):
            end -= 1  # the next byte may make it the `]}` of an Azure blob
        if end <= self._at:
            return False
        self._advance(end)
        return True

    def _fast(self, block: Block) -> bool:
        """Take a run of whole records at once, if the current format can."""
        at, data = self._at, self._data
        while at >= self._slow_until and not self._endless:
            stop = min(at + self._window, len(data))
            cut = self._format.cut(data, at, stop)
            if cut <= at:
                if stop < len(data):
                    self._slow_until = stop  # one record fills the window: careful, once
                self._endless = stop == len(data)
                return False
            whole = at == 0 and cut == len(data)
            raw = data if whole and isinstance(data, bytes) else self._copy(at, cut)
            decoded = self._format.fast(raw, self._base + at)
            if decoded is not None:
                self._window = min(self._window * 2, self._window_max)
                block.records += decoded.records
                block.starts += decoded.starts
                block.ends += decoded.ends
                self._advance(cut)
                return True
            # One odd record must not slow all of its neighbours: look for it with less.
            if self._window <= SMALL_BYTES:
                self._slow_until = cut
            self._window = min(max(self._window // 4, SMALL_BYTES), self._window_max)
        return False

    def _step(self, block: Block, *, final: bool) -> bool:
        """Take one item; False where more bytes are needed to decide."""
        format_ = self._recognise()
        if format_ is self._format:
            return self._record(block, final=final)
        if format_ is not None:
            self._format = format_  # its `fast` comes first, at the same place
            self._slow_until = 0
            self._endless = False
            self._window = self._window_max
            return True
        if not final and not self._begins_nothing():
            return False
        return self._foreign(block, final=final)

    def _begins_nothing(self) -> bool:
        """Say whether no more bytes can make a record start here."""
        at, data = self._at, self._data
        if len(data) - at >= LOOKAHEAD:
            return True
        # A foreign line in a quiet log must not hold back the records behind it.
        return data[at] not in base.STARTS_OF_SEVERAL_LINES and data.find(b"\n", at) >= 0

    def _recognise(self) -> Format | None:
        """Find the format whose record starts here; the current one is asked first."""
        for format_, start in self._starts:
            if format_ is self._format and start.match(self._data, self._at):
                return format_
        for format_, start in self._starts:
            if start.match(self._data, self._at):
                return format_
        return None

    def _record(self, block: Block, *, final: bool) -> bool:
        """Take the record that starts here, or prove that it was cut.

        The bytes are looked at in windows that double from the record's start. So what is decided
        depends on the bytes and never on how many are held, and a cut record costs no more than
        the way to where the next one starts.
        """
        at, format_ = self._at, self._format
        most, held = self._options.record_bytes_max, len(self._data) - self._at
        while True:
            size = min(self._reach, most)
            # No copy of all that is held, which grows with each piece.
            data = self._data if not at and held <= size else self._copy(at, at + size)
            last = final and held <= size
            end = format_.end(data, 0, last)
            if end == BROKEN:
                return self._foreign(block, final=final, reason=Reason.CUT)
            if end < BROKEN:
                self._defect(block, Reason.CUT, "the record has no end", at - end)
                return True
            if end == MORE and held < size and not final:
                return False
            interrupt = self._interrupts[format_].search(data, 1, end or size)
            if interrupt is not None:
                place = at + interrupt.start()
                self._defect(block, Reason.CUT, "another record starts inside", place)
            elif end > 0:
                self._whole(block, at + end)
            elif size == most <= held:
                detail = f"no end within the limit of {most} bytes"
                self._defect(block, Reason.TOO_LARGE, detail, at + most)
            elif last:
                self._defect(block, Reason.CUT, "the input ends inside the record", at + held)
            else:
                self._reach *= 2
                continue
            return True

    def _whole(self, block: Block, end: int) -> None:
        """Read `_data[_at:end]`, known to be one whole record."""
        at = self._at
        raw = self._copy(at, end)
        try:
            record = self._format.careful(raw)
        except MalformedError as error:
            self._defect(block, Reason.MALFORMED, str(error), end)
            return
        except UNFORESEEN as error:
            self._defect(block, Reason.MALFORMED, f"{NOT_FORESEEN}: {error}", end)
            return
        if not _is_utf8(raw):
            # The text shows a bad byte as \xNN, which cannot be told from SQL that says \xNN.
            kept = base64.b64encode(raw).decode()
            record.extra = {**(record.extra or {}), "raw_base64": kept}
        block.records.append(record)
        block.starts.append(self._base + at)
        block.ends.append(self._base + end)
        self._advance(end)

    def _foreign(self, block: Block, *, final: bool, reason: Reason = Reason.FOREIGN) -> bool:
        """Skip to the next record start of any format."""
        at = self._at
        limit = at + self._options.record_bytes_max
        # A view: what lies before it may be here or gone, so no look-behind may see it.
        with memoryview(self._data)[at:limit] as view:
            last = final or len(view) == limit - at
            found, lined = self._seeker.behind_frames(view, self._lined - at, final=last)
            self._lined = at + lined
            if found == NONE:
                found = self._seeker.find(view, max(1, self._sought - at, lined))
        if found == MORE_LINES:
            return False
        held = min(len(self._data), limit)
        if found > 0:
            end = at + found
            # A start earlier on the same line may only be complete with the rest of the line.
            near = min(end + LOOKAHEAD, limit)
            decided = final or held >= near or self._data.find(b"\n", end, near) >= 0
        else:
            end = held
            decided = final or held == limit
            self._sought = max(held - LOOKAHEAD, at)
        if not decided:
            return False
        detail = "begins no known record" if reason is Reason.FOREIGN else "the record has no end"
        self._defect(block, reason, detail, end)
        return True

    def _defect(self, block: Block, reason: Reason, detail: str, end: int) -> None:
        span = Span(self._base + self._at, self._base + end)
        excerpt = self._copy(self._at, min(end, self._at + EXCERPT_BYTES))
        block.defects.append(Defect(reason, detail, span, excerpt))
        self._advance(end)

    def _copy(self, start: int, end: int) -> bytes:
        with memoryview(self._data) as view:
            return bytes(view[start:end])

    def _advance(self, at: int) -> None:
        self._at = at
        self._sought = at
        self._lined = at
        self._reach = LOOKAHEAD
        self._context.item += 1


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
