"""What `check` finds on a real server before the daemon does, and that it makes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sink.rigs.sql import ACCOUNT, SqlRig, on_mariadb, on_mysql

from shipper.errors import MisconfiguredError

ARTICLES = "CREATE TABLE audit_data (id INT AUTO_INCREMENT PRIMARY KEY, info JSON)"


@pytest.fixture(params=["mariadb", "mysql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlRig]:
    with {"mariadb": on_mariadb, "mysql": on_mysql}[request.param](tmp_path) as rig:
        yield rig


def only(rig: SqlRig, rights: str) -> None:
    rig.root(f"REVOKE ALL ON {rig.database}.* FROM {ACCOUNT}")
    rig.root(f"GRANT {rights} ON {rig.database}.* TO {ACCOUNT}")


def checked(rig: SqlRig, **changes: Any) -> list[str]:
    before = rig.root("SHOW TABLES")
    with closing(rig.sink(**changes)) as store:
        found = list(store.check())
    assert rig.root("SHOW TABLES") == before
    return found


def test_the_right_to_make_tables(rig: SqlRig) -> None:
    """With exactly the documented rights, which are for tables that are there already."""
    assert checked(rig) == []
    for rights, lacks in (
        ("SELECT, INSERT, UPDATE", "CREATE and INDEX"),
        ("CREATE, SELECT, INSERT, UPDATE", "INDEX"),
    ):
        only(rig, rights)
        (finding,) = checked(rig)
        assert finding.startswith(f"{lacks} denied, and audit_data, audit_defects")
        assert "setup sql --user root, or grant CREATE, INDEX" in finding
        with (
            closing(rig.sink()) as store,
            pytest.raises(MisconfiguredError, match="setup sql --user root, or grant CREATE"),
        ):
            store.prepare()
        for (table,) in rig.root("SHOW TABLES"):
            rig.root(f"DROP TABLE {table}")


def test_the_rights_to_ship_and_to_delete(rig: SqlRig) -> None:
    with closing(rig.sink()) as store:
        store.prepare()
    only(rig, "SELECT, INSERT, UPDATE")
    for setup in ("auto", "require", "off"):
        assert checked(rig, setup=setup) == []
        (finding,) = checked(rig, setup=setup, retention_seconds=86400.0)
        assert finding.startswith("DELETE denied: grant")
    only(rig, "SELECT")
    (finding,) = checked(rig)
    assert finding.startswith("INSERT and UPDATE denied: grant")


def test_a_foreign_table_is_seen_while_others_are_missing(rig: SqlRig) -> None:
    """And nothing is made beside it."""
    rig.root(ARTICLES)
    for setup in ("auto", "require"):
        assert any("audit_data is not ours" in each for each in checked(rig, setup=setup))
    with closing(rig.sink()) as store:
        for make in (store.prepare, store.create):
            with pytest.raises(MisconfiguredError, match="audit_data is not ours"):
                make()
    assert rig.root("SHOW TABLES") == [("audit_data",)]
