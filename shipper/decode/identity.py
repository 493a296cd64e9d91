"""Who is who: the long form of USER in general records (formats.md 1.6 and 7).

`priv_user[user] @ host [ip]`, each part possibly empty: `root[root] @ localhost []`,
`test[test] @  [127.0.0.1]`. User names may themselves hold `[`, `]` and `@`; where that leaves
several readings, the one in which both names are equal wins (no proxying), then the shortest
privileged name.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# The tail is anchored at the right: a host name holds no blank, an address no bracket.
_TAIL: Final = re.compile(r"(.*)\] @ ([^ \[\]]*) \[([^\[\]]*)\]", re.DOTALL)


class Identity(NamedTuple):
    """The four parts of a long-form user."""

    user: str
    priv_user: str
    host: str
    ip: str


def parse_identity(text: str) -> Identity | None:
    """Take a long-form user apart; None where `text` is a plain name."""
    match = _TAIL.fullmatch(text)
    if match is None:
        return None
    names, host, ip = match.groups()
    if "[" not in names:
        return None
    half = len(names) // 2
    if len(names) % 2 and names[half] == "[" and names[:half] == names[half + 1 :]:
        return Identity(names[:half], names[:half], host, ip)
    priv_user, _, user = names.partition("[")
    return Identity(user, priv_user, host, ip)
