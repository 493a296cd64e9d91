"""What the SQL sink does with a real server's answers; on MariaDB and on MySQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pymysql
import pytest
from servers import free_port
from servers.waiting import until
from sink.blocks import SEGMENT, batch, defective, failed_login
from sink.rigs.sql import ACCOUNT, SqlRig, on_mariadb, on_mysql
from sqlalchemy.dialects.mysql import dialect as mysql_dialect

from shipper.config import load
from shipper.errors import ConfigError, MisconfiguredError, UnavailableError
from shipper.model import QUERY, AuditRecord
from shipper.sink import Batch
from shipper.sink.sql import Settings, SqlStore
from shipper.sink.sql_reader import SqlReader
from shipper.sink.sql_tables import SERVER, failed_logins
from shipper.sink.sql_url import parse


@pytest.fixture(params=["mariadb", "mysql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlRig]:
    make = {"mariadb": on_mariadb, "mysql": on_mysql}[request.param]
    with make(tmp_path) as rig:
        yield rig


@contextmanager
def opened(rig: SqlRig, **changes: Any) -> Iterator[SqlStore]:
    with closing(rig.sink(**changes)) as store:
        store.prepare()
        yield store


def query(sqltext: str = "select 1", **fields: Any) -> AuditRecord:
    return AuditRecord(name="QUERY", kind=QUERY, format="mariadb", sqltext=sqltext, **fields)


# --- what is stored --------------------------------------------------------------------------


def test_the_column_info_holds_the_record_in_perconas_shape(rig: SqlRig) -> None:
    with opened(rig) as store:
        store.deliver(batch(failed_login('o\'brien \\ "x" 🐬\n')))
    ((info, at, status, user, ip),) = rig.root("SELECT info, at, status, user, ip FROM audit_data")
    assert orjson.loads(info)["audit_record"] == {
        "name": "Connect",
        "timestamp": "2026-11-23T10:00:00Z",
        "connection_id": "7",
        "status": 1045,
        "user": 'o\'brien \\ "x" 🐬\n',
        "host": "web1",
        "ip": "10.0.0.9",
    }
    assert (at, status, user, ip) == (
        "2026-11-23T10:00:00Z",
        1045,
        'o\'brien \\ "x" 🐬\n',
        "10.0.0.9",
    )


def test_failed_logins_come_in_order_of_time_and_from_a_time_on(rig: SqlRig) -> None:
    late, early = failed_login("b", "2026-11-23T11:00:00Z"), failed_login("a")
    timeless = failed_login("c")
    timeless.timestamp = None
    good = failed_login("d")
    good.status = 0
    with opened(rig) as store:
        store.deliver(batch(late, early, timeless, good, query(status=1045)))
        assert [row[1] for row in SqlReader(store).failed_logins()] == ["c", "a", "b"]
        rows = list(SqlReader(store).failed_logins("2026-11-23T10:30:00Z"))
    assert rows == [
        (None, "c", "web1", "10.0.0.9", 1045, "mariadb", "FAILED_CONNECT"),
        ("2026-11-23T11:00:00Z", "b", "web1", "10.0.0.9", 1045, "mariadb", "FAILED_CONNECT"),
    ]


def test_rows_that_somebody_else_inserted_are_found_too(rig: SqlRig) -> None:
    """The script of the article knows the column `info` only."""
    info = '{"audit_record":{"name":"Connect","status":1045,"user":"x","timestamp":"2026-01-01"}}'
    with opened(rig) as store:
        rig.root("INSERT INTO audit_data (info) VALUES (%s)", info)
        rig.root("INSERT INTO audit_data (info) VALUES (%s)", info)
        assert [row[1] for row in SqlReader(store).failed_logins()] == ["x", "x"]


def test_the_failed_login_query_reads_its_index_and_not_the_table(rig: SqlRig) -> None:
    honest = [query(timestamp=f"2026-11-23T10:{n % 60:02}:00Z", status=0) for n in range(2000)]
    with opened(rig) as store:
        store.deliver(batch(*honest, failed_login()))
    rig.root("ANALYZE TABLE audit_data")
    for since in ("2026", None):
        for select in failed_logins(SERVER, since):
            text = select.compile(dialect=mysql_dialect(), compile_kwargs={"literal_binds": True})
            plan = rig.explain(str(text))
            assert plan["type"] in ("range", "ref")
            assert plan["key"] == "audit_data_failed_logins"
            assert int(plan["rows"]) < 10


def test_a_batch_delivered_again_adds_nothing(rig: SqlRig) -> None:
    with opened(rig) as store:
        assert store.deliver(batch(failed_login(), failed_login())).new == 2
        again = store.deliver(batch(failed_login(), failed_login(), failed_login()))
        assert (again.new, again.duplicates) == (1, 2)
        assert store.position(SEGMENT) == 30
        store.deliver(batch(failed_login()))
        assert store.position(SEGMENT) == 30


def test_a_gap_stops_the_position(rig: SqlRig) -> None:
    with opened(rig) as store:
        store.deliver(batch(failed_login()))
        store.deliver(batch(failed_login(), start=50))
        assert store.position(SEGMENT) == 10


def test_defects_are_kept_with_their_place(rig: SqlRig) -> None:
    with opened(rig) as store:
        store.deliver(defective(start=40))
        store.deliver(defective(start=40))
    rows = rig.root("SELECT `offset`, `end`, reason, excerpt FROM audit_defects")
    assert rows == [(40, 45, "cut", "\\xff\x1b[2J")]


def test_a_batch_is_one_statement_and_one_transaction(rig: SqlRig) -> None:
    with opened(rig) as store:
        store.deliver(batch(failed_login()))  # the segment's row is made
        inserts, commits = counted(rig)
        store.deliver(batch(*(failed_login() for _ in range(500)), start=10))
        assert counted(rig) == (inserts + 1, commits + 1)


def test_a_path_that_is_no_text_is_kept(rig: SqlRig) -> None:
    with opened(rig) as store:
        odd = Batch(SEGMENT, "caf\udce9.log", batch(failed_login()).blocks)
        assert store.deliver(odd).new == 1
    assert rig.root("SELECT path FROM audit_segments") == [("caf\\udce9.log",)]


# --- what the server says no to --------------------------------------------------------------


def test_too_long_values_are_kept_whole_where_they_matter(rig: SqlRig) -> None:
    long = failed_login("u" * 100_000)
    long.name = "n" * 100_000
    long.timestamp = "2026-11-23T10:00:00.123456789Z" + "0" * 100
    with opened(rig) as store:
        assert store.deliver(batch(long)).new == 1
        ((_, user, *_, name),) = SqlReader(store).failed_logins()
    assert (user, name) == ("u" * 100_000, "n" * 64)


def test_the_servers_own_mode_and_character_set_do_not_matter(rig: SqlRig) -> None:
    """A lenient server would cut values, and read a backslash as itself."""
    modes = rig.root("SELECT @@global.sql_mode, @@global.character_set_server")[0]
    rig.root("SET GLOBAL sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'")
    rig.root("SET GLOBAL character_set_server = 'latin1'")
    try:
        with opened(rig) as store:
            name = '\\\' OR "1"="1 🐬'
            assert store.deliver(batch(failed_login(name))).new == 1
            assert [row[1] for row in SqlReader(store).failed_logins()] == [name]
    finally:
        rig.root("SET GLOBAL sql_mode = %s", modes[0])
        rig.root("SET GLOBAL character_set_server = %s", modes[1])


def nested(levels: int) -> AuditRecord:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return query(extra={"deep": value})


def test_a_record_that_the_server_never_takes_is_refused_alone(rig: SqlRig) -> None:
    with opened(rig) as store:
        receipt = store.deliver(batch(*[failed_login()] * 7, nested(150), *[failed_login()] * 8))
        assert (receipt.new, receipt.duplicates) == (15, 0)
        ((offset, reason, detail, _),) = receipt.refusals
        assert (offset, reason) == (70, "invalid")
        assert detail.startswith("3157 " if rig.mysql else "4040 ")
        assert store.position(SEGMENT) == 160
    assert rig.count() == 15


def test_a_batch_is_split_below_the_servers_packet_and_stays_one_transaction(rig: SqlRig) -> None:
    (packet,) = rig.root("SELECT @@global.max_allowed_packet")[0]
    rig.root("SET GLOBAL max_allowed_packet = 65536")
    try:
        with opened(rig) as store:
            large = query("x" * 100_000)
            records = [*(query("y" * 10_000) for _ in range(10)), large, failed_login()]
            receipt = store.deliver(batch(*records))
        ((offset, reason, detail, _),) = receipt.refusals
        assert (receipt.new, offset, reason) == (11, 100, "too_large")
        assert "max_allowed_packet is 65536" in detail
    finally:
        rig.root(f"SET GLOBAL max_allowed_packet = {packet}")


def test_a_deadlock_is_tried_again(rig: SqlRig) -> None:
    with opened(rig) as store, root_connection(rig) as other:
        store.deliver(batch(failed_login()))
        with other.cursor() as cursor:
            # More work than the shipper's, so that the server gives the shipper up.
            cursor.execute("CREATE TABLE busy (n INT) ENGINE=InnoDB")
            cursor.executemany("INSERT INTO busy VALUES (%s)", [(1,)] * 5000)
            other.commit()
            cursor.execute("UPDATE busy SET n = 2")
            cursor.execute("UPDATE audit_segments SET path = 'x'")
            delivery = Delivery(store, failed_login())
            until(lambda: waiting_for_locks(rig))
            cursor.execute("INSERT INTO audit_data (info, segment, `offset`) VALUES ('{}', 1, 10)")
            error = delivery.error()
            other.rollback()
        assert isinstance(error, UnavailableError)
        assert (error.reason, "Deadlock" in str(error)) == ("rejected", True)
        assert "INSERT" not in str(error)
        assert store.deliver(batch(failed_login(), start=10)).new == 1


def test_a_killed_connection_is_tried_again(rig: SqlRig) -> None:
    with opened(rig) as store, root_connection(rig) as other:
        store.deliver(batch(failed_login()))
        with other.cursor() as cursor:
            cursor.execute("UPDATE audit_segments SET path = 'x'")
            delivery = Delivery(store, failed_login())
            until(lambda: waiting_for_locks(rig))
            rig.root(f"KILL {connection_of_shipper(rig)}")
            error = delivery.error()
            other.rollback()
        assert isinstance(error, UnavailableError)
        assert error.reason == "unavailable"
        assert rig.count() == 1
        assert store.deliver(batch(failed_login(), start=10)).new == 1


def test_after_a_cut_statement_the_next_are_shorter(
    rig: SqlRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy with a limit of its own hangs up without a word."""
    monkeypatch.setattr("shipper.sink.sql.STATEMENT_BYTES_MAX", 256 * 1024)
    records = [query("x" * 10_000) for _ in range(10)]  # 200 kB in hexadecimal
    with opened(rig) as store, root_connection(rig) as other:
        store.deliver(batch(failed_login()))
        with other.cursor() as cursor:
            cursor.execute("UPDATE audit_segments SET path = 'x'")
            delivery = Delivery(store, failed_login())
            until(lambda: waiting_for_locks(rig))
            rig.root(f"KILL {connection_of_shipper(rig)}")
            assert isinstance(delivery.error(), UnavailableError)
            other.rollback()
        statements = []
        for start in (1000, 2000):
            before, _ = counted(rig)
            assert store.deliver(batch(*records, start=start)).new == 10
            statements.append(counted(rig)[0] - before)
    assert statements == [2, 1]


