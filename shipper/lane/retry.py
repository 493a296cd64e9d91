"""How long to wait before a delivery is tried again. Pure: chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

# A hiccup is over in half a second; a server that is down is asked once a minute, so that it is
# found soon after it is back, and a thousand sidecars are no load while it is not.
FIRST_SECONDS: Final = 0.5
MOST_SECONDS: Final = 60.0


class Backoff:
    """Doubling waits with full jitter, so that a thousand sidecars do not come back at once."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance` gives a number from 0 to 1."""
        self._chance = chance
        self.attempt = 0  # failures in a row

    def failed(self, retry_after: float | None = None) -> float:
        """Count a failure; give the seconds to wait. What the target asked for is respected."""
        self.attempt += 1
        ceiling = min(FIRST_SECONDS * 2.0 ** min(self.attempt - 1, 20), MOST_SECONDS)
        jittered = ceiling * (0.5 + 0.5 * self._chance())
        # A target that asks for an hour may not mean it: nobody watches it meanwhile.
        return max(jittered, min(retry_after or 0.0, 5 * MOST_SECONDS))

    def worked(self) -> None:
        """Begin anew."""
        self.attempt = 0
