"""Throughput of the SQL sink into a real server on this machine, and the server's own limit.

    python tests/bench/sql.py [--records N] [--repeat N]

Three rows a server: `ship` does all, from the bytes of a log to the committed batch; `statements`
sends the same INSERTs ready made, so that only the server works; `bare table` sends them without
our columns and indexes into the article's `(id, info)`, which is as fast as this server stores JSON
at all. The goal is a ratio to the reference job of `bench.py`, like all goals there. Rates count
the processor time of shipper and server together, as if they had one core between them; `wall` is
what the clock said. Exit status: 1 where the goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from corpus.realistic import SEED, write  # noqa: E402 the path comes first
from servers.mariadb import MariaDb, mariadb  # noqa: E402
from servers.mysql import MySql, mysql  # noqa: E402
from sink.rigs.sql import run_as_root  # noqa: E402

from shipper.decode import FORMATS, Decoder, Options  # noqa: E402
from shipper.lane.ship import OneShot  # noqa: E402
from shipper.model import Block  # noqa: E402
from shipper.sink.sql import STATEMENT_BYTES_MAX, Settings, SqlStore  # noqa: E402
from shipper.sink.sql_insert import Row, insert_records, record_rows  # noqa: E402
from shipper.source.file import open_log  # noqa: E402

# 40,000 records a second where the reference makes 299,000.
GOAL: Final = 40_000 / 299_000
REFERENCE_LINES: Final = 20_000
TICKS: Final = os.sysconf("SC_CLK_TCK")
DATABASE: Final = "bench"


class Server:
    """A server with an empty database."""

    def __init__(self, name: str, server: MariaDb | MySql) -> None:
        self.name = name
        self._server = server
        self._process = int((server.folder / "pid").read_text())

    def store(self) -> SqlStore:
        """A sink with fresh tables."""
        port = self._server.port
        run_as_root(port, f"DROP DATABASE IF EXISTS {DATABASE}")
        run_as_root(port, f"CREATE DATABASE {DATABASE}")
        store = SqlStore(Settings(url=f"mysql://root@127.0.0.1:{port}/{DATABASE}"))
        store.prepare()
        return store

    def make_bare(self) -> None:
        """Turn the table into the article's."""
        columns = ("at", "status", "user", "host", "ip")
        for change in (
            "DROP KEY audit_data_place, DROP COLUMN failed_at",
            ", ".join(f"DROP COLUMN {column}" for column in columns),
        ):
            run_as_root(self._server.port, f"ALTER TABLE audit_data {change}", database=DATABASE)

    def spent(self) -> float:
        """Seconds of processor time of the server so far."""
        fields = Path(f"/proc/{self._process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def blocks(path: Path) -> Iterator[Block]:
    decoder = Decoder(FORMATS)
    with closing(open_log(path)) as log:
        for piece in log.pieces():
            yield decoder.feed(piece)
    yield decoder.finish()


def whole(store: SqlStore, path: Path) -> int:
    """Everything, as `audit-shipper ship` does it."""
    return OneShot(store, FORMATS, Options()).ship(path, lambda _shipped: None).records


def ready_made(path: Path) -> Callable[[SqlStore, Path], int]:
    """Only the server's part: batches of the sink's size, written before."""
    batches: list[list[Row]] = [[]]
    begun = 0
    for block in blocks(path):
        batches[-1] += record_rows(block, 1)
        if block.end - begun >= 1024 * 1024:
            begun = block.end
            batches.append([])

    def send(store: SqlStore, _path: Path) -> int:
        total = 0
        for rows in batches:
            with store._engine.begin() as connection:  # noqa: SLF001 below the sink
                total += insert_records(connection, rows, STATEMENT_BYTES_MAX).new
        return total

    return send


def reference(path: Path) -> float:
    """Records a second of the reference job."""
    with path.open("rb") as file:
        lines = [next(file) for _ in range(REFERENCE_LINES)]
    begin = time.process_time()
    for line in lines:
        json.loads(line)
    return len(lines) / (time.process_time() - begin)


def measure(server: Server, case: str, path: Path, repeat: int) -> dict[str, Any]:
    """The best of `repeat` runs, between runs of the reference."""
    work = whole if case == "ship" else ready_made(path)
    best: dict[str, Any] = {"both": float("inf")}
    references = [reference(path)]
    for _ in range(repeat):
        with closing(server.store()) as store:
            if case == "bare table":
                server.make_bare()
            begun, client, served = time.monotonic(), time.process_time(), server.spent()
            records = work(store, path)
            shipper, database = time.process_time() - client, server.spent() - served
            if shipper + database < best["both"]:
                best = {
                    "both": shipper + database,
                    "shipper": shipper,
                    "server": database,
                    "wall": time.monotonic() - begun,
                    "records": records,
                }
        references.append(reference(path))
    return best | {"reference": max(references)}


def row(name: str, found: dict[str, Any], goal: float | None) -> str:
    """One line of the table."""
    records = found["records"]
    ratio = records / found["both"] / found["reference"]
    met = "" if goal is None else "yes" if ratio >= goal else "NO"
    return (
        f"{name:26}{records / found['both']:11,.0f}{records / found['wall']:10,.0f}"
        f"{1e6 * found['shipper'] / records:9.1f}{1e6 * found['server'] / records:9.1f}"
        f"{found['reference']:9,.0f}{ratio:7.2f}{'' if goal is None else f'{goal:.2f}':>6} {met}"
    )


def main() -> int:
    """Print the table; 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=60_000)
    parser.add_argument("--repeat", type=int, default=3, help="the best of so many is shown")
    arguments = parser.parse_args()
    print(
        f"{'case':26}{'records/s':>11}{'wall/s':>10}{'shipper':>9}{'server':>9}{'ref/s':>9}"
        f"{'ratio':>7}{'goal':>6} met   (shipper, server: µs of processor a record)"
    )
    missed = 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as stack:
        log = Path(folder, "audit.log")
        write("percona-json-8.0", arguments.records, log, SEED)
        for name, start in (("mariadb", mariadb), ("mysql", mysql)):
            server = Server(name, stack.enter_context(start()))
            for case in ("ship", "statements", "bare table"):
                goal = GOAL if (name, case) == ("mariadb", "ship") else None
                line = row(f"{name}: {case}", measure(server, case, log, arguments.repeat), goal)
                missed += line.endswith("NO")
                print(line, flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
