"""Where a client is: one spelling of its address, its network, and lists of both.

The same few clients are asked about again and again, so the answers are remembered, bounded. Texts
come from the log: what leaves this module is cut and can be encoded everywhere, but is not safe to
print.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, TypeAlias

SOCKET: Final = "(socket)"  # neither an address nor a host: through the server's own socket
# MySQL's users have at most 32 characters, MariaDB's 128, host names 253: 96 characters tell any
# real two apart by their beginning, and the digest the made-up ones.
TEXT_MAX: Final = 96
MEMO_MAX: Final = 16_384  # as many as there are keys in all tables of the detector

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
# Inside a company one subnet a machine or a node is usual: a service there moves in a /16.
_PRIVATE: Final = tuple(
    map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)


def bounded(text: str) -> str:
    """Cut a text that an attacker may have chosen, and make it encodable everywhere."""
    if len(text) <= TEXT_MAX and text.isascii():
        return text
    whole = text.encode("utf-8", "backslashreplace")
    if len(whole) <= 2 * TEXT_MAX:
        return whole.decode()
    digest = hashlib.blake2b(whole, digest_size=8).hexdigest()
    return f"{whole[:TEXT_MAX].decode(errors='ignore')}…{digest}"


@lru_cache(MEMO_MAX)
def source_of(ip: str | None, host: str | None) -> str:
    """Name a client: its address in one spelling, else its host name, else SOCKET."""
    text = ip or host or SOCKET
    address = _address(text)
    return bounded(text) if address is None else str(address)


@lru_cache(MEMO_MAX)
def network_of(source: str) -> str:
    """Give the network of a source: /24, or /16 of private addresses, or /48 of IPv6."""
    address = _address(source)
    if address is None:
        return source
    if isinstance(address, ipaddress.IPv6Address):
        length = 48
    else:
        length = 16 if any(address in network for network in _PRIVATE) else 24
    return str(ipaddress.ip_network((address, length), strict=False))


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)  # ::ffff:10.0.0.1 of a server that speaks both
    return mapped or address


def among(texts: Iterable[str]) -> Callable[[str], bool]:
    """Make the question whether a source lies in any of these addresses and networks."""
    networks = tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    if not networks:
        return lambda _source: False

    @lru_cache(MEMO_MAX)
    def within(source: str) -> bool:
        address = _address(source)
        return address is not None and any(address in network for network in networks)

    return within


def is_network(text: str) -> bool:
    """Tell whether a setting names an address or a network."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
