"""The error numbers of audit records: what they are called and what they mean.

    lookup(3118, "percona-json") -> Code(3118, "ER_ACCOUNT_HAS_BEEN_LOCKED", "the account …", AUTH)

From formats.md 6. MySQL and MariaDB number their errors alike up to 1862 and a few after it; from
3000 on the same number means different things, so the format of the record chooses the table.
Connection records do not carry errors of statements (1064, 1146 …), so `lookup` does not know them:
to the detector a number that it does not know is news. `explain` is for records of any kind.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Category(StrEnum):
    """What a person on call does about it. Closed, because metrics use it as a label."""

    AUTH = "auth"  # credentials, or the state of the account
    AUTHZ = "authz"  # known and let in, but not allowed this
    HOST = "host"  # the client's host is not allowed, blocked or has no name
    LIMIT = "limit"  # a resource limit of the server or of the account
    NET = "net"  # handshake or network: health checks, scanners, broken links
    SERVER = "server"  # the state of the server
    OTHER = "other"


class Code(NamedTuple):
    """One error number of one server family."""

    status: int | None
    symbol: str  # the servers' own name, "" if unknown
    meaning: str  # for a person; no final stop, so that it can stand in a table
    category: Category


_AUTH, _AUTHZ, _HOST = Category.AUTH, Category.AUTHZ, Category.HOST
_LIMIT, _NET, _SERVER = Category.LIMIT, Category.NET, Category.SERVER
_OTHER = Category.OTHER


def _table(*codes: tuple[int, str, Category, str]) -> dict[int, Code]:
    return {
        status: Code(status, symbol, meaning, category)
        for status, symbol, category, meaning in codes
    }


COMMON: Final = _table(
    (1040, "ER_CON_COUNT_ERROR", _LIMIT, "the server has reached max_connections"),
    (1041, "ER_OUT_OF_RESOURCES", _LIMIT, "the server is out of memory"),
    (1042, "ER_BAD_HOST_ERROR", _HOST, "the client's address has no host name"),
    (1043, "ER_HANDSHAKE_ERROR", _NET, "the client does not speak the MySQL protocol: a scanner?"),
    (1044, "ER_DBACCESS_DENIED_ERROR", _AUTHZ, "login accepted, but no access to that database"),
    (
        1045,
        "ER_ACCESS_DENIED_ERROR",
        _AUTH,
        "unknown account or wrong password; the server does not say which",
    ),
    (1046, "ER_NO_DB_ERROR", _OTHER, "no database was selected"),
    (1047, "ER_UNKNOWN_COM_ERROR", _NET, "the client sent an unknown command"),
    (1049, "ER_BAD_DB_ERROR", _OTHER, "login accepted, but the database does not exist"),
    (1053, "ER_SERVER_SHUTDOWN", _SERVER, "the server is shutting down"),
    (1080, "ER_FORCING_CLOSE", _NET, "the server closed the connection by force"),
    (1129, "ER_HOST_IS_BLOCKED", _HOST, "host blocked after too many connection errors"),
    (1130, "ER_HOST_NOT_PRIVILEGED", _HOST, "no account may connect from this host"),
    (1131, "ER_PASSWORD_ANONYMOUS_USER", _AUTHZ, "an anonymous user may not change passwords"),
    (1132, "ER_PASSWORD_NOT_ALLOWED", _AUTHZ, "not allowed to change passwords of others"),
    (1133, "ER_PASSWORD_NO_MATCH", _AUTHZ, "password change for an account that does not exist"),
    (1135, "ER_CANT_CREATE_THREAD", _LIMIT, "the server cannot start another thread"),
    (1142, "ER_TABLEACCESS_DENIED_ERROR", _AUTHZ, "no privilege for this command on the table"),
    (1143, "ER_COLUMNACCESS_DENIED_ERROR", _AUTHZ, "no privilege for this command on the column"),
    (1152, "ER_ABORTING_CONNECTION", _NET, "the connection was aborted"),
    (1153, "ER_NET_PACKET_TOO_LARGE", _NET, "the client sent more than max_allowed_packet"),
    (
        1156,
        "ER_NET_PACKETS_OUT_OF_ORDER",
        _NET,
        "packets out of order: a port probe, or a bad link",
    ),
    (1158, "ER_NET_READ_ERROR", _NET, "the client hung up during the handshake: a health check?"),
    (1159, "ER_NET_READ_INTERRUPTED", _NET, "the client did not answer in time"),
    (1160, "ER_NET_ERROR_ON_WRITE", _NET, "the server could not write to the client"),
    (1161, "ER_NET_WRITE_INTERRUPTED", _NET, "the client did not take the server's data in time"),
    (1184, "ER_NEW_ABORTING_CONNECTION", _NET, "the connection was aborted"),
    (1203, "ER_TOO_MANY_USER_CONNECTIONS", _LIMIT, "the user has reached max_user_connections"),
    (1226, "ER_USER_LIMIT_REACHED", _LIMIT, "the account has used up a resource limit of its own"),
    (1227, "ER_SPECIFIC_ACCESS_DENIED_ERROR", _AUTHZ, "a special privilege is missing"),
    (1251, "ER_NOT_SUPPORTED_AUTH_MODE", _AUTH, "the client is too old for the login method"),
    (1275, "ER_SERVER_IS_IN_SECURE_AUTH_MODE", _AUTH, "the account has a password of the old kind"),
    (1370, "ER_PROCACCESS_DENIED_ERROR", _AUTHZ, "no privilege for this command on the routine"),
    (1396, "ER_CANNOT_USER", _OTHER, "a user could not be created, dropped or renamed"),
    (1449, "ER_NO_SUCH_USER", _AUTHZ, "the definer of the object does not exist"),
    (1524, "ER_PLUGIN_IS_NOT_LOADED", _AUTH, "the account's login method is not loaded"),
    (
        1698,
        "ER_ACCESS_DENIED_NO_PASSWORD_ERROR",
        _AUTH,
        "refused without a password: socket, PAM …",
    ),
    (1820, "ER_MUST_CHANGE_PASSWORD", _AUTHZ, "the password must be changed first"),
    (
        1862,
        "ER_MUST_CHANGE_PASSWORD_LOGIN",
        _AUTH,
        "the password has expired and this client cannot change it",
    ),
    (1873, "ER_ACCESS_DENIED_CHANGE_USER_ERROR", _AUTH, "refused to change to another user"),
)

MYSQL: Final = COMMON | _table(
    (3032, "ER_SERVER_OFFLINE_MODE", _SERVER, "the server is in offline mode"),
    (3118, "ER_ACCOUNT_HAS_BEEN_LOCKED", _AUTH, "the account is locked"),
    (3159, "ER_SECURE_TRANSPORT_REQUIRED", _AUTH, "the server requires TLS, the client has none"),
    (3162, "ER_USER_DOES_NOT_EXIST", _OTHER, "the user or role does not exist"),
    (3164, "ER_AUDIT_API_ABORT", _AUTHZ, "blocked by a rule of an audit plugin"),
    (3168, "ER_SERVER_ISNT_AVAILABLE", _SERVER, "the server is not available"),
    (3169, "ER_SESSION_WAS_KILLED", _SERVER, "the session was killed"),
    (3530, "ER_ROLE_NOT_GRANTED", _AUTHZ, "the role is not granted to the user"),
    (3879, "ER_DB_ACCESS_DENIED", _AUTHZ, "no access to that database"),
    (
        3955,
        "ER_USER_ACCESS_DENIED_FOR_USER_ACCOUNT_BLOCKED_BY_PASSWORD_LOCK",
        _AUTH,
        "the account is locked for some days after too many failed logins",
    ),
    (4031, "ER_CLIENT_INTERACTION_TIMEOUT", _NET, "disconnected because the client was idle"),
    (4058, "ER_AUTHENTICATION_POLICY_MISMATCH", _AUTH, "login factors against the server's policy"),
    (4060, "ER_INVALID_USER_FOR_REGISTRATION", _AUTH, "wrong user for registering a login device"),
    (4061, "ER_USER_REGISTRATION_FAILED", _AUTH, "the login device could not be registered"),
)

MARIADB: Final = COMMON | _table(
    (1927, "ER_CONNECTION_KILLED", _SERVER, "the connection was killed"),
    (4150, "ER_USER_IS_BLOCKED", _AUTH, "the user is blocked after too many failed logins"),
    (4151, "ER_ACCOUNT_HAS_BEEN_LOCKED", _AUTH, "the account is locked"),
)

# Of statements, besides those above.
_STATEMENTS: Final = _table(
    (1022, "ER_DUP_KEY", _OTHER, "the key value exists already"),
    (1048, "ER_BAD_NULL_ERROR", _OTHER, "the column must not be NULL"),
    (1050, "ER_TABLE_EXISTS_ERROR", _OTHER, "the table exists already"),
    (1051, "ER_BAD_TABLE_ERROR", _OTHER, "the table to drop does not exist"),
    (1054, "ER_BAD_FIELD_ERROR", _OTHER, "the column does not exist"),
    (1062, "ER_DUP_ENTRY", _OTHER, "the value of a unique key exists already"),
    (1064, "ER_PARSE_ERROR", _OTHER, "the statement is not valid SQL"),
    (1105, "ER_UNKNOWN_ERROR", _OTHER, "an error that the server has no number for"),
    (1114, "ER_RECORD_FILE_FULL", _LIMIT, "the table, or the disk, is full"),
    (1146, "ER_NO_SUCH_TABLE", _OTHER, "the table does not exist"),
    (1205, "ER_LOCK_WAIT_TIMEOUT", _LIMIT, "waited too long for a lock"),
    (1213, "ER_LOCK_DEADLOCK", _OTHER, "a deadlock; this transaction was rolled back"),
    (
        1290,
        "ER_OPTION_PREVENTS_STATEMENT",
        _SERVER,
        "a server option forbids it: read-only?",
    ),
    (1305, "ER_SP_DOES_NOT_EXIST", _OTHER, "the function or procedure does not exist"),
    (1317, "ER_QUERY_INTERRUPTED", _SERVER, "the statement was interrupted: KILL, or a limit"),
    (1364, "ER_NO_DEFAULT_FOR_FIELD", _OTHER, "a column without a default got no value"),
    (1406, "ER_DATA_TOO_LONG", _OTHER, "the value is too long for the column"),
    (1451, "ER_ROW_IS_REFERENCED_2", _OTHER, "other rows refer to this one by a foreign key"),
    (1452, "ER_NO_REFERENCED_ROW_2", _OTHER, "the row that a foreign key refers to does not exist"),
)
_MYSQL_STATEMENTS: Final = _STATEMENTS | _table(
    (3024, "ER_QUERY_TIMEOUT", _LIMIT, "the statement took longer than max_execution_time"),
)
_MARIADB_STATEMENTS: Final = _STATEMENTS | _table(
    (1969, "ER_STATEMENT_TIMEOUT", _LIMIT, "the statement took longer than max_statement_time"),
)

# RDS and Aurora run MariaDB's plugin inside MySQL, and say so by a layout of their own. The plugin
# inside any other MySQL server writes what it writes inside MariaDB: that is taken for MariaDB.
_MARIADB_FORMATS: Final = frozenset(("mariadb",))

_UNSAID: Final = Code(None, "", "the record has no error number", _OTHER)

# A health check connects and closes: 1156 or 1158, on MariaDB sometimes a second record with 1159
# (formats.md 1.7, 4.1, 8b). Not 1043: that client sent something, and it was not MySQL. It is a
# scanner or a mistake, and somebody should see it.
_PROBE_STATUSES: Final = frozenset((1156, 1158, 1159))


def lookup(status: int | None, format_: str) -> Code:
    """Explain an error number; `format_` is `AuditRecord.format` of its record. Never fails."""
    if status is None:
        return _UNSAID
    table = MARIADB if format_ in _MARIADB_FORMATS else MYSQL
    return table.get(status) or Code(status, "", f"error {status}, not in the table", _OTHER)


def explain(status: int | None, format_: str, *, login: bool) -> Code:
    """Explain the error number of any record; `login`: its event is a login. Never fails."""
    code = lookup(status, format_)
    if login or status is None or code.symbol:
        return code
    table = _MARIADB_STATEMENTS if format_ in _MARIADB_FORMATS else _MYSQL_STATEMENTS
    return table.get(status) or code


def is_probe(status: int | None, user: str | None) -> bool:
    """Tell a health probe from a failed login: a broken handshake in which no user was named."""
    return not user and status in _PROBE_STATUSES
