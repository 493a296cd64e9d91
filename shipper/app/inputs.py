"""What a source is followed by: a log and its siblings, or a spool that a receiver fills."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from shipper.config import Config, name_of
from shipper.errors import UsageError
from shipper.lane.identify import Identifier, segment_of
from shipper.lane.reader import Decoding
from shipper.source.archive import open_stream
from shipper.source.base import SourceSettings, Surroundings
from shipper.source.finder import OpenStream
from shipper.source.findings import Findings, FindingsSettings
from shipper.source.hold import Hold, NoHold
from shipper.source.names import LogNames, Names
from shipper.source.passwords import Passwords
from shipper.source.received import ReceivedSettings
from shipper.source.segment import Identify, Identity
from shipper.source.settings import FileSettings
from shipper.source.spool import Spool
from shipper.source.stream import PlainStream, Stream

# How often a spool is looked at; as a log's own default.
SPOOL_POLL_SECONDS = 0.2


class Receives(Protocol):
    """What fills a spool."""

    def run(self, stop: threading.Event) -> None:
        """Receive until `stop`, or until there is no more."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...


class Keeps(Protocol):
    """Files of our own that somebody fills: a spool, a findings log."""

    @property
    def current(self) -> Path:
        """The file that is written to."""
        ...

    def segments(self) -> list[Path]:
        """Give the files, the oldest first; all but the last are complete."""
        ...

    def remove(self, segment: Path, /) -> bool:
        """Delete a complete file that all lanes are done with. Raises OSError."""
        ...

    def close(self) -> None:
        """Stop writing."""
        ...


class Input(Struct, frozen=True, kw_only=True):
    """The parts of a source that differ by its kind."""

    around: Surroundings
    names: Names
    identify: Identify
    opened: OpenStream
    hold: Hold
    poll_seconds: float
    start: str = "beginning"
    since: str | None = None
    spool: Keeps | None = None
    receiver: Receives | None = None
    filters: bool = True  # whether what sinks leave out is left out of this

    def close(self) -> None:
        """Stop receiving and write out what was received."""
        if self.receiver is not None:
            self.receiver.close()
        if self.spool is not None:
            self.spool.close()


class SpoolNames:
    """The files of a spool: the last is written to."""

    def __init__(self, spool: Keeps) -> None:
        """Ask this spool."""
        self._spool = spool

    def live(self) -> str:
        """Give the file that is written to."""
        return str(self._spool.current)

    def older(self) -> list[str]:
        """Give the complete files, the oldest first."""
        live = self._spool.current
        return [str(path) for path in self._spool.segments() if path != live]


class SpoolIdentifier:
    """Names spool files by their own names: what was received may well repeat itself."""

    def __init__(self, identify: Identifier, instance: str) -> None:
        """`identify` finds the first item and its time."""
        self._identify = identify
        self._instance = instance

    def __call__(self, stream: Stream, path: str, whole: bool) -> Identity | None:  # noqa: FBT001
        """Identify a file; None while its first item is not complete."""
        found = self._identify(stream, path, whole)
        if found is None or not isinstance(stream, PlainStream):
            return None
        # The inode too: a spool that somebody emptied counts from one again.
        inode = os.fstat(stream.fileno()).st_ino
        name = f"{Path(path).name} {inode} {found.segment}".encode()
        return found._replace(segment=segment_of(name, self._instance), first_time="")


class _Undated:
    """Names files by their content, which never repeats itself; their names order them."""

    def __init__(self, identify: Identifier) -> None:
        self._identify = identify

    def __call__(self, stream: Stream, path: str, whole: bool) -> Identity | None:  # noqa: FBT001
        """Identify a file; None while its first line is not complete."""
        found = self._identify(stream, path, whole)
        return None if found is None else found._replace(first_time="")


def open_input(
    settings: SourceSettings, config: Config, decoding: Decoding, around: Surroundings
) -> Input:
    """Make what a source is followed by. Raises UnavailableError or MisconfiguredError."""
    state = Path(config.state)
    name = name_of(settings)
    identify = Identifier(decoding.formats, decoding.options, config.instance)
    if isinstance(settings, FileSettings):
        passwords = Passwords(settings.passwords)
        limits: dict[str, Any] = {"start": settings.start, "since": settings.since}
        held = state / "held" / name
        return Input(
            around=Surroundings(name, around.clock, around.tell, settings.settle_seconds),
            names=LogNames(settings.path),
            identify=identify,
            opened=partial(open_stream, passwords=passwords),
            hold=Hold(held, settings.hold_bytes_max, name, around.tell),
            poll_seconds=settings.poll_seconds,
            **limits,
        )
    if isinstance(settings, FindingsSettings):
        findings = Findings(Path(settings.directory))
        return Input(
            around=Surroundings(name, around.clock, around.tell, 0.0),  # complete at once, as below
            names=SpoolNames(findings),
            identify=_Undated(identify),
            opened=PlainStream,
            hold=NoHold(),
            poll_seconds=SPOOL_POLL_SECONDS,
            spool=findings,
            filters=False,
        )
    if not isinstance(settings, ReceivedSettings):
        raise UsageError(f"{name}: no way is known to read a source of this kind")
    from shipper.source.receive import Receiver  # noqa: PLC0415 TLS is a third of a follower

    clock, tell = around.clock, around.tell
    spool = Spool(state / "spool" / name, name, settings.spool, clock=clock, tell=tell)
    try:
        receiver = Receiver(settings, spool, around)
    except Exception:
        spool.close()
        raise
    return Input(
        around=Surroundings(name, clock, tell, 0.0),  # a complete spool file is complete at once
        names=SpoolNames(spool),
        identify=SpoolIdentifier(identify, config.instance),
        opened=PlainStream,
        hold=NoHold(),
        poll_seconds=SPOOL_POLL_SECONDS,
        spool=spool,
        receiver=receiver,
    )
