"""What a source is followed by: a log and its siblings, or a spool that a receiver fills."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Protocol

from msgspec import Struct, structs

from shipper.app.own_files import Keeps, SpoolIdentifier, SpoolNames, Undated
from shipper.config import Config, name_of
from shipper.errors import UsageError
from shipper.lane.identify import Identifier
from shipper.lane.reader import Decoding
from shipper.source.archive import open_stream
from shipper.source.base import SourceSettings, Surroundings
from shipper.source.finder import OpenStream
from shipper.source.findings import Findings, FindingsSettings
from shipper.source.hold import Hold, NoHold
from shipper.source.names import LogNames, Names
from shipper.source.passwords import Passwords
from shipper.source.received import ReceivedSettings
from shipper.source.segment import Identify
from shipper.source.settings import FileSettings
from shipper.source.spool import Spool
from shipper.source.stream import PlainStream

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


def open_input(
    settings: SourceSettings, config: Config, decoding: Decoding, around: Surroundings
) -> Input:
    """Make what a source is followed by. Raises UnavailableError or MisconfiguredError."""
    identify = Identifier(decoding.formats, decoding.options, config.instance)
    if isinstance(settings, FileSettings):
        return _log(settings, Path(config.state), identify, around)
    if isinstance(settings, FindingsSettings):
        return _findings(settings, identify, around)
    if isinstance(settings, ReceivedSettings):
        return _received(settings, config, identify, around)
    raise UsageError(f"{name_of(settings)}: no way is known to read a source of this kind")


def _log(settings: FileSettings, state: Path, identify: Identifier, around: Surroundings) -> Input:
    name, passwords = name_of(settings), Passwords(settings.passwords)
    return Input(
        around=structs.replace(around, settle_seconds=settings.settle_seconds),
        names=LogNames(settings.path),
        identify=identify,
        opened=partial(open_stream, passwords=passwords),
        hold=Hold(state / "held" / name, settings.hold_bytes_max, name, around.tell),
        poll_seconds=settings.poll_seconds,
        start=settings.start,
        since=settings.since,
    )


def _findings(settings: FindingsSettings, identify: Identifier, around: Surroundings) -> Input:
    findings = Findings(Path(settings.directory))
    return Input(
        around=structs.replace(around, settle_seconds=0.0),  # ours: complete at once
        names=SpoolNames(findings),
        identify=Undated(identify),
        opened=PlainStream,
        hold=NoHold(),
        poll_seconds=SPOOL_POLL_SECONDS,
        spool=findings,
        filters=False,
    )


def _received(
    settings: ReceivedSettings, config: Config, identify: Identifier, around: Surroundings
) -> Input:
    from shipper.source.receive import Receiver  # noqa: PLC0415 TLS is a third of a follower

    name, clock, tell = name_of(settings), around.clock, around.tell
    spool = Spool(Path(config.state) / "spool" / name, name, settings.spool, clock=clock, tell=tell)
    try:
        receiver = Receiver(settings, spool, around)
    except Exception:
        spool.close()
        raise
    return Input(
        around=structs.replace(around, settle_seconds=0.0),
        names=SpoolNames(spool),
        identify=SpoolIdentifier(identify, config.instance),
        opened=PlainStream,
        hold=NoHold(),
        poll_seconds=SPOOL_POLL_SECONDS,
        spool=spool,
        receiver=receiver,
    )