def test_a_connection_that_the_server_closed_meanwhile_is_no_outage(rig: SqlRig) -> None:
    with opened(rig) as store:
        rig.root(f"KILL {connection_of_shipper(rig)}")
        until(lambda: not shippers(rig))
        assert store.deliver(batch(failed_login())).new == 1


def test_a_lock_that_is_held_too_long_is_a_timeout(rig: SqlRig) -> None:
    with opened(rig, timeout_seconds=1) as store, root_connection(rig) as other:
        store.deliver(batch(failed_login()))
        with other.cursor() as cursor:
            cursor.execute("UPDATE audit_segments SET path = 'x'")
            with pytest.raises(UnavailableError) as caught:
                store.deliver(batch(failed_login(), start=10))
            other.rollback()
        assert caught.value.reason == "timeout"
        assert rig.count() == 1


def test_a_read_only_replica_is_waited_for(rig: SqlRig) -> None:
    with opened(rig) as store:
        with rig.broken():
            with pytest.raises(UnavailableError, match="read-only") as caught:
                store.deliver(batch(failed_login()))
            assert caught.value.reason == "rejected"
            assert "is read-only: ship to the primary server" in str(store.check())
            with closing(rig.sink()) as second:  # tables that are there need no writing
                second.prepare()
        assert store.deliver(batch(failed_login())).new == 1


