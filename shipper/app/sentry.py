"""The detector of one source, between the lane that counts it and whoever asks what was found."""

from __future__ import annotations

import threading
from typing import Final

from shipper.clock import Clock
from shipper.detect import Detector
from shipper.model import Marked
from shipper.notices import Detected, Tell, Trouble
from shipper.observe.recent import Recent
from shipper.sink.base import Batch
from shipper.source.findings import Findings

_FORGOTTEN: Final = (
    "what the detector knew cannot be read: another version of this program wrote it. It begins "
    "anew: nobody is familiar, and a burst that goes on is told again"
)


class Sentry:
    """A detector beside the counts of one source; tells what it finds."""

    def __init__(
        self,
        detector: Detector,
        clock: Clock,
        tell: Tell,
        recent: Recent,
        findings: Findings | None = None,
        *,
        source: str = "",
    ) -> None:
        """Take records from the lane's thread, and questions from that of a scrape.

        `findings` keeps what is found for the sinks that want it; None where none does.
        """
        self._detector = detector
        self._clock = clock
        self._findings = findings
        self._recent = recent
        self._source = source
        self._tell = tell
        self._lock = threading.Lock()
        self._newest = (0, clock.monotonic())  # event time, and when it came

    def see(self, marked: Marked, batch: Batch, end: int) -> None:
        """Look at records, and tell."""
        self._recent.see(marked.records, batch.source)
        with self._lock:
            found = self._detector.consider(marked, batch.segment, end)
            self._note_time()
        for detection in found:
            self._tell(Detected(batch.source, detection))
            if self._findings is not None:
                self._findings.put(detection)

    def settle(self) -> bool:
        """Bring what was found to the disk, before the lane commits that it was looked for."""
        return self._findings is not None and self._findings.save()

    def dump(self) -> bytes:
        """Write what the detector knows."""
        with self._lock:
            return self._detector.dump()

    def load(self, saved: bytes) -> bool:
        """Go on where `dump` was; False where another version wrote that, which is told."""
        with self._lock:
            loaded = self._detector.load(saved)
            self._note_time()
        if not loaded:
            self._tell(Trouble(self._source, "", _FORGOTTEN))
        return loaded

    def _note_time(self) -> None:
        if self._detector.newest != self._newest[0]:
            self._newest = self._detector.newest, self._clock.monotonic()

    @property
    def counts(self) -> dict[str, int]:
        """Give how many findings each rule had."""
        with self._lock:
            return self._detector.counts

    def failed_accounts(self, top: int = 20) -> list[tuple[str, int]]:
        """Give the sources with most accounts refused, as of now."""
        with self._lock:
            elapsed = self._clock.monotonic() - self._newest[1]
            return self._detector.failed_accounts(top, elapsed)
