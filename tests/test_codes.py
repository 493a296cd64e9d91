"""Error numbers of connection records."""

from __future__ import annotations

import re

import pytest

from shipper import codes
from shipper.codes import Category, Code, explain, is_probe, lookup
from shipper.counts import QUERY_ERRORS


def test_a_number_is_named_explained_and_put_into_a_category() -> None:
    code = lookup(1045, "percona-json")
    assert code == (
        1045,
        "ER_ACCESS_DENIED_ERROR",
        "unknown account or wrong password; the server does not say which",
        Category.AUTH,
    )


@pytest.mark.parametrize(
    ("status", "category"),
    [
        (1040, "limit"),
        (1044, "authz"),
        (1049, "other"),
        (1053, "server"),
        (1130, "host"),
        (1158, "net"),
        (1698, "auth"),
        (1873, "auth"),
    ],
)
@pytest.mark.parametrize("format_", ["mariadb", "percona-csv"])
def test_low_numbers_mean_the_same_in_both_families(
    status: int, category: str, format_: str
) -> None:
    assert lookup(status, format_).category == category
    assert lookup(status, format_).symbol


def test_a_locked_account_has_its_number_by_family() -> None:
    assert lookup(4151, "mariadb").symbol == "ER_ACCOUNT_HAS_BEEN_LOCKED"
    assert lookup(3118, "percona-xml-old").symbol == "ER_ACCOUNT_HAS_BEEN_LOCKED"
    assert lookup(4151, "percona-xml-old").symbol == ""
    assert lookup(3118, "mariadb").symbol == ""


@pytest.mark.parametrize("status", [1927, 4150, 4151])
@pytest.mark.parametrize("format_", ["rds-mysql", "aurora-mysql", "enterprise-json", "", "?"])
def test_numbers_of_mariadb_mean_nothing_elsewhere(status: int, format_: str) -> None:
    assert lookup(status, format_).symbol == ""


@pytest.mark.parametrize("status", [0, -1, 1064, 99999999999999999999])
def test_an_unknown_number_is_said_to_be_unknown(status: int) -> None:
    assert lookup(status, "percona-json") == (
        status,
        "",
        f"error {status}, not in the table",
        Category.OTHER,
    )


def test_a_record_without_a_number_says_so() -> None:
    assert lookup(None, "mcafee").meaning == "the record has no error number"


BOTH = {
    1040,
    1041,
    1042,
    1043,
    1044,
    1045,
    1046,
    1047,
    1049,
    1053,
    1080,
    1129,
    1130,
    1131,
    1132,
    1133,
    1135,
    1142,
    1143,
    1152,
    1153,
    1156,
    1158,
    1159,
    1160,
    1161,
    1184,
    1203,
    1226,
    1227,
    1251,
    1275,
    1370,
    1396,
    1449,
    1524,
    1698,
    1820,
    1862,
    1873,
}
MYSQL = {3032, 3118, 3159, 3162, 3164, 3168, 3169, 3530, 3879, 3955, 4031, 4058, 4060, 4061}
MARIADB = {1927, 4150, 4151}


def test_every_number_of_the_reference_is_known() -> None:
    assert set(codes.MYSQL) == BOTH | MYSQL
    assert set(codes.MARIADB) == BOTH | MARIADB


@pytest.mark.parametrize("table", [codes.MYSQL, codes.MARIADB])
def test_every_number_has_a_name_and_a_meaning(table: dict[int, Code]) -> None:
    for status, code in table.items():
        assert code.status == status
        assert re.fullmatch(r"ER_[A-Z_]+", code.symbol)
        assert code.meaning
        assert not code.meaning.endswith(".")


@pytest.mark.parametrize("format_", ["percona-json", "mariadb", "rds-mysql"])
def test_statements_have_names_that_logins_do_not(format_: str) -> None:
    """A login that is refused with one of these is news to the detector, as before."""
    for status, symbol in QUERY_ERRORS.items():
        mysqls = status >= 3000 and format_ == "mariadb"
        code = explain(status, format_, login=False)
        assert code.symbol == ("" if mysqls else symbol)
        assert code.status == status
        assert not code.meaning.endswith(".")
        assert explain(status, format_, login=True) == lookup(status, format_)
    assert explain(1064, format_, login=False).meaning == "the statement is not valid SQL"
    assert lookup(1064, format_).symbol == ""
    assert explain(1969, format_, login=False).symbol == (
        "ER_STATEMENT_TIMEOUT" if format_ == "mariadb" else ""
    )
    assert explain(None, format_, login=False) == lookup(None, format_)
    assert explain(99, format_, login=False) == lookup(99, format_)


@pytest.mark.parametrize("status", [1156, 1158, 1159])
@pytest.mark.parametrize("user", ["", None])
def test_a_broken_handshake_without_a_user_is_a_health_probe(status: int, user: str | None) -> None:
    assert is_probe(status, user)


@pytest.mark.parametrize(
    ("status", "user"),
    [
        (1158, "root"),  # somebody was named: a login that broke off
        (1043, ""),  # sent something that was not MySQL: a scanner, not a health check
        (1153, ""),
        (1045, ""),  # an anonymous login that was refused
        (0, ""),
        (None, ""),
    ],
)
def test_everything_else_is_no_probe(status: int | None, user: str) -> None:
    assert not is_probe(status, user)
