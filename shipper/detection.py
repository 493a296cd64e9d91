"""What a detector says: a finding about logins, as a value that logs, metrics and documents share.

Rule for editing: nothing of ours is imported here. Texts come from the log and are not safe to
print; they are bounded and hold no lone surrogates, so that every encoder takes them.

On its way to the sinks a finding is a line of JSON (`to_line`, `from_line`) that says exactly what
the detector said: the same log gives the same lines, byte for byte.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

SOURCE_BURST: Final = "source_burst"
ACCOUNT_BURST: Final = "account_burst"
PASSWORD_SPRAY: Final = "password_spray"  # noqa: S105 the name of a rule
DISTRIBUTED_BURST: Final = "distributed_burst"
SUCCESS_AFTER_BURST: Final = "success_after_burst"
CHANGE_USER_GUESSING: Final = "change_user_guessing"
AUDIT_SWITCHED_OFF: Final = "audit_switched_off"
NEW_ERROR_CODE: Final = "new_error_code"


class Rule(NamedTuple):
    """How urgent a rule's findings are, and what it looks for."""

    severity: str  # critical: somebody may be in; warning: somebody tries; info: look at it by day
    meaning: str


# Closed, because metrics use the name as a label.
RULES: Final[dict[str, Rule]] = {
    SOURCE_BURST: Rule("warning", "many refused logins from one address"),
    ACCOUNT_BURST: Rule("warning", "many refused logins of one account"),
    PASSWORD_SPRAY: Rule("critical", "one address tries many accounts"),
    DISTRIBUTED_BURST: Rule("warning", "many networks try one account"),
    SUCCESS_AFTER_BURST: Rule("critical", "a login succeeded after many refused ones"),
    CHANGE_USER_GUESSING: Rule("warning", "refused changes of user inside open sessions"),
    AUDIT_SWITCHED_OFF: Rule("critical", "the server stopped writing its audit log"),
    NEW_ERROR_CODE: Rule("info", "logins refused for a reason not seen lately"),
}


# Enough to see whether somebody guesses names or has a list of them.
USERS_MAX: Final = 10
# Enough to see whether it is a subnet of one's own or half the world.
SOURCES_MAX: Final = 10


class Sample(NamedTuple):
    """A record that belongs to the finding: `segment-offset` is its document id in the index."""

    segment: str
    offset: int


class Detection(Struct, frozen=True, omit_defaults=True):
    """One finding. The record at `at` completed it, so the same log gives the same finding."""

    rule: str  # one of RULES
    at: Sample
    count: int  # records that belong to it so far
    first: int  # event time, seconds since 1970
    last: int
    user: str | None = None  # the account, where the finding is about one
    source: str | None = None  # address or host name, where it is about one
    accounts: int | None = None  # distinct accounts tried
    networks: int | None = None  # distinct networks they came from
    error_code: int | None = None
    samples: tuple[Sample, ...] = ()
    again: bool = False  # told before; it has been going on since
    users: tuple[str, ...] = ()  # accounts tried, at most USERS_MAX
    # Where a finding about an account comes from: distinct addresses or host names, and at most
    # SOURCES_MAX of them, those that tried most often first.
    addresses: int | None = None
    sources: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Name the finding: the same for every replay of the same log."""
        return f"{self.at.segment}-{self.at.offset}-{self.rule}"

    @property
    def severity(self) -> str:
        """Give critical, warning or info."""
        return RULES[self.rule].severity


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Detection).decode
# 0001-01-01 to 9999-12-31: beyond it a second is no time.
_TIMES: Final = range(-62_135_596_800, 253_402_300_800)


def to_line(detection: Detection) -> bytes:
    """Write a finding as one line; whatever its texts hold, it has no second line feed."""
    return _encode(detection) + b"\n"


def from_line(line: bytes) -> Detection:
    """Read what `to_line` wrote. Raises ValueError for anything else."""
    detection = _decode(line)  # msgspec's errors are ValueErrors
    if detection.rule not in RULES:
        raise ValueError(f"no rule {detection.rule[:40]!r} is known")
    if detection.first not in _TIMES or detection.last not in _TIMES:
        raise ValueError("first and last are no times")
    return detection
