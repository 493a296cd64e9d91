"""What the rules look at: one login, or change of user, by meaning."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from shipper.detection import Sample


class Login(Struct, frozen=True, gc=False):
    """A login that the server refused (`status` is its error number) or accepted (0)."""

    second: int  # event time
    user: str
    source: str
    at: Sample
    status: int
    change_user: bool


class Facts(NamedTuple):
    """What is always so for logins of this account, from there, with this outcome."""

    user: str
    source: str
    pair: str  # account, NUL, network: the key of `State.familiar`
    probe: bool
    ignored: bool  # left out by the settings
    guess: bool  # refused for what was asked, and not left out