def test_a_server_that_is_not_there_is_waited_for(rig: SqlRig) -> None:
    url = f"mysql://{ACCOUNT}@127.0.0.1:{free_port()}/percona"
    with closing(rig.sink(url=url)) as store:
        with pytest.raises(UnavailableError, match="Connection refused") as caught:
            store.prepare()
        assert caught.value.reason == "unavailable"
        assert "Connection refused" in str(store.check())


def test_a_dropped_table_stops_the_shipper_and_says_what_to_do(rig: SqlRig) -> None:
    with opened(rig) as store:
        rig.root("DROP TABLE audit_data")
        with pytest.raises(MisconfiguredError, match="audit-shipper setup sql"):
            store.deliver(batch(failed_login()))


def test_a_wrong_password_stops_the_shipper_and_is_not_printed(rig: SqlRig) -> None:
    with closing(rig.sink(password="s3cret")) as store:
        with pytest.raises(MisconfiguredError, match="check the account") as caught:
            store.prepare()
        assert "s3cret" not in str(caught.value)
        assert "s3cret" not in str(store.check())


def test_missing_rights_are_named(rig: SqlRig) -> None:
    with opened(rig) as store:
        rig.root(f"REVOKE INSERT ON {rig.database}.* FROM {ACCOUNT}")
        store.close()  # rights on a database are read at the next connection's USE
        with pytest.raises(MisconfiguredError, match="grant SELECT, INSERT, UPDATE"):
            store.deliver(batch(failed_login()))


