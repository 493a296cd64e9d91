"""What settings of all rooms are made of. The loader (`config/`) reads them out of YAML.

A settings class is a frozen msgspec Struct: each field typed, with unit, default and reason beside
it. Units stand last in a name, and where it says bytes or seconds, YAML may say `64MiB` or `1h`.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

# Names of the operator's own choice: they become metric labels, file names and rows of the state.
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]

# A secret may be given in a file instead: `password_file: /run/secrets/x` for `password`. Its value
# never stands in an error message.
SECRET: Final = "secret"  # noqa: S105 the name of a mark, not one
Secret = Annotated[str, Meta(extra={SECRET: True})]

# For keys of certificates. Without it OpenSSL asks for one on the terminal, and waits.
NO_PASSPHRASE: Final = ""

Positive = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(ge=0, le=10 * 365 * 86400.0)]


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all settings. May have `problems()`: sentences about fields that disagree."""
