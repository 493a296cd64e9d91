"""What the contract suite needs to know of a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AbstractContextManager

from shipper.sink import Sink


class Rig(ABC):
    """A target under test."""

    # A batch delivered twice is in the target once. False: at least once, and documented so.
    exactly_once: bool = False
    # A delivery into an outage raises. False: the target's protocol gives no answer at all, so what
    # was sent meanwhile is lost, and documented so.
    notices_outages: bool = True

    @abstractmethod
    def sink(self) -> Sink:
        """Make a sink for the target, not prepared yet."""

    @abstractmethod
    def held(self) -> Counter[tuple[str, int]]:
        """Count what the target holds: (segment, offset) -> times. Waits until it is visible."""

    @abstractmethod
    def broken(self) -> AbstractContextManager[None]:
        """Make the target unable to take anything while the context lasts, as an outage would."""
