"""The one table of writers, and the files they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from corpus import json_array, mariadb, others, percona, syslog, xml_flat
from corpus.event import KINDS, Event, Writer

WRITERS: Final[tuple[Writer, ...]] = (
    *percona.WRITERS,
    *xml_flat.WRITERS,
    *json_array.WRITERS,
    *mariadb.WRITERS,
    *others.WRITERS,
    *syslog.WRITERS,
)


def writer(name: str) -> Writer:
    """Find a writer by its name."""
    return next(w for w in WRITERS if w.name == name)


def pieces(layout: Writer, events: Iterable[Event], *, closed: bool = True) -> Iterator[bytes]:
    """Give a whole file piece by piece; an open one has no footer yet."""
    yield layout.header
    separator = b""
    for event in events:
        written = layout.write(event)
        if written is not None:
            yield separator + written.raw
            separator = layout.between
    if closed:
        yield layout.footer


def log(layout: Writer, events: Iterable[Event], *, closed: bool = True) -> bytes:
    """Give a whole file as bytes."""
    return b"".join(pieces(layout, events, closed=closed))


def kinds(layout: Writer) -> tuple[str, ...]:
    """Give the kinds of event that a layout has records for."""
    return tuple(kind for kind in KINDS if layout.write(Event(kind=kind)) is not None)
