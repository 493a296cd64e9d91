"""What a sink can be told to leave out, in the audit plugin's own words (formats.md 1.11)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from shipper.policy.lists import accounts, names
from shipper.settings import Settings

# As the plugin's variables have them, `"'app'@'%', root@localhost"`, or as a list of such entries.
# None: no such filter; an empty list includes, or excludes, nothing.
Entries = str | tuple[str, ...] | None

_PAIRS: Final = ("accounts", "commands", "databases")


class PolicySettings(Settings, frozen=True, kw_only=True):
    """What to leave out. Of each pair, at most one."""

    policy: Literal["ALL", "LOGINS", "QUERIES", "NONE"] = "ALL"
    include_accounts: Entries = None
    exclude_accounts: Entries = None
    include_commands: Entries = None  # by COMMAND_CLASS: select, set_option
    exclude_commands: Entries = None
    include_databases: Entries = None
    exclude_databases: Entries = None

    def problems(self) -> Iterator[str]:
        """Find pairs that exclude each other, and entries that are no names."""
        for pair in _PAIRS:
            given = [f"{way}_{pair}" for way in ("include", "exclude")]
            given = [name for name in given if getattr(self, name) is not None]
            if len(given) > 1:
                yield f"{' and '.join(given)} exclude each other: keep one of them"
            for name in given:
                try:
                    (accounts if pair == "accounts" else names)(getattr(self, name))
                except ValueError as error:
                    yield f"{name}: {error}"
