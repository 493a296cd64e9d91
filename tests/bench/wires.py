"""The stages of the bench that send: decode a log, and deliver it as a lane does.

What decoding took is kept aside, for the rows that are about the sink alone.
"""

from __future__ import annotations

import atexit
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shipper.model import Block
    from shipper.sink import Sink


aside = 0.0  # CPU seconds of this process that were spent on decoding


def _decoding(blocks: Iterable[Block]) -> Iterator[Block]:
    global aside  # noqa: PLW0603 one case a process
    begin = time.process_time()
    for block in blocks:
        aside += time.process_time() - begin
        yield block
        begin = time.process_time()
    aside += time.process_time() - begin


@cache
def _receiver(protocol: str) -> int:
    """Start a receiver once in this process; give its port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.receiver", protocol],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    atexit.register(process.communicate)  # closes its input
    assert process.stdout is not None
    return int(process.stdout.readline())


def syslog(blocks: Iterable[Block]) -> int:
    """TCP, octet-counted, RFC 5424 with the plugin's JSON: all by default."""
    from shipper.sink.syslog import Settings, Syslog  # noqa: PLC0415 `find_spec` asks first

    target = Settings(transport="tcp", host="127.0.0.1", port=_receiver("syslog"))
    return _deliver(Syslog(target), blocks)


def fluentd(blocks: Iterable[Block], **more: Any) -> int:
    """Chunks with acknowledgements, one connection."""
    from shipper.sink.fluentd import Fluentd, Server, Settings  # noqa: PLC0415

    server = Server(host="127.0.0.1", port=_receiver("forward"))
    return _deliver(Fluentd(Settings(servers=(server,), **more)), blocks)


def _deliver(sink: Sink, blocks: Iterable[Block]) -> int:
    from shipper.sink import Batch  # noqa: PLC0415

    count, waiting, size = 0, [], 0
    with closing(sink):
        sink.prepare()
        for block in _decoding(blocks):
            waiting.append(block)
            size += block.end - block.start
            if size >= sink.batch_bytes:
                count += sink.deliver(Batch("00" * 16, "audit.log", waiting)).new
                waiting, size = [], 0
        if waiting:
            count += sink.deliver(Batch("00" * 16, "audit.log", waiting)).new
    return count
