"""What the detector can be told. All times are event time: what the records say, not the clock."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from shipper import settings
from shipper.addresses import is_network
from shipper.settings import Positive, Seconds

# The names of `shipper.detection.RULES`, spelt out so that a typing error is refused at the start.
RuleName = Literal[
    "source_burst",
    "account_burst",
    "password_spray",
    "distributed_burst",
    "success_after_burst",
    "change_user_guessing",
    "audit_switched_off",
    "new_error_code",
]

# Accounts remembered for one source, and networks for one account: beyond this the number is "at
# least so many", which no rule asks about.
DISTINCT_MAX: Final = 64

_WINDOWS: Final = (
    "burst_window_seconds",
    "slow_window_seconds",
    "spray_window_seconds",
    "distributed_window_seconds",
    "success_window_seconds",
    "change_user_window_seconds",
)


class Settings(settings.Settings, frozen=True, kw_only=True):
    """Thresholds, windows and exceptions of the detector."""

    # A burst: a person mistypes five times, a program with a wrong password retries for ever. 20
    # in five minutes is what the Prometheus rules use too.
    burst_failures: Positive = 20
    burst_window_seconds: Seconds = 300.0
    # An attack that keeps below the burst: one guess a minute.
    slow_failures: Positive = 50
    slow_window_seconds: Seconds = 3600.0
    # One source, this many accounts that it never logged in with.
    spray_accounts: Positive = 5
    spray_window_seconds: Seconds = 1800.0
    # One account, tried from this many networks (/24; /16 of private addresses; /48 of IPv6).
    distributed_failures: Positive = 20
    distributed_networks: Positive = 5
    distributed_window_seconds: Seconds = 3600.0
    # A login that succeeds after this many refused ones of the same source.
    success_failures: Positive = 10
    success_window_seconds: Seconds = 900.0
    # Nobody mistypes a change of user: programs do it.
    change_user_failures: Positive = 5
    change_user_window_seconds: Seconds = 300.0
    # An account that has logged in from a network before is likelier to have an old password than
    # an attacker: its refused logins need this many times the burst.
    familiar_factor: Positive = 15
    familiar_seconds: Seconds = 30 * 86400.0  # how long such a login is remembered
    # A reason for refusal is new if it was not seen for so long, and the log is known that long.
    new_code_seconds: Seconds = 7 * 86400.0
    # How far behind the newest a record may be and still count in its window. Threads of a server
    # write within a second of each other; files of Aurora overlap by minutes.
    late_seconds: Seconds = 900.0
    # A burst is over after so long without a failure; a later one is told anew.
    quiet_seconds: Seconds = 3600.0
    # A burst that never ends is told again after this.
    repeat_seconds: Seconds = 86400.0
    # Addresses or networks that stand for many clients: rules about one source leave them out.
    trusted_proxies: tuple[str, ...] = ()
    # Accounts that do not count, `user` or `user@address` or `user@network`: monitoring. Bind them
    # to an address, or guesses at them go unseen.
    ignore_accounts: tuple[str, ...] = ()
    # Addresses or networks that do not count: scanners of one's own.
    ignore_sources: tuple[str, ...] = ()
    off: tuple[RuleName, ...] = ()  # rules that are not wanted
    # Sources, and accounts, watched at once, in each rule: attackers choose both. 4096 keys with
    # one failure each are about 300 kB of state.
    keys_max: Positive = 4096

    def windows(self) -> list[float]:
        """Give the lengths of all windows, in seconds."""
        return [getattr(self, name) for name in _WINDOWS]

    def problems(self) -> Iterator[str]:
        """Say which fields disagree."""
        for name in ("trusted_proxies", "ignore_sources"):
            for text in getattr(self, name):
                if not is_network(text):
                    yield f"{name}: {text!r} is neither an address nor a network (10.0.0.0/8)"
        yield from self._of_accounts()
        yield from self._too_short()
        if self.burst_failures < 2 or self.slow_failures < 2:
            yield "burst_failures and slow_failures: 2 or more are a burst"
        if self.spray_accounts > DISTINCT_MAX:
            yield f"spray_accounts: no more than {DISTINCT_MAX} of one source are remembered"
        if self.slow_window_seconds < self.burst_window_seconds:
            yield "slow_window_seconds must not be below burst_window_seconds"
        if self.success_window_seconds > self.slow_window_seconds:
            yield "success_window_seconds must not be above slow_window_seconds"

    def _of_accounts(self) -> Iterator[str]:
        for text in self.ignore_accounts:
            user, at, where = text.rpartition("@")
            if text.startswith(("'", "`", '"')):
                yield f"ignore_accounts: {text!r}: give user@address without quotes"
            elif at and user and "/" in where and not is_network(where):
                yield f"ignore_accounts: {where!r} in {text!r} is not a network"
            elif at and user and ("%" in where or "*" in where):
                # MySQL's own words would be taken for a name, and never be met.
                yield f"ignore_accounts: {text!r}: for anywhere give the user alone, else a network"

    def _too_short(self) -> Iterator[str]:
        for name in _WINDOWS:
            # Times are whole seconds, and a window is half open: in a shorter one nothing happens.
            if getattr(self, name) < 1:
                yield f"{name}: in less than a second nothing is found; to have no rule: `off`"
        if self.repeat_seconds < 1:
            yield "repeat_seconds: each failure would be told; for never, give a long time"