def test_a_missing_database_is_named(rig: SqlRig) -> None:
    url = rig.url.replace(rig.database, "nowhere")
    with closing(rig.sink(url=url)) as store, pytest.raises(MisconfiguredError, match="nowhere"):
        store.prepare()


# --- TLS -------------------------------------------------------------------------------------


def test_an_encrypted_connection_or_none(rig: SqlRig) -> None:
    """MySQL makes a certificate for itself; this MariaDB has none."""
    with closing(rig.sink(tls="encrypt")) as store:
        if not rig.mysql:
            with pytest.raises(MisconfiguredError, match="give the server a certificate"):
                store.prepare()
            return
        store.prepare()
        store.deliver(batch(failed_login()))
        (number,) = shippers(rig)
        ((kind,),) = rig.root(
            "SELECT connection_type FROM performance_schema.threads WHERE processlist_id = %s",
            number,
        )
        assert kind == "SSL/TLS"


def test_a_certificate_that_nobody_signed_is_not_trusted(rig: SqlRig, tmp_path: Path) -> None:
    if rig.mysql:
        # Nor the server's own authority: its certificate names no host.
        for ca_file in (None, f"{rig.server.folder}/data/ca.pem"):
            assert "certificate verify failed" in refused(rig, tls="verify", ca_file=ca_file)
    assert "No such file" in refused(rig, tls="verify", ca_file=f"{tmp_path}/none")


def refused(rig: SqlRig, **changes: Any) -> str:
    with closing(rig.sink(**changes)) as store, pytest.raises(MisconfiguredError) as caught:
        store.prepare()
    return str(caught.value)


def test_a_server_elsewhere_is_verified_unless_told_otherwise() -> None:
    assert not parse("mysql://u@db.example/percona").local
    for url in (
        "mysql://u@localhost/percona",
        "mariadb://u@127.0.0.1:3307/percona",
        "mysql://u@localhost/percona?unix_socket=/run/mysqld/mysqld.sock",
    ):
        assert parse(url).local


def test_a_unix_socket_is_a_way_too(rig: SqlRig) -> None:
    url = f"mysql://{ACCOUNT}@localhost/{rig.database}?unix_socket={rig.server.folder}/s.sock"
    with opened(rig, url=url) as store:
        assert store.deliver(batch(failed_login())).new == 1


# --- setup -----------------------------------------------------------------------------------


def test_setup_require_makes_nothing(rig: SqlRig) -> None:
    with closing(rig.sink(setup="require")) as store:
        with pytest.raises(MisconfiguredError, match="audit_data is missing: run: audit-shipper"):
            store.prepare()
        assert "audit_data is missing" in str(store.check())
    assert rig.root("SHOW TABLES") == []


def test_setup_off_asks_for_no_right_but_insert(rig: SqlRig) -> None:
    with opened(rig):
        pass
    rig.root(f"REVOKE CREATE, INDEX, DELETE ON {rig.database}.* FROM {ACCOUNT}")
    with opened(rig, setup="off") as store:
        assert store.deliver(batch(failed_login())).new == 1


