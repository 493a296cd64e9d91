"""Everything that stands between a configuration and a running daemon, found before it starts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

from shipper.app.reading import decoding_of
from shipper.clock import Clock
from shipper.config import Config, name_of
from shipper.errors import ShipperError
from shipper.lane.identify import Identifier
from shipper.sink import make_sink
from shipper.sink.base import Surroundings
from shipper.source.archive import open_stream
from shipper.source.names import LogNames
from shipper.source.passwords import Passwords
from shipper.source.settings import FileSettings


def findings(config: Config, clock: Clock) -> Iterator[str]:
    """Give everything that is wrong, each with what to do; changes nothing anywhere."""
    yield from _state(Path(config.state))
    for source in config.sources:
        name = name_of(source)
        if isinstance(source, FileSettings):
            for text in _files(source, config, clock):
                yield f"source {name}: {text}"
    for sink in config.sinks:
        with closing(make_sink(sink, Surroundings(clock, instance=config.instance))) as made:
            try:
                for text in made.check():
                    yield f"sink {name_of(sink)}: {text}"
            except ShipperError as error:
                yield f"sink {name_of(sink)}: {error}"


def _state(directory: Path) -> Iterator[str]:
    place = directory
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        yield f"state: {place} is not a directory: remove it or name another"
    elif not os.access(place, os.W_OK | os.X_OK):
        yield f"state: {place} cannot be written by user id {os.getuid()}: change its owner"
    lock = directory / "lock"
    with suppress(OSError):
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            yield f"state: a daemon runs on {directory} (process {lock.read_text().strip()})"
        finally:
            os.close(fd)


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
