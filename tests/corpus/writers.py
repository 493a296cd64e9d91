"""The one table of writers, and the files they make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from corpus import json_array, mariadb, others, percona, syslog, xml_flat
from corpus.event import KINDS, Event, Writer, Written

_PLAIN: Final = (
    *percona.WRITERS,
    *xml_flat.WRITERS,
    *json_array.WRITERS,
    *mariadb.WRITERS,
    *others.WRITERS,
    *syslog.WRITERS,
)
# Of formats whose rows end with their line. The values stay as the server wrote them.
_CRLF: Final = (
    "mariadb-5.5",
    "rds-12",
    "percona-csv-8.0",
    "syslog-5424-percona-csv-8.0",
    "syslog-5424-mariadb-1.4",
)


def _with_crlf(layout: Writer) -> Writer:
    def write(event: Event) -> Written | None:
        written = layout.write(event)
        if written is None:
            return None
        return replace(written, raw=written.raw.removesuffix(b"\n") + b"\r\n")

    return replace(layout, name=f"{layout.name}-crlf", write=write)


def _with_blanks(layout: Writer) -> Writer:
    """As tools write these lines anew."""

    def write(event: Event) -> Written | None:
        written = layout.write(event)
        if written is None:
            return None
        return replace(written, raw=written.raw.replace(b'":{"', b'": {"', 1))

    return replace(layout, name=f"{layout.name}-blanks", write=write)


WRITERS: Final[tuple[Writer, ...]] = (
    *_PLAIN,
    *(_with_crlf(layout) for layout in _PLAIN if layout.name in _CRLF),
    *(_with_blanks(layout) for layout in _PLAIN if layout.name == "percona-json-8.0"),
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