def test_a_table_of_somebody_else_is_left_alone(rig: SqlRig) -> None:
    """Also the article's own, which has no key that keeps records from doubling."""
    rig.root("CREATE TABLE audit_data (id INT AUTO_INCREMENT PRIMARY KEY, info JSON)")
    with closing(rig.sink()) as store:
        with pytest.raises(MisconfiguredError, match="not ours: it lacks at, failed_at"):
            store.prepare()
        assert "not ours" in str(store.check())
    assert len(rig.root("SHOW COLUMNS FROM audit_data")) == 2


def test_a_table_without_the_key_is_refused(rig: SqlRig) -> None:
    with opened(rig) as store:
        rig.root("ALTER TABLE audit_data DROP KEY audit_data_place")
        with pytest.raises(MisconfiguredError, match="no unique key"):
            store.prepare()


def test_a_table_that_cannot_hold_every_character_is_refused(rig: SqlRig) -> None:
    with opened(rig) as store:
        rig.root("ALTER TABLE audit_segments CONVERT TO CHARACTER SET latin1")
        with pytest.raises(MisconfiguredError, match=r"audit_segments\.path has the character set"):
            store.prepare()


def test_a_narrow_column_refuses_a_record_rather_than_change_it(rig: SqlRig) -> None:
    with opened(rig):
        rig.root("ALTER TABLE audit_data MODIFY name VARCHAR(64) CHARACTER SET latin1")
    with opened(rig, setup="off") as store:
        odd = failed_login()
        odd.name = "🐬"
        receipt = store.deliver(batch(failed_login(), odd))
    assert (receipt.new, [each.reason for each in receipt.refusals]) == (1, ["invalid"])


# --- settings --------------------------------------------------------------------------------


def test_settings_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    sink = configured(f"password_file: {tmp_path}/password, retention_seconds: 90d, tls: verify")
    assert (sink.password, sink.retention_seconds, sink.tls) == ("s3cret", 90 * 86400, "verify")


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("url: 'mysql://u:s3cret@h/d'", "url the password does not belong into the URL"),
        ("url: 'postgres://u@h/d'", "url must be mysql://USER@HOST"),
        ("retention_seconds: 1", "retention_seconds must be 60 or more"),
        ("timeout_seconds: 0", "timeout_seconds must be 1 or more"),
        ("setup: perhaps", "must be one of auto, require, off"),
    ],
)
def test_wrong_settings_are_explained(more: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(more)
    assert problem in str(caught.value)
    assert "s3cret" not in str(caught.value)


def configured(more: str) -> Settings:
    url = "" if "url:" in more else "url: 'mysql://u@h/d', "
    config = load(
        "state: /tmp/x\nsources: [{type: file, path: a.log}]\n"
        f"sinks: [{{type: sql, {url}{more}}}]",
        {},
        lambda path: Path(path).read_text(),
    )
    (sink,) = config.sinks
    assert isinstance(sink, Settings)
    return sink


# --- helpers ---------------------------------------------------------------------------------


class Delivery:
    """A delivery in a thread of its own."""

    def __init__(self, store: SqlStore, record: AuditRecord) -> None:
        self._result: list[object] = []
        self._thread = threading.Thread(target=self._run, args=(store, record))
        self._thread.start()

    def _run(self, store: SqlStore, record: AuditRecord) -> None:
        try:
            self._result.append(store.deliver(batch(record, start=10)))
        except Exception as error:  # noqa: BLE001 handed to the test
            self._result.append(error)

    def error(self) -> object:
        self._thread.join(timeout=60)
        return self._result[0]


@contextmanager
def root_connection(rig: SqlRig) -> Iterator[Any]:
    connection = pymysql.connect(
        host="127.0.0.1", port=rig.server.port, user="root", database=rig.database
    )
    try:
        yield connection
    finally:
        connection.close()


def counted(rig: SqlRig) -> tuple[int, int]:
    """INSERT statements and commits of the server so far."""
    rows = rig.root("SHOW GLOBAL STATUS WHERE variable_name IN ('Com_insert', 'Com_commit')")
    found = {name: int(value) for name, value in rows}
    return found["Com_insert"], found["Com_commit"]


def waiting_for_locks(rig: SqlRig) -> bool:
    state = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    return bool(rig.root(state)[0][0])


def shippers(rig: SqlRig) -> list[int]:
    rows = rig.root(
        "SELECT id FROM information_schema.processlist WHERE user = %s AND db = %s",
        ACCOUNT,
        rig.database,
    )
    return [number for (number,) in rows]


def connection_of_shipper(rig: SqlRig) -> int:
    (number,) = shippers(rig)
    return number
