"""A state machine against a model: whatever is done to files, no byte is lost or read twice.

The model is the list of everything the server wrote. At the end each record is in the target
exactly once, or its bytes were destroyed before anybody looked: then the ledger has a loss for it.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from lane.logs import Log
from lane.world import FaultySink, PackingSink, Target, World, unavailable

from shipper.notices import Lost
from shipper.source.looker import SCAN_SECONDS

KINDS = (PackingSink, FaultySink)  # of the sinks into the two targets


class Following(RuleBasedStateMachine):
    """Rules are what servers, logrotate, people and crashes do."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="follow-"))
        self.targets = [Target(), Target()]
        self.names = 0
        self.destroyed = 0  # records whose bytes may be gone before they were read
        self.part = ""

    @initialize(form=st.sampled_from(["json", "xml", "mariadb"]))
    def begin(self, form: str) -> None:
        self.world = World(self.folder, self.targets, kinds=KINDS)
        self.log = Log(self.world.log, form)

    def teardown(self) -> None:
        try:
            if hasattr(self, "log"):
                self._end()
        finally:
            if hasattr(self, "log"):
                self.world.crash()
                self.log.close()
            shutil.rmtree(self.folder)

    def _end(self) -> None:
        self.finish_part()
        self.log.write(1)
        for sink in self.world.sinks:
            sink.before.clear()
        self.world.settle()
        assert self.world.source.remaining() == []
        written = Counter(self.log.users())
        for target in self.targets:
            assert max(target.held.values()) == 1
            missing = written - Counter(target.users)
            assert not Counter(target.users) - written
            assert missing.total() <= self.destroyed
            if missing:
                assert self.world.told(Lost) or self.world.source.state.losses()

    def _name(self) -> str:
        self.names += 1
        return f"audit.log.2026010{self.names % 9 + 1}-{self.names}"

    # --- the server ------------------------------------------------------------------------

    @rule(count=st.integers(1, 30))
    def write(self, count: int) -> None:
        self.finish_part()
        self.log.write(count)

    @rule(share=st.floats(0.05, 0.95))
    def write_a_part(self, share: float) -> None:
        if not self.part:
            self.part = self.log.write_part(share)
        cut = int(len(self.part) * share)
        self.log.write_text(self.part[:cut])
        self.part = self.part[cut:]

    @rule()
    def finish_part(self) -> None:
        self.log.write_text(self.part)
        self.part = ""

    @rule()
    def rotate_by_size(self) -> None:
        self.finish_part()
        self.log.rotate_by_size(keep=8)

    @rule()
    def flush(self) -> None:
        self.finish_part()
        self.log.flush()

    @precondition(lambda self: not self.part)
    @rule()
    def take_the_footer_back(self) -> None:
        footer = self.log.footer.encode()
        data = self.log.path.read_bytes() if self.log.path.exists() else b""
        if footer and data.endswith(footer):
            with self.log.path.open("r+b") as file:
                file.truncate(len(data) - len(footer))
            self.log.reopen()

    @rule()
    def write_on_into_a_rotated_file(self) -> None:
        """Percona until 8.0.31, shipped or not; and somebody looks before anybody deletes it."""
        rotated = self.log.path.with_name("audit.log.1")
        if self.log.path.exists() and rotated.exists():
            self.finish_part()
            with rotated.open("a") as file:
                file.write(self.log.row(self.log.number))
            self.log.number += 1
            self.world.clock.move(SCAN_SECONDS)
            self.world.source.catalog.poll()

    # --- others ----------------------------------------------------------------------------

    @rule()
    def rename_and_flush(self) -> None:
        self.finish_part()
        self.log.rename_and_flush(self._name())

    @rule()
    def rename_now_flush_later(self) -> None:
        self.finish_part()
        self.log.path.rename(self.log.path.with_name(self._name()))
        self.log.write(2)
        self.world.ship()
        self.log.flush()

    @rule()
    def copy_and_truncate(self) -> None:
        self.finish_part()
        self.log.copy_truncate(self._name())

    @rule()
    def copy_and_truncate_after_a_look(self) -> None:
        """The copy is seen while the log still holds the same."""
        self.finish_part()
        if self.log.path.exists():
            self.log.copy(self._name())
            self.world.source.catalog.poll()
            self.log.truncate()

    @rule()
    def compress_the_oldest(self) -> None:
        older = sorted(self.log.path.parent.glob("audit.log?*[0-9]"))
        if older:
            packed = older[0].with_name(older[0].name + ".gz")
            packed.write_bytes(gzip.compress(older[0].read_bytes()))
            shutil.copystat(older[0], packed)
            self.world.source.catalog.poll()
            older[0].unlink()

    @rule()
    def delete_the_oldest(self) -> None:
        """Held segments survive this; so it needs a look before."""
        self.world.source.catalog.poll()
        older = sorted(self.log.path.parent.glob("audit.log?*"))
        if older:
            older[0].unlink()

    @rule()
    def truncate(self) -> None:
        """Destroy what was not read, under the eyes of the shipper: then it must say so."""
        self.finish_part()
        self.world.source.catalog.poll()
        self.destroyed = max(self.destroyed, self.log.number)
        self.log.truncate()
        self.world.source.catalog.poll()
        self.log.write_text(self.log.header)

    # --- us --------------------------------------------------------------------------------

    @rule()
    def look(self) -> None:
        self.world.source.catalog.poll()

    @rule(lane=st.integers(0, 1))
    def one_lane_works_a_little(self, lane: int) -> None:
        self.world.source.lanes[lane].turn()

    @rule()
    def ship(self) -> None:
        self.world.ship()

    @rule()
    def settle(self) -> None:
        self.world.settle()

    @rule(lane=st.integers(0, 1))
    def the_target_is_away_for_a_while(self, lane: int) -> None:
        self.world.sinks[lane].before += [unavailable, unavailable]

    @rule()
    def restart(self) -> None:
        self.world.crash()
        self.world = World(
            self.folder, self.targets, self.world.clock, kinds=[PackingSink, FaultySink]
        )


TestFollowing = pytest.mark.timeout(600)(Following.TestCase)
TestFollowing.settings = settings(
    # Shrinking a story takes minutes of a busy machine; a failing one is short enough to read.
    # `tests/lane/random_follow.py` runs many more of the same.
    max_examples=20,
    stateful_step_count=20,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
