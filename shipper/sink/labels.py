"""Users and addresses as label values: few, short, and not a way into somebody's terminal.

Both are chosen by attackers, and a user name is now and then a password typed into the wrong field.
So each family has at most `series_max` series, first come first served: whoever rotates addresses
cannot push out the busy ones. The rest is `__other__`, and counted as untracked. A series that was
idle for `idle_seconds` makes room.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Annotated, Final, Literal

from msgspec import Meta

from shipper.addresses import MEMO_MAX, among, is_network
from shipper.counts import NONE, OTHER_VALUES, PROXY, AuditCounts, Tally
from shipper.settings import Seconds, Secret
from shipper.sink.base import SinkSettings
from shipper.terminal import printable

# plain: as it is; hash: a keyed digest; allow: only those listed, the rest is __other__; off: none.
Mode = Literal["plain", "hash", "allow", "off"]
_DIGEST_BYTES: Final = 6  # 12 hex digits: of 100 series, no two alike by chance
_DIGEST: Final = re.compile(f"[0-9a-f]{{{2 * _DIGEST_BYTES}}}")

# They have room in every family, whoever came first.
_OWN: Final = (OTHER_VALUES, PROXY, NONE)


class LabelSettings(SinkSettings, frozen=True, kw_only=True):
    """How users and addresses become label values."""

    users: Mode = "plain"
    addresses: Mode = "plain"
    users_allowed: tuple[str, ...] = ()  # for `users: allow`
    addresses_allowed: tuple[str, ...] = ()  # for `addresses: allow`: addresses or networks
    # For `hash`: without a key, whoever knows the names can try them out.
    hash_key: Secret = ""
    # Addresses or networks that stand for many clients: they count as __proxy__, and the detector's
    # rules about one source leave them out.
    trusted_proxies: tuple[str, ...] = ()
    # Of one family. Prometheus wants less than 100 as a rule; two families stay below 500 with all
    # the closed ones, three words of our own in each, and 20 addresses that try several accounts.
    series_max: Annotated[int, Meta(ge=1, le=1000)] = 90
    value_bytes_max: Annotated[int, Meta(ge=16, le=256)] = 64  # MySQL's users have 32 characters
    idle_seconds: Seconds = 3600.0  # a series without a failure for so long makes room

    def problems(self) -> Iterator[str]:
        """Say which fields disagree."""
        for name in ("trusted_proxies", "addresses_allowed"):
            for text in getattr(self, name):
                if not is_network(text):
                    yield f"{name}: {text!r} is neither an address nor a network (10.0.0.0/8)"
        for what in ("users", "addresses"):
            if getattr(self, what) == "allow" and not getattr(self, f"{what}_allowed"):
                yield f"{what}: allow needs {what}_allowed"


class Labels:
    """Makes label values and keeps the families small."""

    def __init__(self, settings: LabelSettings) -> None:
        """Read the settings once."""
        self._settings = settings
        self._is_proxy = among(settings.trusted_proxies)
        users, listed = frozenset(settings.users_allowed), among(settings.addresses_allowed)
        modes = self._allowed = {"users": users.__contains__, "addresses": listed}
        self.user = lru_cache(MEMO_MAX)(
            lambda text: self._value(text, settings.users, modes["users"])
        )
        self._address = lru_cache(MEMO_MAX)(
            lambda text: self._value(text, settings.addresses, modes["addresses"])
        )

    def source(self, source: str) -> tuple[str | None, str | None]:
        """Give the value for an address or host, and why it is not its own; None: no series."""
        return (PROXY, None) if self._is_proxy(source) else self._address(source)

    @property
    def proxies(self) -> tuple[str, ...]:
        """Give the addresses and networks that stand for many clients."""
        return self._settings.trusted_proxies

    def review(self, counts: AuditCounts) -> None:
        """Remove kept series that these settings would not make: of names that are hashed now."""
        tables = {"users": counts.by_account, "addresses": counts.by_source}
        for what, table in tables.items():
            mode: Mode = getattr(self._settings, what)
            for value in list(table):
                if not self._may_stay(value, mode, self._allowed[what]):
                    del table[value]
        for value in filter(self._is_proxy, list(counts.by_source)):
            del counts.by_source[value]

    def _may_stay(self, value: str, mode: Mode, allowed: Callable[[str], bool]) -> bool:
        if value in _OWN:
            return mode != "off" or value == PROXY
        if mode == "hash":
            return _DIGEST.fullmatch(value) is not None
        return mode == "plain" or (mode == "allow" and allowed(value))

    def _value(
        self, text: str, mode: Mode, allowed: Callable[[str], bool]
    ) -> tuple[str | None, str | None]:
        if mode == "off":
            return None, None
        if not text:
            return NONE, None
        if mode == "allow" and not allowed(text):
            return OTHER_VALUES, None
        raw, reason = text.encode("utf-8", "backslashreplace"), None
        if not text.isascii() and raw != text.encode("utf-8", "replace"):
            reason = "invalid_utf8"
        if mode == "hash":
            return self._digest(raw), reason
        if text.startswith("__"):  # would be taken for one of our own words
            return OTHER_VALUES, "reserved"
        limit = self._settings.value_bytes_max
        if len(raw) > limit:
            head = raw[: limit - 13].decode(errors="ignore")
            text, reason = f"{head}…{self._digest(raw)[:10]}", "too_long"
        return printable(text, limit=4 * limit), reason

    def _digest(self, raw: bytes) -> str:
        key = self._settings.hash_key.encode()[:64]
        return hashlib.blake2b(raw, digest_size=_DIGEST_BYTES, key=key).hexdigest()

    def add(self, table: dict[str, Tally], value: str | None, now: int, number: int) -> str | None:
        """Count `number` for a value; the reason where they went to `__other__` instead."""
        if value is None:
            return None
        tally = table.get(value)
        if tally is None:
            if value not in _OWN and self._is_full(table):
                other = table.setdefault(OTHER_VALUES, Tally(0, now))
                other.count += number
                return "max_series"
            tally = table[value] = Tally(0, now)
        tally.count += number
        tally.touched = now
        return None

    def _is_full(self, table: dict[str, Tally]) -> bool:
        own = sum(value in table for value in _OWN)
        return len(table) - own >= self._settings.series_max

    def forget(self, counts: AuditCounts, now: int) -> None:
        """Remove idle series; once a batch or a scrape is often enough."""
        before = now - self._settings.idle_seconds
        kept = {OTHER_VALUES, PROXY}
        for table in (counts.by_account, counts.by_source):
            idle = [value for value, tally in table.items() if tally.touched < before]
            for value in idle:
                if value not in kept:
                    del table[value]
