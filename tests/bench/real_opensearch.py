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
from typing import Any

if __name__ == "__main__":
    sys.path[:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import os

from bench import shipping
from bench.case import pieces
from corpus.realistic import write
from servers.opensearch import OpenSearch, opensearch
from servers.waiting import until

from shipper.decode import FORMATS, Decoder
from shipper.model import Block
from shipper.sink.opensearch import Settings

# Of an index, by the endings of Lucene's files.
PARTS = {
    "of that the documents (_source)": ("fdt", "fdx", "fdm"),
    "of that columns": ("dvd", "dvm"),
    "of that the search index": ("tim", "tip", "tmd", "doc", "pos", "psm", "kdd", "kdi", "kdm"),
}
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
    """Bytes a document, after a merge to one segment an index."""

    def merged() -> dict[str, Any]:
        # What was merged stays, and counts, until a refresh lets go of it.
        server.call("POST", "/mysql-audit-*/_forcemerge?max_num_segments=1&flush=true")
        server.call("POST", "/mysql-audit-*/_refresh")
        wanted = "docs,store,segments?include_segment_file_sizes=true"
        stats: dict[str, Any] = server.call("GET", f"/mysql-audit-*/_stats/{wanted}")
        total: dict[str, Any] = stats["_all"]["primaries"]
        return total if total["segments"]["count"] == len(stats["indices"]) else {}

    total = until(merged)
    files = total["segments"]["file_sizes"]
    taken = {"in the index": total["store"]["size_in_bytes"]}
    for part, endings in PARTS.items():
        taken[part] = sum(files[each]["size_in_bytes"] for each in endings if each in files)
    return {part: size / total["docs"]["count"] for part, size in taken.items()}


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
        print(f"in the log: {log.stat().st_size / stored:.0f} bytes a record")
        for name, value in sizes(server).items():
            print(f"{name}: {value:.0f}")


if __name__ == "__main__":
    main()
