"""Everything that stands between a configuration and a running daemon, found before it starts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from shipper.app.reading import decoding_of
from shipper.clock import Clock
from shipper.config import Config, name_of
from shipper.errors import ShipperError
from shipper.lane.identify import Identifier
from shipper.sink import make_sink
from shipper.sink.base import Surroundings
from shipper.source.archive import open_stream
from shipper.source.base import SourceSettings
from shipper.source.names import LogNames
from shipper.source.passwords import Passwords
from shipper.source.received import ReceivedSettings
from shipper.source.settings import FileSettings


def findings(config: Config, clock: Clock) -> Iterator[str]:
    """Give everything that is wrong, each with what to do; changes nothing anywhere."""
    yield from _state(Path(config.state))
    running = _is_locked(Path(config.state))
    for source in config.sources:
        for text in _source(source, config, clock, running=running):
            yield f"source {name_of(source)}: {text}"
    if config.http is not None and not running:
        from shipper.source.receive_check import taken  # noqa: PLC0415 as below

        for text in taken("TCP", (config.http.host, config.http.port)):
            yield f"http: {text}"
    for sink in config.sinks:
        with closing(make_sink(sink, Surroundings(clock, instance=config.instance))) as made:
            try:
                for text in made.check():
                    yield f"sink {name_of(sink)}: {text}"
            except ShipperError as error:
                yield f"sink {name_of(sink)}: {error}"


def _source(
    source: SourceSettings, config: Config, clock: Clock, *, running: bool
) -> Iterator[str]:
    if isinstance(source, FileSettings):
        yield from _files(source, config, clock)
    elif isinstance(source, ReceivedSettings):
        from shipper.source.receive_check import obstacles  # noqa: PLC0415 TLS is slow to load

        yield from obstacles(source, running=running)


def _is_locked(directory: Path) -> bool:
    try:
        fd = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _state(directory: Path) -> Iterator[str]:
    place = directory
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        yield f"state: {place} is not a directory: remove it or name another"
    elif not os.access(place, os.W_OK | os.X_OK):
        yield f"state: {place} cannot be written by user id {os.getuid()}: change its owner"
    if _is_locked(directory):
        owner = (directory / "lock").read_text(encoding="ascii", errors="replace").strip()
        yield f"state: a daemon runs on {directory} (process {owner})"


def _files(source: FileSettings, config: Config, clock: Clock) -> Iterator[str]:
    """Open every file that would be read, and look whether it is an audit log."""
    decoding = decoding_of(source, clock.now())
    identify = Identifier(decoding.formats, decoding.options, config.instance)
    passwords, names = Passwords(source.passwords), LogNames(source.path)
    folder = Path(source.path).parent
    if not folder.is_dir():
        yield f"path: the folder {folder} does not exist"
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        yield f"path: user id {os.getuid()} cannot list {folder}: give it the server's group"
    for path in (*names.older(), names.live()):
        try:
            if Path(path).is_fifo():
                yield f"{path} is a named pipe: make it a source of `type: fifo`"
                continue
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue  # a live log may come later
        except OSError as error:
            yield f"{path} cannot be read by user id {os.getuid()}: {error.strerror}"
            continue
        try:
            with closing(open_stream(fd, path, passwords)) as stream:
                found = identify(stream, path, whole=True) if stream.read(0, 1) else None
                unknown = stream.read(0, 1) and not (found and found.first_time)
        except ShipperError as error:
            yield str(error)
            continue
        if unknown:
            yield f"{path} holds no record of a known format: is it an audit log?"
