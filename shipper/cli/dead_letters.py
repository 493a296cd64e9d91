"""`audit-shipper dead-letters list | show | replay`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import msgspec

from shipper.app.lock import StateLock
from shipper.cli.state import state_directory
from shipper.clock import SystemClock
from shipper.config import Config, load_file, name_of
from shipper.errors import UsageError
from shipper.lane.dead_letters import DeadLetters, Letter
from shipper.lane.state import State
from shipper.model import Block
from shipper.sink import Batch, Receipt, Sink, make_sink
from shipper.sink.base import SinkSettings, Surroundings
from shipper.terminal import printable, safe_json

STILL_REFUSED = 1
_SUFFIX = ".dead-letters.ndjson"


@click.group("dead-letters")
def dead_letters() -> None:
    """Look at what could not be read or was refused, and deliver it again."""


def _files(directory: Path) -> Iterator[Path]:
    yield from sorted(directory.glob(f"*{_SUFFIX}"))


def _letters_of(count: int) -> str:
    return f"{count:,} letter{'s' if count != 1 else ''}"


def _letters(directory: Path) -> Iterator[Letter]:
    for file in _files(directory):
        yield from DeadLetters(file).read()


@dead_letters.command("list")
@click.option("-c", "--config", help="The daemon's configuration.")
@click.option("--state", help="Its state directory.")
def list_(config: str | None, state: str | None) -> None:
    """Count letters by source, sink and reason, with an example each."""
    counts: Counter[tuple[str, str, str]] = Counter()
    example: dict[tuple[str, str, str], Letter] = {}
    for letter in _letters(state_directory(config, state)):
        key = (letter.source, letter.sink or "(unreadable)", letter.reason)
        counts[key] += 1
        example.setdefault(key, letter)
    for key, count in sorted(counts.items()):
        first = example[key]
        place = f"{printable(first.path)}@{first.span[0]}"
        click.echo(f"{' '.join(key)}: {count:,}, first {place}: {printable(first.detail)}")
    if not counts:
        click.echo("no dead letters")


@dead_letters.command()
@click.option("-c", "--config", help="The daemon's configuration.")
@click.option("--state", help="Its state directory.")
@click.option("--sink", help="Only what this sink refused; (unreadable) for what none ever saw.")
def show(config: str | None, state: str | None, sink: str | None) -> None:
    """Print the letters, one JSON object a line."""
    for letter in _letters(state_directory(config, state)):
        if sink is None or (letter.sink or "(unreadable)") == sink:
            line = msgspec.json.encode(letter) + b"\n"
            sys.stdout.buffer.write(safe_json(line) if sys.stdout.isatty() else line)


@dead_letters.command()
@click.option("-c", "--config", "path", required=True, help="The daemon's configuration.")
@click.option("--sink", help="Only to this sink.")
@click.pass_context
def replay(context: click.Context, path: str, sink: str | None) -> None:
    """Deliver what was refused once the cause is gone; letters that arrive are removed.

    The daemon must be stopped. Records keep their identity, so a sink that has one already does not
    get it twice. Exit status: 0 all delivered, 1 some are still refused.
    """
    config = load_file(path)
    directory = Path(config.state)
    if sink is not None and _settings(config, sink) is None:
        raise UsageError(f"the configuration has no sink {sink}")
    left = 0
    with closing(StateLock(directory)):
        for file in _files(directory):
            left += _replay(file, config, sink)
    if left:
        click.echo(f"{_letters_of(left)} still refused", err=True)
        context.exit(STILL_REFUSED)


def _replay(path: Path, config: Config, only: str | None) -> int:
    """Deliver the letters of one source; the number that is still refused."""
    file = DeadLetters(path)
    letters = list(file.read())
    wanted = [
        letter for letter in letters if letter.record is not None and only in (None, letter.sink)
    ]
    _tell_others(letters, only)
    delivered: set[tuple[str, str, int]] = set()
    replayed: list[tuple[str, str, Receipt]] = []
    for name in sorted({letter.sink for letter in wanted}):
        mine = [letter for letter in wanted if letter.sink == name]
        with closing(_sink(config, name, mine[0].source)) as sink:
            sink.prepare()
            for batch in _batches(mine):
                receipt = sink.deliver(batch)
                replayed.append((name, batch.segment, receipt))
                refused = {refusal.offset for refusal in receipt.refusals}
                starts = (start for block in batch.blocks for start in block.starts)
                delivered |= {(name, batch.segment, at) for at in starts if at not in refused}
    if delivered:
        _count(path.with_name(path.name.removesuffix(_SUFFIX) + ".db"), config, replayed)
        file.replace([letter for letter in letters if letter.key not in delivered])
    _tell_refusals(replayed)
    click.echo(f"{_letters_of(len(delivered))} delivered", err=True)
    return len(wanted) - len(delivered)


def _tell_others(letters: list[Letter], only: str | None) -> None:
    """Say how many letters of sinks have no record that could be delivered."""
    others = sum(
        bool(each.sink) and each.record is None for each in letters if only in (None, each.sink)
    )
    if others:
        what = "the document as it was sent, and no record: its log was gone"
        click.echo(f"{_letters_of(others)} left alone, with {what}", err=True)


def _tell_refusals(replayed: list[tuple[str, str, Receipt]]) -> None:
    """Say why letters are refused now: that may be another reason than the one they hold."""
    refused = [(name, each) for name, _, receipt in replayed for each in receipt.refusals]
    examples = {(name, refusal.reason): refusal.detail for name, refusal in reversed(refused)}
    for (name, reason), detail in sorted(examples.items()):
        click.echo(f"{name} {reason}: {printable(detail, limit=1000)}", err=True)


def _count(state: Path, config: Config, replayed: list[tuple[str, str, Receipt]]) -> None:
    """Count what has arrived; before the letters go, which may be delivered twice, but not lost."""
    if not state.exists():
        return
    with closing(State(state, instance=config.instance)) as opened:
        for lane, segment, receipt in replayed:
            opened.replayed(lane, segment, new=receipt.new, duplicates=receipt.duplicates)


def _sink(config: Config, name: str, source: str) -> Sink:
    settings = _settings(config, name)
    if settings is None:
        raise UsageError(f"the configuration has no sink {name} any more: put it back, or --sink")
    return make_sink(settings, Surroundings(SystemClock(), instance=config.instance, source=source))


def _settings(config: Config, name: str) -> SinkSettings | None:
    made = [*config.sinks, *(each for of in config.sources for each in config.alert_sinks_of(of))]
    return next((each for each in made if name_of(each) == name), None)


def _batches(letters: list[Letter]) -> Iterator[Batch]:
    """Give a batch for each segment, its records in their order."""
    for segment in dict.fromkeys(letter.segment for letter in letters):
        mine = sorted(
            (letter for letter in letters if letter.segment == segment),
            key=lambda letter: letter.span,
        )
        block = Block(
            mine[0].span[0],
            mine[-1].span[1],
            [letter.audit_record() for letter in mine],
            [letter.span[0] for letter in mine],
            [letter.span[1] for letter in mine],
            [],
        )
        yield Batch(segment, mine[0].path, [block], mine[0].source)
