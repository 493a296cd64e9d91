"""What a detector remembers, as one value that a lane saves together with its cursor."""

from __future__ import annotations

from typing import Final

from msgspec import Struct, field

from shipper.detect.tables import Episode, Window
from shipper.detection import RULES, Sample

VERSION: Final = 1
# Segments whose position is remembered: a lane reads one at a time, and after a crash one again.
SEGMENTS_MAX: Final = 64
# Logins that worked, by (account, network) and by (account, address); nobody adds one by guessing.
FAMILIAR_MAX: Final = 4096
CODES_MAX: Final = 256  # the servers together have some fifty for logins


class Stranger(Struct, array_like=True):
    """A login that worked, of an account that never came from that network before."""

    second: int
    user: str
    at: Sample


class State(Struct):
    """Everything that outlives a process. Keys of `familiar` are account, NUL, network."""

    version: int = VERSION
    upto: dict[str, int] = {}  # segment -> offset seen up to: a replay is not seen again
    began: int | None = None  # event time of the first login ever
    newest: int = 0  # event time of the newest record looked at
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RULES, 0))
    sources: dict[str, Window] = {}  # by source: (second, account)
    accounts: dict[str, Window] = {}  # by account: (second, source)
    known: dict[str, Window] = {}  # by account, failures from familiar networks
    spread: dict[str, Window] = {}  # by account: (second, network)
    changes: dict[str, Window] = {}  # by source: changes of user
    tried: dict[str, dict[str, int]] = {}  # source -> account -> second of the last failure
    strangers: dict[str, Stranger] = {}  # by source: for failures that are read late
    familiar: dict[str, tuple[int, int]] = {}  # -> second of the first login, day of the last
    clients: dict[str, int] = {}  # account, NUL, source -> day of the last login
    codes: dict[int, int] = {}  # error number -> second last seen
    episodes: dict[str, dict[str, Episode]] = field(
        default_factory=lambda: {rule: {} for rule in RULES}
    )
