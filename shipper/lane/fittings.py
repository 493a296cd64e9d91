"""What the parts of a lane share."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec import Struct

from shipper.clock import Clock
from shipper.lane.dead_letters import DeadLetters
from shipper.lane.feed import Feed
from shipper.lane.state import State
from shipper.model import Block
from shipper.notices import Tell
from shipper.source.segment import Segment

# (block) -> (what is kept of it, how many records each filter left out)
Select = Callable[[Block], tuple[Block, dict[str, int]]]


def select_all(block: Block) -> tuple[Block, dict[str, int]]:
    """Keep everything."""
    return block, {}


class Fittings(Struct, frozen=True):
    """What a lane is given besides its sink."""

    source: str
    feed: Feed
    state: State
    dead_letters: DeadLetters
    clock: Clock
    tell: Tell
    stop: threading.Event
    chance: Callable[[], float]
    done: Callable[[Segment], None]  # this lane needs it no more
