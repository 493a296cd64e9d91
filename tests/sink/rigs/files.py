"""Rigs of the sinks that write files."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from sink.rigs.base import Rig

from shipper.sink import Sink, Surroundings, make_sink
from shipper.sink.jsonl import Settings as JsonlSettings
from shipper.sink.sqlite import Settings as SqliteSettings


class SqliteRig(Rig):
    exactly_once = True

    def __init__(self, path: Path) -> None:
        self.path = path

    def sink(self, surroundings: Surroundings | None = None, **changes: Any) -> Sink:
        settings = SqliteSettings(path=str(self.path), **changes)
        return make_sink(settings, surroundings or Surroundings())

    def held(self) -> Counter[tuple[str, int]]:
        query = (
            'SELECT digest, "offset" FROM audit_data JOIN audit_segments'
            " ON audit_data.segment = audit_segments.id"
        )
        with closing(sqlite3.connect(self.path)) as connection:
            return Counter(connection.execute(query).fetchall())

    @contextmanager
    def broken(self) -> Iterator[None]:
        """Another program holds the file's write lock."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")


class _Jsonl(Rig):
    def __init__(self, path: Path) -> None:
        self.path = path

    def sink(self) -> Sink:
        return make_sink(JsonlSettings(path=str(self.path)))

    def held(self) -> Counter[tuple[str, int]]:
        lines = map(json.loads, self.path.read_bytes().splitlines())
        return Counter((line["segment"], line["span"][0]) for line in lines if "defect" not in line)

    @contextmanager
    def broken(self) -> Iterator[None]:
        """The disk is full half-way through a batch."""
        real = os.write

        def short(fd: int, data: memoryview) -> int:
            if len(data) < 200:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(fd, data[:200])

        with mock.patch("shipper.sink.jsonl.os.write", short):
            yield


@contextmanager
def sqlite(folder: Path) -> Iterator[SqliteRig]:
    # From the start: a connection keeps the patience that it was opened with.
    with mock.patch("shipper.sink.sqlite.BUSY_MILLISECONDS", 50):
        yield SqliteRig(folder / "audit.db")


@contextmanager
def jsonl(folder: Path) -> Iterator[Rig]:
    yield _Jsonl(folder / "audit.jsonl")
