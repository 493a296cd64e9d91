"""The list syntax of the plugin's filter variables, and what an account entry matches.

root@localhost, 'app'@'10.0.%', "o'neil"@'%'
select,set_option
shop, `my,db`
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final, NamedTuple

_QUOTED: Final = r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`"""
_ENTRY: Final = re.compile(rf"((?:{_QUOTED}|[^,'\"`])*)(,|$)")
_NAME: Final = re.compile(rf"{_QUOTED}|[^'\"`]+")
_ACCOUNT: Final = re.compile(rf"({_QUOTED}|[^'\"`]*)@({_QUOTED}|[^'\"`@]*)")


class Account(NamedTuple):
    """An entry of a list of accounts."""

    user: str
    host: str


def names(entries: str | tuple[str, ...]) -> list[str]:
    """Read a list of names. Raises ValueError with the entry that is none."""
    found = []
    for entry in _split(entries):
        if _NAME.fullmatch(entry) is None:
            raise ValueError(f"{entry!r} is not a name")
        found.append(_unquoted(entry))
    return found


def accounts(entries: str | tuple[str, ...]) -> list[Account]:
    """Read a list of accounts. Raises ValueError with the entry that is none."""
    found = []
    for entry in _split(entries):
        match = _ACCOUNT.fullmatch(entry)
        if match is None or not match[2]:
            raise ValueError(f"{entry!r} is not an account: write 'user'@'host'")
        found.append(Account(_unquoted(match[1].strip()), _unquoted(match[2].strip())))
    return found


def _split(entries: str | tuple[str, ...]) -> list[str]:
    """Give the entries of a list, quotes and all; empty ones mean nothing."""
    if not isinstance(entries, str):
        return [entry.strip() for entry in entries if entry.strip()]
    found, at = [], 0
    while at <= len(entries):
        match = _ENTRY.match(entries, at)
        if match is None:
            raise ValueError(f"a quote is not closed in {entries[at:].strip()!r}")
        found.append(match[1].strip())
        at = match.end() + (match[2] == "")
    return [entry for entry in found if entry]


def _unquoted(text: str) -> str:
    quote = text[:1]
    if quote not in {"'", '"', "`"}:
        return text
    return text[1:-1].replace(quote * 2, quote)


class Accounts:
    """A list of accounts that can be asked whether it names somebody.

    A record has the client's host and address, seldom the host part of the account. So an entry
    matches as the server matches accounts: `%` and `_` stand for any characters and for one, and
    a host part may be a network (`10.0.0.0/255.0.0.0`). Users are compared as they are, hosts
    regardless of case.
    """

    def __init__(self, entries: list[Account]) -> None:
        """Sort the entries by what is needed to match them."""
        self._exact: set[tuple[str, str]] = set()
        self._patterns: dict[str, list[re.Pattern[str]]] = {}
        self._networks: dict[str, list[IPv4Network | IPv6Network]] = {}
        for user, host in entries:
            self._exact.add((user, host.lower()))
            if "%" in host or "_" in host:
                self._patterns.setdefault(user, []).append(_like(host))
            elif "/" in host and (network := _network(host)):
                self._networks.setdefault(user, []).append(network)

    def have(self, user: str, host: str, ip: str) -> bool:
        """Say whether an entry matches this user at this host or address."""
        places = [place.lower() for place in (host, ip) if place] or [""]
        if any((user, place) in self._exact for place in places):
            return True
        patterns = self._patterns.get(user, ())
        if any(pattern.fullmatch(place) for pattern in patterns for place in places):
            return True
        networks = self._networks.get(user)
        return networks is not None and any(_within(place, networks) for place in places)


def _like(pattern: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    text = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _network(host: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(host, strict=False)
    except ValueError:
        return None


def _within(place: str, networks: list[IPv4Network | IPv6Network]) -> bool:
    try:
        address = ip_address(place)
    except ValueError:
        return False
    return any(address in network for network in networks)
