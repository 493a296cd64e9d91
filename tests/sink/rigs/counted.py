"""How rigs know what to wait for: receivers that cannot be asked whether they are done."""

from __future__ import annotations

from typing import Any

from shipper.sink import Batch, Receipt, Sink


class Acknowledged:
    """The number of records that sinks of one rig said are delivered."""

    def __init__(self) -> None:
        self.records = 0

    def counting(self, sink: Sink) -> Sink:
        """The same sink, with its receipts counted."""
        counted: Any = _Counting(sink, self)
        return counted  # type: ignore[no-any-return]


class _Counting:
    def __init__(self, sink: Sink, acknowledged: Acknowledged) -> None:
        self._sink = sink
        self._acknowledged = acknowledged

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def deliver(self, batch: Batch) -> Receipt:
        receipt = self._sink.deliver(batch)
        self._acknowledged.records += receipt.new
        return receipt
