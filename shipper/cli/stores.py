"""Stores and targets that are named on the command line: `sqlite:PATH`, `mysql://…`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from shipper.errors import UsageError
from shipper.sink import RememberingSink, open_sink
from shipper.sink.sql import Settings, SqlStore
from shipper.sink.sql_reader import SqlReader
from shipper.sink.sql_tables import FailedLoginRow
from shipper.sink.sql_url import FORM, is_url
from shipper.sink.sqlite_reader import SqliteReader

# Where the password of a URL comes from: a command line is everybody's to read.
PASSWORD: Final = "AUDIT_SHIPPER_STORE_PASSWORD"  # noqa: S105 a name
# Settings that such a URL may carry in its query.
_EXTRA: Final = ("tls", "ca_file")


class Store(Protocol):
    """A store that reports can be made from."""

    def failed_logins(self, since: str | None = None) -> Iterator[FailedLoginRow]:
        """Give the rows of the failed-login report in order of time, those without one first."""
        ...

    def newest(self) -> str | None:
        """Give the time of the newest record, RFC 3339 UTC; "" unknown, None: no records."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


def open_store(store: str) -> Store:
    """Open a store that is there already; changes nothing in it.

    Raises UsageError where it is not there, MisconfiguredError or UnavailableError where it is none
    or cannot be read.
    """
    if is_url(store):
        return SqlReader(_prepared(store, setup="require"))
    kind, _, path = store.partition(":")
    if kind != "sqlite" or not path:
        raise UsageError(f"cannot report from {store!r}: write sqlite:PATH or {FORM}")
    return SqliteReader(path)


def open_target(target: str) -> RememberingSink:
    """Open what `ship --to` names, ready for delivery; makes what is missing."""
    return _prepared(target, setup="auto") if is_url(target) else open_sink(target, FORM)


def secret(name: str) -> str:
    """Read a password from the environment: `NAME`, or the file that `NAME_FILE` names."""
    path = os.environ.get(f"{name}_FILE")
    if path is None:
        return os.environ.get(name, "")
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{name}_FILE: cannot read {path}: {reason}") from error


def _prepared(url: str, *, setup: str) -> SqlStore:
    store = SqlStore(_settings(url, setup))
    store.prepare()
    return store


def _settings(text: str, setup: str) -> Settings:
    """Make settings of a URL. No message repeats it: somebody may have put a password there."""
    values: dict[str, Any] = {"setup": setup, "password": secret(PASSWORD)}
    try:
        url = make_url(text)
        values |= {key: url.query[key] for key in _EXTRA if key in url.query}
        plain = url.difference_update_query(_EXTRA).render_as_string(hide_password=False)
        settings = msgspec.convert({"type": "sql", "url": plain, **values}, Settings)
    except (ArgumentError, ValueError) as error:
        raise UsageError(f"the URL of the store is not right: write {FORM}") from error
    problems: Callable[[], Iterator[str]] = settings.problems
    for problem in problems():
        raise UsageError(
            f"the store's {problem}. Its password comes from ${PASSWORD}, or a file"
            f" that ${PASSWORD}_FILE names"
        )
    return settings
