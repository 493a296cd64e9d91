"""The loop of an audited shipper, with a real server that audits it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from servers.mariadb import MariaDb
from servers.waiting import until
from sink.blocks import batch, failed_login
from sink.rigs.sql import ACCOUNT, SqlRig, on_mariadb

from shipper.decode import FORMATS, Decoder
from shipper.model import QUERY, TABLE, AuditRecord, Block
from shipper.notices import Notice, Trouble
from shipper.sink import Batch, Surroundings


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[SqlRig]:
    with on_mariadb(tmp_path) as rig:
        yield rig


def audited(server: MariaDb, database: str) -> Block | None:
    """What the server's audit log says of the shipper's INSERTs, once it is written."""
    block = Decoder(FORMATS).feed(server.log.read_bytes())
    words = [record.sqltext or "" for record in block.records if record.db == database]
    return block if any("INSERT /* audit-shipper */" in text for text in words) else None


def test_the_loop_is_told_once_with_what_to_do(rig: SqlRig) -> None:
    told = list[Notice]()
    server = rig.server
    assert isinstance(server, MariaDb)
    with closing(rig.sink(Surroundings(tell=told.append), name="audit_db")) as store:
        store.prepare()
        store.deliver(batch(failed_login()))
        assert told == []
        block = until(lambda: audited(server, rig.database))
        for source in ("main", "main"):
            store.deliver(Batch("ab" * 16, str(server.log), [block], source))
    (trouble,) = told
    assert isinstance(trouble, Trouble)
    assert (trouble.source, trouble.sink) == ("main", "audit_db")
    assert f"exclude_accounts: [{ACCOUNT}@HOST]" in trouble.detail


def test_table_events_of_its_own_are_the_loop_too(rig: SqlRig) -> None:
    told = list[Notice]()
    own = AuditRecord(
        name="WRITE", kind=TABLE, user=ACCOUNT, db=rig.database, extra={"table": "audit_data"}
    )
    with closing(rig.sink(Surroundings(tell=told.append))) as store:
        store.prepare()
        store.deliver(batch(own))
    assert len(told) == 1


@pytest.mark.parametrize(
    "record",
    [
        AuditRecord(kind=QUERY, user="root", sqltext="INSERT /* audit-shipper */ INTO x"),
        AuditRecord(kind=QUERY, user=ACCOUNT, sqltext="SELECT '/* audit-shipper */' FROM dual"),
        AuditRecord(kind=TABLE, user=ACCOUNT, db="shop", extra={"table": "audit_data"}),
        AuditRecord(kind=QUERY, user=ACCOUNT),
    ],
    ids=["forged by another", "only mentioned", "another database", "no text"],
)
def test_what_is_not_its_own_is_no_loop(rig: SqlRig, record: AuditRecord) -> None:
    told = list[Notice]()
    with closing(rig.sink(Surroundings(tell=told.append))) as store:
        store.prepare()
        store.deliver(batch(record))
    assert told == []
