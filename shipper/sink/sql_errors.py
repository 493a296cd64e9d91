"""What an error of MySQL or MariaDB means for a batch: refuse a record, try again, or stop.

Numbers below 2000 and from 3000 on are the server's, those from 2000 to 2999 the client's.
Anything that is not listed is tried again: the server may know a trouble that we do not.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from shipper.errors import MisconfiguredError, UnavailableError

# About one record: it will never fit. errno -> one of `sink.base.REFUSALS`
_REFUSED: Final = {
    1118: "too_large",  # ER_TOO_BIG_ROWSIZE: more than a tenth of the redo log
    1264: "invalid",  # ER_WARN_DATA_OUT_OF_RANGE
    1301: "too_large",  # ER_WARN_ALLOWED_PACKET_OVERFLOWED: a function's result
    1366: "invalid",  # ER_TRUNCATED_WRONG_VALUE_FOR_FIELD
    1406: "too_large",  # ER_DATA_TOO_LONG
    3140: "invalid",  # ER_INVALID_JSON_TEXT
    3141: "invalid",  # ER_INVALID_JSON_TEXT_IN_PARAM
    3150: "too_large",  # ER_JSON_VALUE_TOO_BIG
    3151: "too_large",  # ER_JSON_KEY_TOO_BIG
    3157: "invalid",  # ER_JSON_DOCUMENT_TOO_DEEP: MySQL takes 100 levels
    4025: "invalid",  # ER_CONSTRAINT_FAILED: json_valid() of MariaDB
    4040: "invalid",  # ER_JSON_DEPTH: MariaDB takes 32 levels
}

# Waiting does not help. errno -> what to do
RIGHTS: Final = "grant SELECT, INSERT, UPDATE (and DELETE for retention) on the database"
RIGHTS_TO_MAKE: Final = (
    "run audit-shipper setup sql --user root, or grant CREATE, INDEX on the database"
)
_SETUP: Final = "run: audit-shipper setup sql"
_ACCOUNT: Final = "check the account, its password and the host that it may come from"
_STOP: Final = {
    1044: RIGHTS,  # ER_DBACCESS_DENIED_ERROR
    1045: _ACCOUNT,  # ER_ACCESS_DENIED_ERROR
    1049: "create the database",  # ER_BAD_DB_ERROR
    1054: _SETUP,  # ER_BAD_FIELD_ERROR
    1064: "this server speaks an SQL that is not MySQL's or MariaDB's",  # ER_PARSE_ERROR
    1130: _ACCOUNT,  # ER_HOST_NOT_PRIVILEGED
    1142: RIGHTS,  # ER_TABLEACCESS_DENIED_ERROR
    1143: RIGHTS,  # ER_COLUMNACCESS_DENIED_ERROR
    1146: _SETUP,  # ER_NO_SUCH_TABLE
    1227: RIGHTS,  # ER_SPECIFIC_ACCESS_DENIED_ERROR
    1698: _ACCOUNT,  # ER_ACCESS_DENIED_NO_PASSWORD_ERROR
    1862: "renew the account's password",  # ER_MUST_CHANGE_PASSWORD_LOGIN
    1820: "renew the account's password",  # ER_MUST_CHANGE_PASSWORD
    2026: "give the server a certificate, or set tls: off",  # CR_SSL_CONNECTION_ERROR
    2059: "use an account with another authentication plugin",  # CR_AUTH_PLUGIN_CANNOT_LOAD
    3118: "unlock the account",  # ER_ACCOUNT_HAS_BEEN_LOCKED
    4151: "unlock the account",  # ER_ACCOUNT_HAS_BEEN_LOCKED of MariaDB
}
# Of these the ones that are about a right on a database, a table or a column.
DENIED: Final = frozenset(code for code, advice in _STOP.items() if advice is RIGHTS)

# Waiting may help. errno -> one of `sink.base.FAILURES`; those not listed are "unavailable".
_REASONS: Final = {
    1021: "rejected",  # ER_DISK_FULL
    1040: "throttled",  # ER_CON_COUNT_ERROR
    1114: "rejected",  # ER_RECORD_FILE_FULL
    1153: "rejected",  # ER_NET_PACKET_TOO_LARGE: the next statements are shorter
    1203: "throttled",  # ER_TOO_MANY_USER_CONNECTIONS
    1205: "timeout",  # ER_LOCK_WAIT_TIMEOUT
    1213: "rejected",  # ER_LOCK_DEADLOCK
    1226: "throttled",  # ER_USER_LIMIT_REACHED
    1290: "rejected",  # ER_OPTION_PREVENTS_STATEMENT: --read-only
    1317: "timeout",  # ER_QUERY_INTERRUPTED
    1792: "rejected",  # ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION
    1836: "rejected",  # ER_READ_ONLY_MODE
    1969: "timeout",  # ER_STATEMENT_TIMEOUT of MariaDB
    2014: "protocol",  # CR_COMMANDS_OUT_OF_SYNC
    2027: "protocol",  # CR_MALFORMED_PACKET
    3024: "timeout",  # ER_QUERY_TIMEOUT
}
# A server, or a proxy before it, that hangs up in the middle of a statement may find it too long.
_CUT_OFF: Final = frozenset((1153, 2006, 2013))


def number(error: SQLAlchemyError) -> int:
    """Give the server's or the client's error number; 0 where it has none."""
    arguments = error.orig.args if isinstance(error, DBAPIError) and error.orig else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def said(error: SQLAlchemyError) -> str:
    """Give the server's own words."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return str(error)
    return " ".join(map(str, error.orig.args))  # `str(error)` is the whole statement


def refusal(error: SQLAlchemyError) -> str | None:
    """Say why a record is refused for ever; None where the error is not about a record."""
    # Others of these two classes: a constraint that somebody added to the table.
    other = "other" if isinstance(error, DataError | IntegrityError) else None
    return _REFUSED.get(number(error), other)


def was_cut_off(error: SQLAlchemyError) -> bool:
    """Say whether a shorter statement may pass."""
    return number(error) in _CUT_OFF


def outcome(
    error: SQLAlchemyError, doing: str, rights: str = RIGHTS
) -> UnavailableError | MisconfiguredError:
    """Give the error to raise; `doing` says what was tried, and where, `rights` what it takes."""
    code = number(error)
    advice = rights if code in DENIED else _STOP.get(code)
    original = getattr(getattr(error, "orig", None), "original_exception", None)
    if type(original).__name__ == "SSLCertVerificationError":  # the ssl module takes 3 MB
        advice = "give the certificate of its authority as ca_file"
    text = f"cannot {doing}: {said(error)}"
    if advice is not None:
        return MisconfiguredError(f"{text}. What to do: {advice}")
    timeout = isinstance(original, TimeoutError) or "timed out" in text
    return UnavailableError(
        text, reason="timeout" if timeout else _REASONS.get(code, "unavailable")
    )
