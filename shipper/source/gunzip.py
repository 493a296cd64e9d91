"""Plain bytes out of gzip, one member after the other.

A member cut short is one that is still being written: what can be inflated is given, and the rest
when it is there. Damage is found late by nature (the checksum stands at a member's end), so an
error says two offsets: how far bytes could be read, and how far a checksum vouches for them.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from isal import isal_zlib

from shipper.errors import DamagedError
from shipper.source.stream import Stream

MAGIC: Final = b"\x1f\x8b\x08"  # RFC 1952; 8 is deflate, the only method there is
_MEMBER: Final = zlib.MAX_WBITS | 16  # with gzip's header and trailer, both checked

# Compressed bytes a step: enough for one call to fill a decoder's block at a log's usual 1:10.
STEP_BYTES: Final = 32 * 1024
# A step while looking for the exact place of damage: deflate expands at most 1032-fold, so this
# takes at most 4 MiB of memory.
_SEARCH_BYTES: Final = 4 * 1024
# Starts of members to go back to. Writers that flush by closing members make thousands; with half
# of them forgotten whenever the list is full, going back costs at most twice the way.
_STARTS_MAX: Final = 1024
# Bytes a step on the way to an offset further on.
_SKIP_BYTES: Final = 1024 * 1024
# Places that are kept for readers at different offsets, as lanes are: some 300 KiB each.
_PLACES_MAX: Final = 4
# A reader that steps over less than this, as after a defect, takes the nearest place along.
_NEAR_BYTES: Final = 4 * 1024 * 1024

_IsalError: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]  # a wrong stub


class _Start(NamedTuple):
    """Where a member begins."""

    raw: int
    plain: int


class Gunzip:
    """The plain bytes of a gzip stream inside another stream. Threads may share it."""

    def __init__(self, inner: Stream, path: str, *, sealed: bool = False) -> None:
        """Read compressed bytes from `inner`; `path` is for messages.

        `sealed`: `inner` proves its own end, so a whole member alone does not prove ours.
        """
        self._inner = inner
        self._path = path
        self._sealed = sealed
        self._lock = threading.Lock()
        self._starts = [_Start(0, 0)]
        self._places: list[_Place] = []  # the one used last at the end
        self._whole = False

    def read(self, offset: int, size: int) -> bytes:
        """Inflate on to `offset`, or again from the member before it, and give what is there."""
        if size <= 0:
            return b""
        with self._lock:
            self._whole = False
            place = self._place_for(offset)
            data = place.read(offset, size)
            self._whole = place.whole
            return data

    def _place_for(self, offset: int) -> _Place:
        before = [place for place in self._places if place.plain <= offset]
        nearest = max(before, key=lambda place: place.plain, default=None)
        place = next((place for place in self._places if place.has(offset)), nearest)
        if place is None or offset - place.plain > _NEAR_BYTES:
            start = next(start for start in reversed(self._starts) if start.plain <= offset)
            place = _Place(self._inner, self._path, start, self._remember)
            del self._places[: -_PLACES_MAX + 1]
        else:
            self._places.remove(place)
        self._places.append(place)
        return place

    def _remember(self, start: _Start) -> None:
        if start.plain <= self._starts[-1].plain:
            return
        if len(self._starts) >= _STARTS_MAX:
            del self._starts[1::2]
        self._starts.append(start)

    @property
    def ended(self) -> bool:
        """Whether all that is there are whole members, and the file around them says so too."""
        return self._whole and (self._inner.ended or not self._sealed)

    def close(self) -> None:
        """Close what it reads from."""
        self._inner.close()


class _Place:
    """One way through the members, forward only."""

    def __init__(
        self, inner: Stream, path: str, start: _Start, remember: Callable[[_Start], None]
    ) -> None:
        """Begin where a member begins; `remember` hears where others do."""
        self._inner = inner
        self._path = path
        self._remember = remember
        self._raw, self.plain = start
        self._input = b""  # read, not inflated yet
        self._member: Any = None  # None: between two members
        self._member_start = start
        self._drained = False  # all there is was inflated
        self._rest = b""  # what can be read before the damage
        self._damage: DamagedError | None = None
        self._last = b""  # what was given last, for a reader that steps back a little

    def has(self, offset: int) -> bool:
        """Whether a read from there need not inflate anything twice, nor for nothing."""
        return self.plain - len(self._last) <= offset <= self.plain

    @property
    def whole(self) -> bool:
        """Whether all that is there was inflated, and a member ends there."""
        return self._drained and self._member is None and self._raw > 0

    def read(self, offset: int, size: int) -> bytes:
        """Give bytes from `offset`, which is not before what was given last."""
        back = self.plain - offset
        if back > 0:
            at = len(self._last) - back
            return self._last[at : at + size]
        while self.plain < offset:
            self._last = self._inflate(min(offset - self.plain, _SKIP_BYTES))
            if not self._last:
                return b""
        data = self._inflate(size)
        self._last = data or self._last
        return data

    def _inflate(self, size: int) -> bytes:
        """Give 1 to `size` bytes from where we are; b"" where there are none (yet)."""
        data = b""
        while not data and self._damage is None and (self._member or self._begin()):
            if not self._input:
                self._fill()
            self._drained = not self._input
            try:
                data = self._member.decompress(self._input, size)
            except _IsalError as error:
                self._salvage(str(error))
                break
            self._input = self._member.unconsumed_tail
            if self._member.eof:
                self._input = self._member.unused_data
                self._member = None
            elif self._drained:
                break
        if self._damage is not None:
            data, self._rest = self._rest[:size], self._rest[size:]
            if not data:
                raise self._damage
        self.plain += len(data)
        return data

    def _fill(self) -> None:
        more = self._inner.read(self._raw, STEP_BYTES)
        self._raw += len(more)
        self._input += more

    def _begin(self) -> bool:
        """Begin a member; False where there is none (yet). Zeros between members are padding."""
        while True:
            if self._raw > len(self._input):  # behind a member
                self._input = self._input.lstrip(b"\0")
            raw = self._raw
            if len(self._input) < len(MAGIC):
                self._fill()
            if self._raw == raw:
                break
        if not self._input.startswith(MAGIC):
            self._drained = not self._input
            if not MAGIC.startswith(self._input):
                place = self._raw - len(self._input)
                self._damage = self._damaged(f"no gzip at byte {place} of the file", self.plain)
            return False
        self._member_start = _Start(self._raw - len(self._input), self.plain)
        self._remember(self._member_start)
        self._member = isal_zlib.decompressobj(_MEMBER)
        return True

    def _salvage(self, reason: str) -> None:
        """Find what can be read before the damage: the fast library gives up earlier."""
        start = self._member_start
        self._rest = _before_damage(self._inner, start.raw, self.plain - start.plain)
        good = self.plain + len(self._rest)
        self._damage = self._damaged(f"damaged gzip ({reason})", good, start.plain)

    def _damaged(self, what: str, good: int, verified: int | None = None) -> DamagedError:
        verified = good if verified is None else verified
        return DamagedError(
            f"{self._path}: {what}: {good} plain bytes could be read, a checksum proves "
            f"{verified} of them. Restore the file from a copy",
            good=good,
            verified=verified,
        )


def _before_damage(inner: Stream, raw: int, skip: int) -> bytes:
    """Give the plain bytes of the member at `raw` before its first wrong byte, without `skip`."""
    member = zlib.decompressobj(_MEMBER)
    kept = bytearray()
    try:
        while data := inner.read(raw, _SEARCH_BYTES):
            before = member.copy()
            try:
                plain = member.decompress(data)
            except zlib.error:
                member = before
                for at in range(len(data)):
                    plain = member.decompress(data[at : at + 1])
                    kept += plain[skip:]
                    skip = max(skip - len(plain), 0)
                break
            kept += plain[skip:]
            skip = max(skip - len(plain), 0)
            raw += len(data)
    except zlib.error:
        pass
    return bytes(kept)
