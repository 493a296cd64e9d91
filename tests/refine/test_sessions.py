"""Joining of records that do not say whose they are."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from shipper.model import AUDIT_START, CHANGE_USER, CONNECT, DISCONNECT, QUERY, AuditRecord
from shipper.refine import sessions
from shipper.refine.sessions import Sessions, Who


def connect(number: int, user: str = "app", **fields: Any) -> AuditRecord:
    fields = {"host": "web1", "ip": "10.0.0.1"} | fields
    return AuditRecord(kind=CONNECT, connection_id=number, user=user, **fields)


def quit_(number: int) -> AuditRecord:
    return AuditRecord(kind=DISCONNECT, connection_id=number, user="", host="", ip="")


def test_a_quit_without_a_user_gets_the_one_of_its_connect() -> None:
    record = quit_(7)
    Sessions().join([connect(7), record])
    assert (record.user, record.host, record.ip) == ("app", "web1", "10.0.0.1")
    assert record.extra == {"joined": ["user", "host", "ip"]}


def test_a_statement_without_user_fields_is_joined_and_what_it_has_stays() -> None:
    record = AuditRecord(kind=QUERY, connection_id=7, ip="10.9.9.9")
    Sessions().join([connect(7), record])
    assert (record.user, record.host, record.ip) == ("app", "web1", "10.9.9.9")
    assert record.extra == {"joined": ["user", "host"]}


def test_a_complete_record_is_left_alone() -> None:
    record = AuditRecord(kind=QUERY, connection_id=7, user="other")
    Sessions().join([connect(7), record])
    assert (record.user, record.extra) == ("other", None)


def test_a_session_ends_with_its_disconnect() -> None:
    late = AuditRecord(kind=QUERY, connection_id=7)
    Sessions().join([connect(7), quit_(7), late])
    assert late.user is None


def test_a_successful_change_user_changes_the_session_and_a_failed_one_does_not() -> None:
    refused = connect(7, "root")
    refused.kind, refused.status = CHANGE_USER, 1045
    changed = connect(8, "root")
    changed.kind, changed.status = CHANGE_USER, 0
    first, second = quit_(7), quit_(8)
    Sessions().join([connect(7), connect(8), refused, changed, first, second])
    assert (first.user, second.user) == ("app", "root")


def test_an_audit_start_forgets_the_sessions_of_the_server_before() -> None:
    record = quit_(7)
    Sessions().join([connect(7), AuditRecord(kind=AUDIT_START), record])
    assert record.user == ""


def test_an_id_far_below_the_highest_means_a_restarted_server() -> None:
    stale, fresh = quit_(50_000), quit_(3)
    Sessions().join([connect(50_000), connect(3, "new"), stale, fresh])
    assert (stale.user, fresh.user) == ("", "new")


def test_ids_logged_slightly_out_of_order_are_no_restart() -> None:
    record = quit_(1_005)
    Sessions().join([connect(1_005), connect(6), record])
    assert record.user == "app"


def test_commands_of_the_filter_plugin_are_not_joined() -> None:
    record = AuditRecord(kind="command", name="command_end", connection_id=1)
    Sessions().join([connect(1), record])
    assert record.user is None


def test_the_table_is_bounded_and_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSIONS_MAX", 2)
    first, last = quit_(1), quit_(3)
    Sessions().join([connect(1), connect(2), connect(3), first, last])
    assert (first.user, last.user) == ("", "app")


def of_many(number: int) -> AuditRecord:
    """Give a login of one of 400 accounts; its texts are its own, as from a decoder."""
    account = number % 400
    return connect(number, f"app{account}", ip=f"10.0.{account}.1", priv_user=f"app{account}")


def test_the_same_client_is_remembered_once() -> None:
    """100,000 sessions in a reader and two lanes, one of them from the state: 400 accounts."""
    count = sessions.SESSIONS_MAX
    tracemalloc.start()
    try:
        reader, lane, restored = Sessions(), dict[int, Who](), dict[int, Who]()
        for begin in range(0, count, 1000):
            numbers = range(begin, begin + 1000)
            reader.join([of_many(number) for number in numbers])
            reader.take_changes().apply(lane)
            saved = msgspec.json.encode([lane[number] for number in numbers])
            whos = msgspec.json.decode(saved, type=list[Who])
            restored.update(zip(numbers, map(sessions.shared, whos), strict=True))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(lane) == len(restored) == count
    # Three tables of 100,000 entries at 52 bytes, and the numbers, which they share: 18 MB. With a
    # client for each session it were 150 MB.
    assert held < 30_000_000


def test_long_names_are_not_remembered_for_others() -> None:
    long = "x" * 10_000
    assert sessions.shared(Who(long, None, None, None, None, None)).user == long
    assert Who(long, None, None, None, None, None) not in sessions._KNOWN  # noqa: SLF001
