"""What the rules look at: one login, or change of user, by meaning."""

from __future__ import annotations

from typing import NamedTuple

from shipper.detection import Sample


class Login(NamedTuple):
    """A login that the server refused (`status` is its error number) or accepted (0)."""

    second: int  # event time
    user: str
    source: str
    at: Sample
    status: int
    format: str
    change_user: bool
