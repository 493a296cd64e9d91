"""Into a real OpenSearch: who is the bottleneck, and how large is a document in the index?

    python tests/bench/real_opensearch.py [--records 100000] [--writer percona-json-8.0]

Prints the shipper's share of the CPU, the share of the time in which it waited, and the bytes a
record takes in the index after a merge, in all and by what (`_source`, columns, search index).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import os

from bench import shipping
from bench.case import pieces
from corpus.realistic import write
from servers.opensearch import OpenSearch, opensearch

from shipper.decode import FORMATS, Decoder
from shipper.model import Block
from shipper.sink.opensearch import Settings

TICKS = os.sysconf("SC_CLK_TCK")


def server_seconds(server: OpenSearch) -> float:
    """CPU seconds that the server has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def blocks(path: Path) -> Iterator[Block]:
    """Decode a log."""
    decoder = Decoder(FORMATS)
    for piece in pieces(path):
        yield decoder.feed(piece)
    yield decoder.finish()


def sizes(server: OpenSearch) -> dict[str, float]:
    """Bytes a document, after a merge to one segment."""
    server.call("POST", "/mysql-audit-*/_forcemerge?max_num_segments=1&flush=true")
    stats = server.call("GET", "/mysql-audit-*/_stats/docs,store,segments")
    total = stats["_all"]["primaries"]
    return {"in the index": total["store"]["size_in_bytes"] / total["docs"]["count"]}


def main() -> None:
    """Ship once and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--writer", default="percona-json-8.0")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, opensearch() as server:
        log = Path(folder, "audit.log")
        write(arguments.writer, arguments.records, log)
        settings = Settings(urls=(server.url,), retention="off", replicas=0)
        before, begun = server_seconds(server), time.perf_counter()
        own = time.process_time()
        stored = shipping.ship(blocks(log), settings)
        wall, own = time.perf_counter() - begun, time.process_time() - own
        theirs = server_seconds(server) - before
        print(
            f"{arguments.writer}: {stored:,} records in {wall:.1f} s,"
            f" {stored / wall:,.0f} a second; shipper {own:.2f} s of CPU,"
            f" {own / (own + theirs):.1%} of both,"
            f" waiting {1 - own / wall:.0%} of the time; server {theirs:.1f} s of CPU"
        )
        for name, value in sizes(server).items():
            print(
                f"{name}: {value:.0f} bytes a record; the log has {log.stat().st_size / stored:.0f}"
            )


if __name__ == "__main__":
    main()
