"""The tables of every SQL store, and the queries of the failed-login report.

`audit_data(id, info JSON)` is the article's table; `info` is `{"audit_record": {…}}` in Percona's
shape for every input format. The columns beside it are the same in all stores, only their origin
differs: SQLite is told them, MySQL and MariaDB generate them from `info`, so that nothing is sent
twice, and rows that somebody else inserted (`info` alone) are found like ours.

`failed_at` is the time of a failed login and NULL for every other record. Its index holds what the
failed-login query reads, whatever else is in the table.

Generic types only: SQLAlchemy's dialects are large, and a store loads the one that it needs.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    ColumnElement,
    Computed,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal,
    select,
)
from sqlalchemy.sql import quoted_name

from shipper.model import CHANGE_USER, CONNECT, Defect

# (at, user, host, ip, status, format, name) of a failed login.
FailedLoginRow = tuple[str | None, str | None, str | None, str | None, int, str, str]

# Formats, kinds and the server's own words are shorter; those of a forged log are cut.
WORD_CHARACTERS: Final = 64
# RFC 3339 in UTC takes 20 to 30 characters.
_TIME_CHARACTERS: Final = 40
# Digests are 32 characters; the name of an instance may stand before them.
_DIGEST_CHARACTERS: Final = 255
# Makes `Text` a LONGTEXT on MySQL and MariaDB: a name in a log may be as long as the log allows.
_ANY_LENGTH: Final = 2**32 - 1

_KEY: Final = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up an INTEGER only
_WORD: Final = String(WORD_CHARACTERS)
_OFFSET: Final = BigInteger()
_PLACE: Final = quoted_name("offset", quote=True)  # MariaDB reserves it, MySQL does not

# A failed login whose time cannot be read gets '': before every other, and still in the index.
_FAILED_AT: Final = "CASE WHEN {login} AND {failed} THEN coalesce(at, '') END"


class Tables(NamedTuple):
    """The tables of one dialect."""

    metadata: MetaData
    segments: Table
    records: Table
    defects: Table


def _options() -> dict[str, Any]:
    """Give what MySQL and MariaDB need to be told, whatever the defaults of server and database."""
    chosen = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}
    return {f"{name}_{key}": chosen[key] for name in ("mysql", "mariadb") for key in chosen}


def _tables(word: String, digest: String, records: list[Column[Any]]) -> Tables:
    metadata = MetaData()
    segments = Table(
        "audit_segments",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("digest", digest, nullable=False, unique=True),  # of the segment's first item
        Column("path", Text, nullable=False),  # where it was last seen
        # Offset up to which everything is in the store.
        Column("shipped", _OFFSET, nullable=False),
        **_options(),
    )
    place = UniqueConstraint("segment", "offset", name="audit_data_place")
    table = Table("audit_data", metadata, *records, place, **_options())
    Index("audit_data_at", table.c.at)
    failed = table.c.failed_at
    Index("audit_data_failed_logins", failed, sqlite_where=failed.is_not(None))
    defects = Table(
        "audit_defects",
        metadata,
        Column("segment", Integer, primary_key=True, autoincrement=False),
        Column(_PLACE, _OFFSET, primary_key=True, autoincrement=False),
        Column(quoted_name("end", quote=True), _OFFSET, nullable=False),
        Column("reason", word, nullable=False),
        Column("detail", Text, nullable=False),
        Column("excerpt", Text, nullable=False),
        **_options(),
    )
    return Tables(metadata, segments, table, defects)


def _sqlite() -> Tables:
    failed_at = _FAILED_AT.format(
        login=f"kind IN ('{CONNECT}', '{CHANGE_USER}')", failed="status <> 0"
    )
    columns: list[Column[Any]] = [
        Column("id", _KEY, primary_key=True),
        Column("info", JSON, nullable=False),
        Column("segment", Integer, nullable=False),
        Column(_PLACE, _OFFSET, nullable=False),  # of the record's first byte in its segment
        Column("at", Text),  # RFC 3339 UTC
        Column("kind", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("format", Text, nullable=False),
        Column("status", Integer),
        Column("user", Text),
        Column("host", Text),
        Column("ip", Text),
        Column("failed_at", Text, Computed(failed_at, persisted=False)),
    ]
    return _tables(Text(), Text(), columns)


def of_info(key: str) -> str:
    """Give the SQL for the text of a field; MySQL and MariaDB of any age understand it."""
    return f"json_unquote(json_extract(info, '$.audit_record.{key}'))"


def _server() -> Tables:
    time = String(_TIME_CHARACTERS, collation="ascii_bin")
    failed_at = _FAILED_AT.format(
        login=f"{of_info('name')} IN ('Connect', 'Change user')",
        failed=f"{of_info('status')} <> '0'",
    )
    # Stored, where an index stands on it: that is then an ordinary index on every version.
    at = Computed(f"left({of_info('timestamp')}, {_TIME_CHARACTERS})", persisted=True)
    columns: list[Column[Any]] = [
        Column("id", _KEY, primary_key=True),
        Column("info", JSON, nullable=False),
        # NULL in rows that somebody else inserted: the unique key lets any number of them in.
        Column("segment", Integer),
        Column(_PLACE, _OFFSET),
        Column("kind", _WORD),
        Column("name", _WORD),
        Column("format", _WORD),
        Column("at", time, at),
        Column("status", BigInteger, Computed(of_info("status"), persisted=False)),
        *(
            Column(key, Text(_ANY_LENGTH), Computed(of_info(key), persisted=False))
            for key in ("user", "host", "ip")
        ),
        Column("failed_at", time, Computed(failed_at, persisted=True)),
    ]
    return _tables(_WORD, String(_DIGEST_CHARACTERS, collation="ascii_bin"), columns)


SQLITE: Final = _sqlite()
SERVER: Final = _server()  # MySQL and MariaDB


def failed_logins(
    tables: Tables, since: str | None
) -> list[Select[str | None, str | None, str | None, str | None, int, str, str]]:
    """Select failed logins in order of time, one query after the other.

    `since` is RFC 3339 UTC, inclusive. What has no readable time comes first, whatever `since` is:
    who asks for the last day must not miss it. Two queries, because each reads the index.
    """
    c = tables.records.c
    query = select(c.at, c.user, c.host, c.ip, c.status, c.format, c.name)
    wanted: list[ColumnElement[bool]] = [c.failed_at.is_not(None)]
    if since is not None:
        wanted = [c.failed_at == "", c.failed_at >= since]
    return [query.where(each).order_by(c.failed_at, c.id) for each in wanted]


def newest(tables: Tables) -> list[Select[str | None]]:
    """Select the time of the newest record; the first query that gives one says it.

    "" of the second: there are records, and none has a readable time.
    """
    records = tables.records
    return [select(func.max(records.c.at)), select(literal("")).select_from(records).limit(1)]


def defect_row(defect: Defect, segment: int) -> tuple[object, ...]:
    """Give a row of `audit_defects`."""
    excerpt = defect.excerpt.decode("utf-8", "backslashreplace")
    start, end = defect.span
    return segment, start, end, defect.reason.value, defect.detail, excerpt
