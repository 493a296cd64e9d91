"""The loop: the shipper's own INSERTs are audited, shipped, and inserted again.

Each batch then makes a record, which makes a batch; the log never comes to rest, and a format that
logs whole statements grows with every turn. The server or the sink has to leave the account out.
"""

from __future__ import annotations

import threading
from typing import Final

from shipper.model import TABLE, AuditRecord
from shipper.notices import Tell, Trouble
from shipper.sink.base import Batch
from shipper.sink.sql_insert import MARK

# The mark stands right behind the verb; servers cut long statements at their end.
_MARKED_CHARACTERS: Final = len("INSERT ") + len(MARK)


class OwnTraces:
    """Finds what the shipper itself did in the logs that it ships; tells of it once."""

    def __init__(self, user: str, database: str, sink: str, tell: Tell) -> None:
        """`user` is the account that the sink logs in with."""
        self._user = user
        self._database = database
        self._sink = sink
        self._tell = tell
        self._first = threading.Lock()
        self._told = False

    def look(self, batch: Batch) -> None:
        """Look through a batch, until the first find."""
        if self._told or not self._found(batch):
            return
        if self._first.acquire(blocking=False):  # and never released: told once
            self._told = True
            self._tell(Trouble(batch.source, self._sink, self._advice()))

    def _found(self, batch: Batch) -> bool:
        user = self._user
        return any(
            record.user == user and self._is_own(record)
            for block in batch.blocks
            for record in block.records
        )

    def _is_own(self, record: AuditRecord) -> bool:
        if record.sqltext is not None and MARK in record.sqltext[:_MARKED_CHARACTERS]:
            return True
        table = (record.extra or {}).get("table")
        return record.kind == TABLE and record.db == self._database and table == "audit_data"

    def _advice(self) -> str:
        user = self._user
        return (
            f"the INSERTs of {user} are audited and shipped back into {self._database}: every batch"
            f" makes another. Leave the account out: exclude_accounts: [{user}@HOST] on this sink,"
            f" or on the server audit_log_exclude_accounts='{user}@HOST' (Percona) or"
            f" server_audit_excl_users='{user}' (MariaDB)"
        )
