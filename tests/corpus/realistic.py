"""A seeded stream of events like those of a busy server, and logs of any size made of it.

    python -m corpus.realistic --writer percona-json-8.0 --records 100000 --output audit.log

(with `tests` on PYTHONPATH). 15 % connects, 3 % failed, 12 % quits, 70 % queries of 30 to 600
bytes; 92 % of the statements hold characters that need escaping, 1 % Chinese or Japanese text.
The same seed gives the same file, so figures taken at different times can be compared.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

from corpus.event import CONNECT, QUERY, QUIT, Event
from corpus.writers import WRITERS, pieces, writer

SEED = 20240903
_START = datetime(2024, 9, 3, 1, 53, 14, tzinfo=UTC)
_KINDS = ("failed", CONNECT, QUIT, QUERY)
_WEIGHTS = tuple(accumulate((3, 15, 12, 70)))
_ACCOUNTS = tuple(
    (f"{role}{number}", f"{role}-{number}.db", f"10.0.{number}.{17 + number}")
    for role in ("app", "report", "batch", "api")
    for number in range(10)
)
_DBS = ("shop", "billing", "warehouse", "")
_CLASSES = (("SELECT", "select"), ("UPDATE", "update"), ("DELETE", "delete"))
_PLAIN = (
    "AND customer_id = 48211 ",
    "AND o.state IN (1, 2, 3) ",
    "AND quantity * price BETWEEN 10 AND 900 ",
    "AND c.region_id = r.id ",
)
_ESCAPED = (
    'AND name = "Miller & Sons" ',
    "AND price < 40 AND price > 7 ",
    "AND title = 'O\\'Reilly'\n",
)
_CJK = "AND city IN ('\u6771\u4eac', '\u5317\u4eac\u5e02', '\u5927\u962a\u5e9c') "


def _statement(chance: random.Random) -> tuple[str, str]:
    """Give a statement and its COMMAND_CLASS."""
    verb, class_ = chance.choice(_CLASSES)
    # Squared: short statements are the usual ones; the mean makes records of about 407 bytes.
    size = 30 + int(571 * chance.random() ** 2.4)
    parts: tuple[str, ...]
    if chance.random() < 0.08:
        parts, text = _PLAIN, f"{verb} /* {chance.randint(1, 999_999)} */ "
    else:  # the start needs escaping, so that also a short statement does
        parts, text = _PLAIN + _ESCAPED, f"{verb} x < {chance.randint(1, 999_999)} "
    if chance.random() < 0.01:
        text += _CJK
    while len(text) < size:
        text += chance.choice(parts)
    return text[:size], class_


def events(count: int, seed: int = SEED) -> Iterator[Event]:
    """Yield `count` events in the order of a log."""
    chance = random.Random(seed)
    now = _START
    for sequence in range(1, count + 1):
        now += timedelta(seconds=chance.random() < 0.02)
        (kind,) = chance.choices(_KINDS, cum_weights=_WEIGHTS)
        connection = chance.randint(1, 2000)
        user, host, ip = _ACCOUNTS[connection % len(_ACCOUNTS)]
        sql, class_ = _statement(chance) if kind == QUERY else ("", "")
        failed = kind == "failed"
        yield Event(
            kind=CONNECT if failed else kind,
            sequence=sequence,
            time=now,
            opened=_START,
            connection_id=connection,
            status=1045 if failed else 0,
            command_class=class_,
            sql=sql,
            user=user,
            priv_user="" if failed else user,
            host=host,
            ip=ip,
            db=_DBS[connection % len(_DBS)],
        )


def write(name: str, records: int, output: Path, seed: int = SEED) -> None:
    """Write a log of at least `records` records, never holding more than one of them."""
    with output.open("wb", buffering=1 << 20) as file:
        file.writelines(pieces(writer(name), events(records, seed)))


def main() -> None:
    """Command line of the generator."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writer", choices=[w.name for w in WRITERS], default="percona-json-8.0")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.writer, arguments.records, arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
