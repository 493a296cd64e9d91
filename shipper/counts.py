"""What the audit log said, counted: the numbers behind the `mysql_audit_*` metrics.

The counting sink fills them, a lane keeps them with its cursor, `/metrics` shows them. Rule for
editing: nothing of ours is imported here but the vocabulary and the table of error numbers, and
every dict has a limit: its keys come from closed lists, or are capped by the sink.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from shipper.codes import explain, lookup
from shipper.model import CHANGE_USER, CONNECT, KINDS, Reason

OTHER: Final = "other"
# A label value that stands for everything that found no room, for a trusted proxy, for no user.
OTHER_VALUES: Final = "__other__"
PROXY: Final = "__proxy__"
NONE: Final = "__none__"

EVENTS: Final = (CONNECT, CHANGE_USER)
# Error numbers of refused logins: each one a server can give for it (formats.md 6), so that its
# series is there before the first. MariaDB's own are under the names that it gives them.
LOGIN_ERRORS: Final = (
    *(1040, 1043, 1044, 1045, 1049, 1129, 1130, 1156, 1158, 1159, 1203, 1226, 1251, 1275),
    *(1524, 1698, 1820, 1862, 1873, 3118, 3159, 3955, 4150, 4151),
)
# Error numbers of statements that an operator or a hunter looks at: syntax and names that do not
# exist (a scanner's traces), rights, duplicates, locks, limits of time and memory.
QUERY_ERRORS: Final[dict[int, str]] = {
    status: explain(status, "percona-json", login=False).symbol
    for status in (
        *(1022, 1044, 1045, 1046, 1048, 1049, 1050, 1051, 1054, 1062, 1064, 1105),
        *(1114, 1142, 1143, 1146, 1205, 1213, 1227, 1290, 1305, 1317, 1364, 1370),
        *(1396, 1406, 1451, 1452, 3024),
    )
}
# The statements that matter for load or security, of the servers' some 140 (`Com_*`).
COMMAND_CLASSES: Final = frozenset(
    (
        *("select", "insert", "update", "delete", "replace", "insert_select", "replace_select"),
        *("update_multi", "delete_multi", "load", "truncate", "call_procedure", "set_option"),
        *("begin", "commit", "rollback", "change_db", "create_table", "alter_table", "drop_table"),
        *("create_index", "drop_index", "create_db", "drop_db", "create_user", "alter_user"),
        *("drop_user", "grant", "revoke", "set_password", "create_view", "drop_view"),
        *("create_procedure", "create_trigger", "show_databases", "show_tables", "show_variables"),
        *("show_grants", "kill", "install_plugin", "uninstall_plugin"),
    )
)


def login_error(status: int, format_: str) -> tuple[str, str]:
    """Give the labels error_code and error of a refused login, from a closed list."""
    if status not in LOGIN_ERRORS:
        return OTHER, OTHER
    symbol = lookup(status, format_).symbol
    # The other family's number: the same digits with another meaning.
    return (str(status), symbol) if symbol == _LOGIN_SYMBOLS[status] else (OTHER, OTHER)


_LOGIN_SYMBOLS: Final = {
    status: lookup(status, "percona-json").symbol or lookup(status, "mariadb").symbol
    for status in LOGIN_ERRORS
}


def login_errors() -> list[tuple[str, str]]:
    """Give every pair of labels that `login_error` can give."""
    return [*((str(status), symbol) for status, symbol in _LOGIN_SYMBOLS.items()), (OTHER, OTHER)]


CAPPED: Final = (
    "mysql_audit_connect_failures_by_account_total",
    "mysql_audit_connect_failures_by_source_total",
)
# Why a value has no series of its own.
UNTRACKED: Final = ("max_series", "too_long", "invalid_utf8", "reserved")


class Tally(Struct, array_like=True):
    """One capped series: how many, and when last (seconds since 1970, the clock's time)."""

    count: int
    touched: int


class AuditCounts(Struct):
    """The counts of one source; those with a closed list of keys begin with a 0 for each."""

    connects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENTS, 0))
    # by event, error_code and error
    connect_failures: dict[tuple[str, str, str], int] = field(
        default_factory=lambda: {(event, *error): 0 for event in EVENTS for error in login_errors()}
    )
    probes: int = 0
    by_source: dict[str, Tally] = {}
    by_account: dict[str, Tally] = {}
    disconnects: int = 0
    queries: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((*sorted(COMMAND_CLASSES), OTHER), 0)
    )
    query_failures: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((*sorted(COMMAND_CLASSES), OTHER), 0)
    )
    # error_code: its symbol is in QUERY_ERRORS
    query_errors: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys((*map(str, QUERY_ERRORS), OTHER), 0)
    )
    stops: int = 0
    starts: int = 0
    logging: int | None = None  # 1, 0, or not known yet
    newest: float | None = None  # event time of the newest record
    records: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    defects: dict[str, int] = field(default_factory=lambda: dict.fromkeys(map(str, Reason), 0))
    # by metric and reason
    untracked: dict[tuple[str, str], int] = field(
        default_factory=lambda: {(metric, reason): 0 for metric in CAPPED for reason in UNTRACKED}
    )
