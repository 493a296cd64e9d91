"""`audit-shipper run -c FILE`: the daemon."""

from __future__ import annotations

from contextlib import closing, suppress
from pathlib import Path

import click

from shipper.app.daemon import Daemon
from shipper.app.lock import StateLock
from shipper.app.observation import Observation
from shipper.app.wishes import signals
from shipper.app.workers import Share, run_workers
from shipper.cli.status import UNFINISHED, status_of
from shipper.clock import SystemClock
from shipper.config import Config, load_file
from shipper.errors import ShipperError
from shipper.notices import Fatal
from shipper.observe.logs import Log
from shipper.terminal import printable


@click.command()
@click.option("-c", "--config", "path", required=True, help="The configuration, YAML.")
@click.option("--worker", hidden=True, help="INDEX/COUNT: the part of a daemon with `workers`.")
@click.pass_context
def run(context: click.Context, path: str, worker: str | None) -> None:
    """Follow the configured logs and ship them until told to stop.

    SIGTERM drains and ends; SIGHUP reads the configuration anew. Exit status: 0 everything shipped,
    2 wrong configuration, 3 a target needs somebody's hand, 4 stopped before all was shipped.
    """
    config = load_file(path)
    workers = min(config.workers, len(config.sources))
    if worker is None and workers > 1:
        with closing(StateLock(Path(config.state))) as held:
            log = Log(_write, SystemClock(), as_json=config.log.format == "json")

            def tell(text: str) -> None:
                log.hear(Fatal("", "", text))

            context.exit(run_workers(["run", "-c", path], workers, held, tell))
    share = Share(0, 1) if worker is None else Share.parse(worker)

    def load() -> Config:
        return share.of(load_file(path))

    clock, config = SystemClock(), share.of(config)
    observation = Observation(config, clock, _write)
    lock = "lock" if worker is None else f"lock.{share.index}"
    daemon = Daemon(config, load, clock, observation, lock=lock)
    with signals(daemon.wish), closing(observation):
        try:
            remaining = daemon.run()
        except ShipperError as error:  # into the log, in its format: it is what is looked for there
            observation.tell(Fatal(error.source, error.sink, str(error)))
            context.exit(status_of(error))
    for each in remaining:
        left = f"{each.size - each.position:,} bytes of {printable(each.path)}"
        click.echo(f"audit-shipper: {each.source}: {left} not shipped to {each.sink}", err=True)
    if remaining:
        context.exit(UNFINISHED)


def _write(line: str) -> None:
    """Write a line of the log; a reader that went away must not stop the shipping."""
    with suppress(OSError):
        click.echo(line, err=True)
