"""The composition root: settings into running parts. The only room that knows all others."""

from __future__ import annotations

import signal
from typing import Final

# The signals that a daemon answers: blocked while it starts, so that none is missed.
ANSWERED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
