"""What others see of the daemon: its log, its metrics, the HTTP endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import structs

from shipper import __version__
from shipper.app.sentry import Sentry
from shipper.app.source import RunningSource
from shipper.app.standing import source_status
from shipper.clock import Clock
from shipper.config import Config, name_of
from shipper.detect import Detector
from shipper.detect import Settings as DetectSettings
from shipper.lane.parcel import ledgered
from shipper.notices import Notice
from shipper.observe.alerts import AlertFile
from shipper.observe.audit import Audited
from shipper.observe.http import Endpoint
from shipper.observe.logs import Log
from shipper.observe.metrics import Metrics
from shipper.observe.pulled import Pending, Pulls
from shipper.observe.recent import Recent
from shipper.observe.routes import health_route, metrics_route
from shipper.observe.status import Standing, status_routes
from shipper.sink import Sink, SinkSettings, make_sink
from shipper.sink.base import Surroundings
from shipper.sink.counters import AuditCounters
from shipper.source.findings import Findings


class Observation:
    """Hears everything; gives it to whoever asks."""

    def __init__(self, config: Config, clock: Clock, write: Callable[[str], None]) -> None:
        """`write` takes a line of the log. Raises MisconfiguredError where HTTP cannot listen."""
        self._config = config
        self._clock = clock
        self._audited: dict[str, Audited] = {}
        self._made: dict[str, Audited] = {}  # shown once their counts are those of the state
        self._sources: Sequence[RunningSource] = ()
        self._started = False
        pulls = Pulls(lambda: list(self._audited.values()), self._pending, self._dead_letter_bytes)
        self.metrics = Metrics(clock, pulls, version=__version__)
        self._log = Log(
            write,
            clock,
            as_json=config.log.format == "json",
            level=config.log.level,
            count=self.metrics.logged,
        )
        self._alerts = (
            None
            if config.alerts is None
            else AlertFile(config.alerts, clock, instance=config.instance, tell=self.tell)
        )
        self.recent = Recent(clock)
        self.endpoint: Endpoint | None = None
        if config.http is not None:
            routes = {
                "/metrics": metrics_route(self.metrics.collect, self._opening),
                "/livez": health_route(self._dead),
                "/readyz": health_route(self._unready),
            }
            if config.http.status_page:
                routes |= status_routes(self._standing, self.recent, clock)
            self.endpoint = Endpoint(config.http, routes)
            self.endpoint.start()

    def tell(self, notice: Notice) -> None:
        """Count a notice, remember it for the status page, and log it."""
        self.metrics.hear(notice)
        self.recent.hear(notice)
        self._log.hear(notice)
        if self._alerts is not None:
            self._alerts.hear(notice)

    def maker(
        self, config: Config, source: str, findings: Findings | None = None
    ) -> Callable[[SinkSettings, Surroundings], Sink]:
        """Give what makes the sinks of a source, so that they are seen from the start.

        `config` is the one that begins, and that `running` will be told of. What is detected goes
        into `findings` too.
        """

        def make(settings: SinkSettings, surroundings: Surroundings) -> Sink:
            sink = make_sink(settings, surroundings)
            self.metrics.expect(source, name_of(settings))
            if isinstance(sink, AuditCounters):
                detector = Detector(_detection(config, sink))
                sentry = Sentry(
                    detector, self._clock, self.tell, self.recent, findings, source=source
                )
                sink.watch(sentry)
                labels = sink.labels
                self._made[source] = Audited(
                    source, sink.view, sentry, lambda address: labels.source(address)[0]
                )
            return sink

        return make

    def running(self, config: Config, sources: Sequence[RunningSource]) -> None:
        """Note that these sources run now, and are what is asked about from here on.

        Until then the counts of those before them are shown, at the first start none: a 0 that
        becomes what was kept would be taken for that many failures at once.
        """
        self._config = config
        self._sources = tuple(sources)
        names = {source.name for source in sources}
        self._audited = {name: one for name, one in self._made.items() if name in names}
        self._made = dict(self._audited)
        self._started = True

    def close(self) -> None:
        """Stop answering; write what could not be written yet."""
        if self._alerts is not None:
            self._alerts.close()
        if self.endpoint is not None:
            self.endpoint.close()

    def _dead(self) -> list[str]:
        return [
            f"{source.name}: {error}"
            for source in self._sources
            for error in source.failed
            if not self._config.waits_out(error)
        ]

    def _unready(self) -> list[str]:
        """Say why not; never because of a target: MySQL must not leave its service for that."""
        return self._dead() if self._started else self._opening()

    def _opening(self) -> list[str]:
        return [] if self._started else ["the sources are not open yet"]

    def _pending(self) -> Iterator[Pending]:
        for source in self._sources:
            segments = source.catalog.segments()
            for lane in source.lanes:
                left = (ledgered(one).size - lane.position(one) for one in segments)
                yield Pending(source.name, lane.name, sum(max(0, size) for size in left))

    def _standing(self) -> Standing:
        sources = [source_status(each, self._audited.get(each.name)) for each in self._sources]
        letters = self._dead_letter_bytes()
        return Standing(__version__, self._config.instance, sources, letters)

    def _dead_letter_bytes(self) -> int:
        return sum(_sizes(Path(self._config.state).glob("*.dead-letters.ndjson*")))


def _detection(config: Config, sink: AuditCounters) -> DetectSettings:
    """Give the detector's settings: who is a proxy to the counts is one to the rules."""
    proxies = (*config.detect.trusted_proxies, *sink.labels.proxies)
    return structs.replace(config.detect, trusted_proxies=proxies)


def _sizes(paths: Iterable[Path]) -> Iterator[int]:
    for path in paths:
        try:
            yield path.stat().st_size
        except OSError:  # gone meanwhile
            continue
