"""The detector: one pass over a block's records, a closer look at logins.

Theory of operation. Nearly all records are statements; a block marks the others. Those are logins,
and nearly all of them worked: one comprehension leaves out a client that did so on the same day.
Only refused logins, and logins that worked for the first time today, reach the rules.

Three ideas keep the findings few and right:

- *Familiar*: an account that has logged in from a network before, and is refused there now, has
  an old password; it takes `familiar_factor` times the failures before that is told.
- *One explanation*: failures that an episode explains (this source is guessing) do not start a
  second one (this account is being guessed).
- *Episodes*: a burst is told when it begins, and once a day while it lasts.

The same records give the same findings, however they are cut into blocks (as long as no table is
full), and a record whose offset was seen before is not seen again. So a state that is older than
what was told finds the same again, under the same id, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from shipper.addresses import bounded
from shipper.clock import seconds_of
from shipper.detect.episodes import Episodes
from shipper.detect.failures import Failures
from shipper.detect.familiar import Familiar
from shipper.detect.login import Facts, Login
from shipper.detect.settings import Settings
from shipper.detect.state import SEGMENTS_MAX, VERSION, State
from shipper.detection import AUDIT_SWITCHED_OFF, Detection, Sample
from shipper.model import AUDIT_STOP, CHANGE_USER, CONNECT, AuditRecord, Block, Marked

# User; address or host, as `source_of` has it; day, because who comes daily shall stay familiar.
_Client: TypeAlias = tuple[str | None, str | None, str]

_WATCHED: Final = frozenset((CONNECT, CHANGE_USER, AUDIT_STOP))
# Clients of one server that logged in, by day. Forgotten as a whole when full.
_SEEN_MAX: Final = 16_384
# Forgetting walks over all tables, at most 4096 keys each: not more often than this event time.
_FORGET_SECONDS: Final = 60


class Detector:
    """Looks at records in the order of the log; to be used by one thread."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Begin with nothing known."""
        self._settings = settings or Settings()
        self._start(State())

    def _start(self, state: State) -> None:
        self._state = state
        episodes = Episodes(self._settings, state)
        self._episodes = episodes
        self._familiar = Familiar(self._settings, state, episodes)
        self._failures = Failures(self._settings, state, episodes, self._familiar)
        self._seen: set[_Client] = set()
        self._last: str | None = None  # time of the last record
        self._text, self._second = "", 0
        self._forgot = 0

    def see(self, block: Block, segment: str = "") -> list[Detection]:
        """Look at a block of this segment; what was looked at before is left out."""
        upto = self._state.upto.get(segment, 0)
        if block.end <= upto:
            return []
        if block.start < upto:
            block = block.since(upto)
        return self.consider(block.marked, segment, block.end)

    def _mark(self, segment: str, end: int) -> None:
        upto = self._state.upto
        upto[segment] = end
        if len(upto) > SEGMENTS_MAX:
            del upto[next(iter(upto))]

    def consider(self, marked: Marked, segment: str, end: int) -> list[Detection]:
        """Look at what is marked of a block that ends at `end`.

        For a caller that has left out already what was looked at before.
        """
        found: list[Detection] = []
        begin: int | None = 0
        if marked.records:
            self._last = marked.records[-1].timestamp or self._last
        while begin is not None:
            begin = self._look(marked, begin, segment, found)
        for detection in found:
            self._state.counts[detection.rule] += 1
        self._mark(segment, end)
        return found

    def _look(self, marked: Marked, begin: int, segment: str, found: list[Detection]) -> int | None:
        """Look at records from `begin` on; give where to look anew, if something was forgotten."""
        records, starts = marked
        seen = self._seen
        # Who is known now is left out here; who becomes known in this block, below.
        indexes = [
            index
            for index, record in enumerate(islice(records, begin, None), begin)
            if (kind := record.kind) in _WATCHED
            and (
                record.status
                or kind is AUDIT_STOP
                or (record.user, record.ip or record.host, (record.timestamp or "")[:10])
                not in seen
            )
        ]
        for index in indexes:
            record = records[index]
            if record.kind == AUDIT_STOP:
                found += self._stopped(record, starts[index], segment)
            elif record.status:
                found += self._refused(record, starts[index], segment)
            elif record.status == 0 and _client(record) not in self._seen:
                found += self._accepted(record, starts[index], segment)
            if self._seen is not seen:
                return index + 1
        return None

    def _login(self, record: AuditRecord, facts: Facts, offset: int, segment: str) -> Login:
        return Login(
            self._time(record.timestamp),
            facts.user,
            facts.source,
            Sample(segment, offset),
            record.status or 0,
            record.kind == CHANGE_USER,
        )

    def _refused(self, record: AuditRecord, offset: int, segment: str) -> Iterable[Detection]:
        facts = self._failures.facts(record)
        if facts.probe or facts.ignored:
            return ()
        login = self._login(record, facts, offset, segment)
        found = self._failures.judge(facts, login)
        if login.source in self._state.strangers and facts.guess:
            late = list(self._familiar.late(login))
            if late:
                self._seen = set()  # what was taken for familiar is not
            return [*found, *late]
        return found

    def _accepted(self, record: AuditRecord, offset: int, segment: str) -> Iterable[Detection]:
        facts = self._failures.facts(record)
        login = self._login(record, facts, offset, segment)
        if self._failures.ignores(login):
            return ()
        proxied = self._failures.is_proxy(login.source)
        found = list(self._familiar.accept(login, proxied=proxied))
        if len(self._seen) >= _SEEN_MAX:
            self._seen = set()
        if self._familiar.knows(facts.pair, login.second):
            self._seen.add(_client(record))
        return found

    def _stopped(self, record: AuditRecord, offset: int, segment: str) -> Iterable[Detection]:
        if AUDIT_SWITCHED_OFF in self._settings.off:
            return ()
        second, at = self._time(record.timestamp), Sample(segment, offset)
        user = bounded(record.user) if record.user else None
        return (Detection(AUDIT_SWITCHED_OFF, at, 1, second, second, user=user, samples=(at,)),)

    def _time(self, timestamp: str | None) -> int:
        """Give event time in whole seconds; a record without one happened now."""
        state = self._state
        if timestamp is None:
            return state.newest
        if timestamp != self._text:
            self._text, self._second = timestamp, int(seconds_of(timestamp))
            # A jump back beyond lateness is another stretch of log, or the end of a false clock.
            if not state.newest - self._failures.horizon <= self._second <= state.newest:
                state.newest = self._second
            if state.began is None:
                state.began = self._second
        return self._second

    @property
    def counts(self) -> dict[str, int]:
        """Give how many findings each rule ever had."""
        return dict(self._state.counts)

    @property
    def newest(self) -> int:
        """Event time of the newest record, seconds since 1970."""
        return max(self._state.newest, int(seconds_of(self._last)) if self._last else 0)

    def failed_accounts(self, top: int = 20, elapsed: float = 0.0) -> list[tuple[str, int]]:
        """Give the sources with most accounts refused in the spray window, 2 or more each.

        `elapsed`: seconds since `newest` came. A window ends also where no record follows.
        """
        begin = self.newest + int(elapsed) - int(self._settings.spray_window_seconds)
        distinct = (
            (source, sum(second > begin for second in accounts.values()))
            for source, accounts in list(self._state.tried.items())
        )
        return sorted((one for one in distinct if one[1] >= 2), key=lambda one: -one[1])[:top]

    def dump(self) -> bytes:
        """Write everything that a later process needs."""
        self._forget()
        return msgspec.msgpack.encode(self._state)

    def load(self, saved: bytes) -> bool:
        """Go on where `dump` was; False if another version wrote it: then nothing is known."""
        try:
            state = msgspec.msgpack.decode(saved, type=State)
        except msgspec.DecodeError:
            return False
        if state.version != VERSION:
            return False
        for rule, count in State().counts.items():  # a rule that is newer than what was saved
            state.counts.setdefault(rule, count)
            state.episodes.setdefault(rule, {})
        self._start(state)
        return True

    def _forget(self) -> None:
        """Remove what no later record can need."""
        state = self._state
        if abs(state.newest - self._forgot) < _FORGET_SECONDS:
            return
        self._forgot = state.newest
        before = state.newest - 2 * self._failures.horizon
        for table in (state.sources, state.accounts, state.known, state.spread, state.changes):
            for key in [key for key, one in table.items() if one.entries[-1][0] < before]:
                del table[key]
        for key in [key for key, one in state.tried.items() if max(one.values()) < before]:
            del state.tried[key]
        self._episodes.forget(min(before, state.newest - int(self._settings.quiet_seconds)))
        self._familiar.forget(state.newest)


def _client(record: AuditRecord) -> _Client:
    return record.user, record.ip or record.host, (record.timestamp or "")[:10]
