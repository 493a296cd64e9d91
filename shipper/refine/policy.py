"""Which records a sink gets: the audit plugin's policy and filters, on decoded records.

The plugin filters what it writes (formats.md 1.11); here each sink filters what it gets, by the
same rules as far as a record says what they ask for. What a record does not say never leaves it
out. docs/policy.md has the rules and where they must differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import compress
from operator import attrgetter
from typing import Final, NamedTuple

from shipper.model import (
    AUDIT_START,
    AUDIT_STOP,
    QUERY,
    SESSION_KINDS,
    TABLE,
    AuditRecord,
    Block,
)
from shipper.policy import Entries, PolicySettings
from shipper.policy.lists import Accounts, accounts, names

_AUDIT: Final = frozenset((AUDIT_START, AUDIT_STOP))
# What each filter looks at, besides the kind.
_FIELDS: Final = {
    "policy": (),
    "accounts": ("user", "priv_user", "host", "ip"),
    "commands": ("command_class",),
    "databases": ("command_class", "db"),
}
# Only these touch tables, and so databases.
_ACCESSES: Final = frozenset((QUERY, TABLE))
# The server tells the plugin of no table while it makes one: always logged.
_NO_ACCESS: Final = frozenset(("create_table",))


class _Key(NamedTuple):
    """All that a verdict depends on. What no filter asks for is left empty."""

    kind: str
    user: str | None = None
    priv_user: str | None = None
    host: str | None = None
    ip: str | None = None
    command_class: str | None = None
    db: str | None = None


# Whether a list names what a record is about; None where the record does not say.
_Names = Callable[[_Key], bool | None]
# Whether a filter lets such records pass.
_Check = Callable[[_Key], bool]


class Policy:
    """Selects records. One for each sink; threads must not share it."""

    def __init__(self, settings: PolicySettings) -> None:
        """Read the lists. Raises ValueError where `problems()` would say something."""
        filters = {
            "accounts": (settings.include_accounts, settings.exclude_accounts, _accounts),
            "commands": (settings.include_commands, settings.exclude_commands, _commands),
            "databases": (settings.include_databases, settings.exclude_databases, _databases),
        }
        made = {name: _filter(*lists) for name, lists in filters.items()}
        self._checks: list[tuple[str, _Check]] = [("policy", _policy(settings.policy))]
        self._checks += [(name, check) for name, check in made.items() if check is not None]
        self._is_open = settings.policy == "ALL" and len(self._checks) == 1
        asked = sorted({field for name, _ in self._checks for field in _FIELDS[name]})
        # Of a single name `attrgetter` would give no tuple.
        self._fields = ("kind", *(asked or ["kind"]))
        self._key: Callable[[AuditRecord], tuple[str | None, ...]] = attrgetter(*self._fields)
        self._verdicts = _Verdicts(self._verdict)

    def select(self, block: Block) -> tuple[Block, dict[str, int]]:
        """Give the block without the records that are left out, and how many each filter took.

        The keys are `policy`, `accounts`, `commands`, `databases`: the first filter, in this
        order, that does not let a record pass. Span and defects stay.
        """
        if self._is_open:
            return block, {}
        verdicts = list(map(self._verdicts.__getitem__, map(self._key, block.records)))
        if not any(verdicts):
            return block, {}
        kept = [not verdict for verdict in verdicts]
        selected = Block(
            block.start,
            block.end,
            list(compress(block.records, kept)),
            list(compress(block.starts, kept)),
            list(compress(block.ends, kept)),
            block.defects,
        )
        counts = Counter(filter(None, verdicts))
        return selected, dict(counts)

    def _verdict(self, values: tuple[str | None, ...]) -> str:
        """Name the filter that leaves such records out; "" where none does."""
        key = _Key(**dict(zip(self._fields, values, strict=True)))  # type: ignore[arg-type]  # kind is never None
        if key.kind in _AUDIT:
            return ""
        return next((name for name, passes in self._checks if not passes(key)), "")


def _policy(policy: str) -> _Check:
    if policy == "ALL":
        return lambda _key: True
    if policy == "NONE":
        return lambda _key: False
    return lambda key: (key.kind in SESSION_KINDS) == (policy == "LOGINS")


def _filter(
    include: Entries, exclude: Entries, make: Callable[[str | tuple[str, ...]], _Names]
) -> _Check | None:
    """Make the check of a pair of lists; None where neither is given."""
    if include is not None and exclude is not None:
        raise ValueError("include and exclude lists exclude each other")
    if include is not None:
        included = make(include)
        return lambda key: included(key) is not False
    if exclude is not None:
        excluded = make(exclude)
        return lambda key: not excluded(key)
    return None


def _accounts(entries: str | tuple[str, ...]) -> _Names:
    known = Accounts(accounts(entries))

    def names_account(key: _Key) -> bool | None:
        user = key.priv_user or key.user
        if user is None and key.host is None and key.ip is None:
            return None
        return known.have(user or "", key.host or "", key.ip or "")

    return names_account


def _commands(entries: str | tuple[str, ...]) -> _Names:
    known = frozenset(name.lower() for name in names(entries))

    def names_command(key: _Key) -> bool | None:
        if not key.command_class or key.kind in SESSION_KINDS:
            return None
        return key.command_class.lower() in known

    return names_command


def _databases(entries: str | tuple[str, ...]) -> _Names:
    known = frozenset(names(entries))

    def names_database(key: _Key) -> bool | None:
        accesses = key.kind in _ACCESSES and key.command_class not in _NO_ACCESS
        if not key.db or not accesses:
            return None
        return key.db in known

    return names_database


class _Verdicts(dict[tuple[str | None, ...], str]):
    """A bounded memo: accounts and commands of a server are few, but attackers choose names."""

    # As many as the decoders' memos keep; full clearing needs no work on the hot path.
    ENTRIES_MAX: Final = 4096
    # Longer keys are not kept: names are short, and 4096 long ones would be a lot of memory.
    KEY_CHARS_MAX: Final = 1024

    def __init__(self, judge: Callable[[tuple[str | None, ...]], str]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, key: tuple[str | None, ...]) -> str:
        verdict = self._judge(key)
        if sum(len(value) for value in key if value) <= self.KEY_CHARS_MAX:
            if len(self) >= self.ENTRIES_MAX:
                self.clear()
            self[key] = verdict
        return verdict
