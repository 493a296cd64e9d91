"""Which rights the account lacks, asked in ways that change nothing.

`SHOW GRANTS` would have to be understood: roles, patterns, revoked parts, and every server writes
it differently. A server looks at rights before anything else, so each right is tried by a statement
that only explains, or that cannot be carried out whatever the tables are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DBAPIError

from shipper.sink.sql_errors import DENIED, RIGHTS, RIGHTS_TO_MAKE, number

if TYPE_CHECKING:
    from sqlalchemy import Connection

_WRITING: Final = {
    "INSERT": "EXPLAIN INSERT INTO audit_data (info) VALUES ('{}')",
    "UPDATE": "EXPLAIN UPDATE audit_segments SET shipped = 0 WHERE id = 0",
}
_DELETING: Final = {"DELETE": "EXPLAIN DELETE FROM audit_data WHERE id = 0"}
_MAKING: Final = {
    "CREATE": "CREATE TABLE audit_data (id INT, id INT)",  # two columns of one name
    "INDEX": "CREATE INDEX audit_data_at ON audit_data (no_such_column)",
}


def lacking(connection: Connection, absent: Sequence[str], *, delete: bool) -> Iterator[str]:
    """Say which rights are missing, each with what to do.

    `absent`: tables that the shipper is to make. `delete`: it is to delete what has expired.
    """
    make = [right for right in _MAKING if absent and _denied(connection, _MAKING[right])]
    if make:
        tables = ", ".join(absent)
        yield f"{' and '.join(make)} denied, and {tables} missing: {RIGHTS_TO_MAKE}"
    wanted = _WRITING | (_DELETING if delete else {})
    denied = [right for right in wanted if _denied(connection, wanted[right])]
    if denied:
        yield f"{' and '.join(denied)} denied: {RIGHTS}"


def _denied(connection: Connection, statement: str) -> bool:
    try:
        connection.exec_driver_sql(statement)
    except DBAPIError as error:
        code = number(error)
        if 2000 <= code < 3000 or not code:  # the client's: the connection broke
            raise
        return code in DENIED
    return False
