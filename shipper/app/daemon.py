"""The daemon: sources started, wishes answered, everything brought to an orderly end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from shipper.app.lock import StateLock
from shipper.app.observation import Observation
from shipper.app.source import Remainder, RunningSource
from shipper.app.wishes import Wish
from shipper.clock import Clock
from shipper.config import Config, name_of
from shipper.errors import MisconfiguredError, ShipperError, UsageError
from shipper.notices import Tell, Trouble
from shipper.sink import SinkSettings
from shipper.source.base import SourceSettings
from shipper.source.findings import Findings

# How often the drain looks whether everything is shipped.
LOOK_SECONDS: Final = 0.05
# How long a new configuration is on trial: its targets are asked by then, and a wrong password is
# answered at once. Later the old one may be the wrong one.
TRIAL_SECONDS: Final = 60.0
# Settings of what outlives a reload: lock, records' identity, processes, endpoint, our own files.
FIXED: Final = ("state", "instance", "workers", "http", "log", "alerts")


class Daemon:
    """Runs a configuration until it is told to stop."""

    def __init__(
        self,
        config: Config,
        reload: Callable[[], Config],
        clock: Clock,
        observation: Observation,
        *,
        lock: str = "lock",
    ) -> None:
        """`reload` gives the configuration anew; it may raise UsageError. `lock`: a file's name."""
        self._lock = lock
        self._config = config
        self._reload = reload
        self._clock = clock
        self._observation = observation
        self._tell: Tell = observation.tell
        # A queue that a signal handler may put into, whatever it interrupts.
        self._wishes: SimpleQueue[Wish] = SimpleQueue()
        self._sources: list[RunningSource] = []
        self._ended = 0  # sources that have no more input
        self._former: Config | None = None  # what a configuration on trial replaced
        self._trial_end = 0.0
        self._ask_again: float | None = None  # when a target that refused us is asked once more
        self._told: list[BaseException] = []  # refusals that are waited out

    def wish(self, wish: Wish) -> None:
        """Ask for something; from a signal handler or another thread."""
        self._wishes.put(wish)

    def run(self) -> list[Remainder]:
        """Run until drained; give what could not be shipped.

        Raises MisconfiguredError, or whatever ended a thread.
        """
        lock = StateLock(Path(self._config.state), self._lock)
        try:
            self._start()
            while (wish := self._next_wish()) is not Wish.DRAIN:
                if wish is Wish.RELOAD:
                    self._replace()
                elif wish is Wish.ASK_AGAIN:
                    self._begin_anew()
                self._answer_failure()
            return self._drain()
        finally:
            self._halt()
            lock.close()

    def _next_wish(self) -> Wish:
        if self._ask_again is None:
            return self._wishes.get()
        try:
            return self._wishes.get(timeout=max(0.0, self._ask_again - self._clock.monotonic()))
        except Empty:
            return Wish.ASK_AGAIN

    def _start(self) -> None:
        self._ask_again, self._told = None, []
        for settings in self._config.sources:
            findings = None
            if wanting := self._config.alert_sinks_of(settings):
                findings = self._add(self._config.findings_of(settings), wanting).findings
            self._add(settings, self._config.sinks_of(settings), findings)
        for source in self._sources:
            source.start()
        self._observation.running(self._config, self._sources)

    def _add(
        self,
        settings: SourceSettings,
        sinks: Sequence[SinkSettings],
        findings: Findings | None = None,
    ) -> RunningSource:
        make = self._observation.maker(self._config, name_of(settings), findings)
        source = RunningSource(settings, sinks, self._config, self._clock, self._tell, make=make)
        source.on_failure = lambda: self.wish(Wish.FAIL)
        source.on_end = self._one_ended
        self._sources.append(source)
        return source

    def _one_ended(self) -> None:
        self._ended += 1
        if self._ended == len(self._config.sources):  # what is detected in them has no end
            self.wish(Wish.DRAIN)

    def _failures(self) -> list[BaseException]:
        return [error for source in self._sources for error in source.failed]

    def _failure(self) -> BaseException | None:
        """Give what ended a thread and is not waited out."""
        waits_out = self._config.waits_out
        return next((error for error in self._failures() if not waits_out(error)), None)

    def _answer_failure(self) -> None:
        """Go back to the former configuration where the one on trial is refused, wait, or raise."""
        failures, former = self._failures(), self._former
        trial = former is not None and self._clock.monotonic() < self._trial_end
        refusal = next((each for each in failures if isinstance(each, MisconfiguredError)), None)
        if former is not None and trial and refusal is not None:
            self._keep(former, refusal)
        elif (error := self._failure()) is not None:
            raise error
        else:
            for each in failures:
                self._wait_out(each)

    def _wait_out(self, refusal: BaseException) -> None:
        """Let the other lanes go on, and ask the target again later."""
        seconds = self._config.refused_retry_seconds
        if seconds is None or not isinstance(refusal, ShipperError) or refusal in self._told:
            return
        self._told.append(refusal)
        detail = f"{refusal}; asked again in {seconds:g} s"
        self._tell(Trouble(refusal.source, refusal.sink, detail, down=True))
        if self._ask_again is None:
            self._ask_again = self._clock.monotonic() + seconds

    def _begin_anew(self) -> None:
        """Start everything again, as a new process would: secrets are read from their files."""
        try:
            config = self._fresh()
        except ShipperError as error:
            self._tell(Trouble("", "", f"the configuration stays as it was: {error}"))
            config = self._config
        self._halt()
        self._config = config
        self._start()

    def _keep(self, former: Config, error: ShipperError) -> None:
        """Start the former configuration again, if it is not running still."""
        detail = f"the configuration stays as it was: {error}"
        self._tell(Trouble(error.source, error.sink, detail))
        self._observation.metrics.reloaded(good=False)
        if self._config is not former:
            self._halt()
            self._config, self._former = former, None
            self._start()

    def _replace(self) -> None:
        """Take a new configuration; keep the old one if the new one is bad or does not start."""
        before = self._config
        try:
            config = self._fresh()
            self._halt()
            self._config = config
            self._start()
        except ShipperError as error:
            self._keep(before, error)
            return
        self._former, self._trial_end = before, self._clock.monotonic() + TRIAL_SECONDS
        self._observation.metrics.reloaded(good=True)

    def _fresh(self) -> Config:
        """Read the configuration anew. Raises UsageError."""
        config, before = self._reload(), self._config
        changed = [each for each in FIXED if getattr(config, each) != getattr(before, each)]
        if changed:
            raise UsageError(f"{', '.join(changed)} cannot change while running: restart instead")
        return config

    def _drain(self) -> list[Remainder]:
        """Ship on until the logs are quiet, or time is up."""
        if self._ask_again is not None:  # what refused us may take it by now
            self._begin_anew()
        clock, config = self._clock, self._config
        deadline = clock.monotonic() + config.drain_seconds
        idle_since: float | None = None
        never = threading.Event()
        while (now := clock.monotonic()) < deadline:
            if not all(source.idle for source in self._sources):
                idle_since = None
            elif idle_since is None:
                idle_since = now
            elif now - idle_since >= config.drain_idle_seconds:
                break
            if self._failure() is not None:
                break
            clock.wait(never, LOOK_SECONDS)
        for source in self._sources:
            source.halt()
        if (error := self._failure()) is not None:
            raise error
        return [each for source in self._sources for each in source.remaining()]

    def _halt(self) -> None:
        for source in self._sources:
            source.halt()
        for source in self._sources:  # not before: one may write what another follows
            source.close()
        self._sources, self._ended = [], 0
