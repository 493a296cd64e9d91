"""Write the PMM advisor checks: three generations of keys from one source.

    python alert-rules/pmm/generate.py [--database percona] [--output FOLDER]

`source/` has the scripts; what they have in common stands in `common.star` and goes into each. The
committed files are the output for the database `percona`; a test compares them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
# MySQL and MariaDB take names of these characters without quotes.
DATABASE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# Times in the table are RFC 3339 text in UTC: they compare as they stand, by index.
DAY_AGO: Final = "date_format(utc_timestamp() - interval 24 hour, '%Y-%m-%dT%H:%i:%sZ')"
# Cut, because servers sort and join long text on disk. One row for all attempts of a second, newest
# first: a flood of 10,000 rows is enough to see.
_USER: Final = "left({0}`user`, 80)"
FAILED: Final = (
    f"failed_at, {_USER.format('')} AS `user`, left(host, 80) AS host, left(ip, 80) AS ip, status,"
    " count(*) AS attempts FROM {database}.audit_data"
    f" WHERE failed_at >= {DAY_AGO} GROUP BY 1, 2, 3, 4, 5 ORDER BY failed_at DESC LIMIT 10000"
)
# Only logins of users that failed often enough for a burst.
SUCCEEDED: Final = (
    f"good.at, {_USER.format('good.')} AS `user`, left(good.host, 80) AS host,"
    " left(good.ip, 80) AS ip FROM {database}.audit_data AS good"
    f" JOIN (SELECT {_USER.format('')} AS `user`, min(failed_at) AS since"
    f" FROM {{database}}.audit_data WHERE failed_at >= {DAY_AGO}"
    " GROUP BY 1 HAVING count(*) >= 5) AS bad"
    f" ON bad.`user` = {_USER.format('good.')} AND good.at >= bad.since"
    f" WHERE good.at >= {DAY_AGO} AND good.kind IN ('connect', 'change_user') AND good.status = 0"
    " ORDER BY good.at DESC LIMIT 10000"
)
ARTICLE: Final = (
    "json_extract(info, '$.audit_record.user') as name,"
    " json_extract(info, '$.audit_record.host') as host,"
    " json_extract(info, '$.audit_record.timestamp') as timestamp"
    f" from {{database}}.audit_data where failed_at >= {DAY_AGO} order by id desc"
)


@dataclass(frozen=True)
class Check:
    """One check, whatever the keys that a generation of PMM wants."""

    name: str
    summary: str
    description: str
    queries: tuple[str, ...]
    script: str

    def file(self, suffix: str) -> str:
        """Name its file."""
        return f"{self.name.removeprefix('mysql_audit_')}.{suffix}.yml"


def _script(name: str, *, common: bool = True) -> str:
    parts = ["common.star"] if common else []
    return "\n".join((HERE / "source" / part).read_text() for part in [*parts, f"{name}.star"])


CHECKS: Final = (
    Check(
        "mysql_audit_failed_logins",
        "Failed logins",
        "Logins that the server refused in the last 24 hours, by user and source.",
        (FAILED,),
        _script("failed_logins"),
    ),
    Check(
        "mysql_audit_login_burst",
        "Burst of failed logins",
        "A user or a source with 5 or more failed logins within 60 seconds.",
        (FAILED,),
        _script("login_burst"),
    ),
    Check(
        "mysql_audit_password_spraying",
        "Password spraying",
        "A source that tried 5 or more users in the last 24 hours.",
        (FAILED,),
        _script("password_spraying"),
    ),
    Check(
        "mysql_audit_success_after_burst",
        "Login after a burst of failures",
        "A user got in from where 5 or more attempts within 60 seconds had failed before.",
        (FAILED, SUCCEEDED),
        _script("success_after_burst"),
    ),
)
OF_ARTICLE: Final = Check(
    "mysql_failed_login",
    "Failed logins",
    "The check of Percona's article on the Audit Log Plugin and the Security Threat Tool.",
    (ARTICLE,),
    _script("article", common=False),
)


class Literal(str):
    """Text that YAML writes line by line."""

    __slots__ = ()


def _literal(dumper: yaml.SafeDumper, text: Literal) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


class Dumper(yaml.SafeDumper):
    """Knows how scripts are written."""


Dumper.add_representer(Literal, _literal)


def version_1(check: Check, database: str) -> dict[str, Any]:
    """Keys of PMM 2.6 to 2.27."""
    (query,) = check.queries
    return {
        "version": 1,
        "name": check.name,
        "summary": check.summary,
        "description": check.description,
        "type": "MYSQL_SELECT",
        "tiers": ["anonymous", "registered"],
        "category": "security",
        "interval": "standard",
        "query": query.format(database=database),
        "script": Literal(check.script),
    }


def version_2(check: Check, database: str) -> dict[str, Any]:
    """Keys of PMM 2.28 and later, and of PMM 3; `dev` is the advisor of checks of one's own."""
    return {
        "version": 2,
        "name": check.name,
        "summary": check.summary,
        "description": check.description,
        "advisor": "dev",
        "category": "security",
        "family": "MYSQL",
        "interval": "frequent",
        "queries": _queries(check, database),
        "script": Literal(check.script),
    }


def newest(check: Check, database: str) -> dict[str, Any]:
    """Keys of PMM's main branch: `technology` instead of `family` and `advisor`."""
    return {
        "version": 2,
        "name": check.name,
        "summary": check.summary,
        "description": check.description,
        "technology": "MYSQL",
        "category": "Security",
        "interval": "frequent",
        "queries": _queries(check, database),
        "script": Literal(check.script),
    }


def _queries(check: Check, database: str) -> list[dict[str, str]]:
    return [
        {"type": "MYSQL_SELECT", "query": query.format(database=database)}
        for query in check.queries
    ]


def files(database: str) -> Iterator[tuple[str, str]]:
    """Give the name and text of every file."""
    if not DATABASE.fullmatch(database):
        raise SystemExit(f"{database!r} is not a name of a database")
    yield OF_ARTICLE.file("v1"), _yaml(version_1(OF_ARTICLE, database))
    for check in CHECKS:
        yield check.file("v2"), _yaml(version_2(check, database))
        yield check.file("technology"), _yaml(newest(check, database))


def _yaml(check: dict[str, Any]) -> str:
    text = yaml.dump({"checks": [check]}, Dumper=Dumper, sort_keys=False, width=10_000)
    return f"# Written by generate.py\n---\n{text}"


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", default="percona", help="where audit_data is")
    parser.add_argument("--output", type=Path, default=HERE)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, text in files(arguments.database):
        (arguments.output / name).write_text(text)


if __name__ == "__main__":
    main()
