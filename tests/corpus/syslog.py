r"""Records inside syslog lines, as rsyslog stores them (formats.md 1.10, 2.6, 4.3).

    <14>Feb 12 07:18:30 host percona-audit: {"audit_record":{…}}\n
    <14>1 2024-02-12T07:18:30Z host mysql-server_auditing - - -  db1,app,localhost,…\n

Control characters inside a message become `#` and three octal digits; the last line feed goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from corpus import mariadb, percona
from corpus.event import Event, Writer, Written

_DIALECT = next(dialect for dialect in mariadb.DIALECTS if dialect.name == "mariadb-1.4")
_LOOKALIKE = re.compile(r"#(?=[0-7]{3})")


def _rfc3164(event: Event, ident: str) -> str:
    return f"<14>{event.time:%b} {event.time.day:2} {event.time:%H:%M:%S} {event.server} {ident}: "


def _rfc5424(event: Event, ident: str) -> str:
    return f"<14>1 {event.stamp}Z {event.server} {ident} - - - "


def _wrap(
    event: Event,
    write: Callable[[Event], Written | None],
    header: Callable[[Event, str], str],
    ident: str,
) -> Written | None:
    inner = write(event)
    if inner is None:
        return None
    message = re.sub(rb"[\x00-\x1f\x7f]", lambda m: b"#%03o" % m[0][0], inner.raw.rstrip(b"\n"))
    return Written(header(event, ident).encode() + message + b"\n", inner.meaning)


def _fit(event: Event, inner: Callable[[Event], Event]) -> Event:
    """Nothing tells an escaped control character from the same text in a statement."""
    event = inner(event)
    names = ("user", "priv_user", "host", "ip", "db", "sql", "os_login", "proxy_user", "table")
    safe: dict[str, Any] = {key: _LOOKALIKE.sub("_", getattr(event, key)) for key in names}
    return replace(event, **safe)


def _percona(name: str) -> Writer:
    return next(writer for writer in percona.WRITERS if writer.name == name)


def _wrapped(inner: Writer, header: Callable[[Event, str], str], suffix: str) -> Writer:
    return Writer(
        name=f"syslog-{suffix}-{inner.name}",
        reader=inner.reader,
        write=partial(_wrap, write=inner.write, header=header, ident="percona-audit"),
        fit=partial(_fit, inner=inner.fit),
        wrapped=True,
    )


WRITERS = (
    _wrapped(_percona("percona-json-8.0"), _rfc3164, "3164"),
    _wrapped(_percona("percona-json-8.0"), _rfc5424, "5424"),
    _wrapped(_percona("percona-old-8.0"), _rfc3164, "3164"),
    _wrapped(_percona("percona-new-8.0"), _rfc5424, "5424"),
    _wrapped(_percona("percona-csv-8.0"), _rfc5424, "5424"),
    Writer(
        name="syslog-5424-mariadb-1.4",
        reader="MariaDb",
        write=partial(
            _wrap,
            write=partial(mariadb.row, dialect=_DIALECT, syslog=True),
            header=_rfc5424,
            ident="mysql-server_auditing",
        ),
        fit=partial(_fit, inner=mariadb.fit),
        open=mariadb.OPEN,
        wrapped=True,
    ),
)
