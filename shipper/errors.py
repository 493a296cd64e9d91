"""The exceptions of the program.

    ShipperError
    ├── UsageError          the caller asked for something that cannot be done: says what to do
    │   └── ConfigError     a configuration with mistakes: all of them, each with its place
    ├── UnavailableError    a target does not answer now; waiting may help
    ├── MisconfiguredError  a target will not take records until somebody changes something
    ├── ArchiveError        one archive cannot be read; the others are not concerned
    │   ├── WrongPasswordError  no known password opens it: adding the right one helps
    │   └── DamagedError        its bytes are wrong from some offset on
    └── MalformedError      one record's bytes cannot be read (stays inside `decode/`)

Bad input is data (`model.Defect`), not an exception: `MalformedError` never leaves the decoders.
The difference between Unavailable and Misconfigured is for the operator: the first is retried for
ever, the second ends the process with a status of its own, so that somebody looks (or, where the
configuration says so, is told and asked again).
"""

from __future__ import annotations

from collections.abc import Sequence


class ShipperError(Exception):
    """Base of every error that the program raises on purpose; its text is for the operator."""

    # In whose lane it ended the daemon; "" where it was none's. Set at the thread's edge.
    source: str = ""
    sink: str = ""


class UsageError(ShipperError):
    """A wrong argument or setting; the text names it and says what is allowed."""


class ConfigError(UsageError):
    """A configuration with mistakes: `problems` has a line for each, with its place."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Join the problems to one text."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class UnavailableError(ShipperError):
    """A target or a file cannot be used now: try again.

    `retry_after`: seconds that the target itself asked to be left alone, None if it did not.
    `reason`: one of `sink.base.FAILURES`, for metrics.
    """

    def __init__(
        self, text: str, *, retry_after: float | None = None, reason: str = "unavailable"
    ) -> None:
        """Say what was tried, on what, and what came of it."""
        super().__init__(text)
        self.retry_after = retry_after
        self.reason = reason


class MisconfiguredError(ShipperError):
    """Waiting does not help: the text says which setting, table or right to change."""


class ArchiveError(ShipperError):
    """A compressed or encrypted file cannot be read (on); the text names it and what to do."""


class WrongPasswordError(ArchiveError):
    """None of the known passwords opens this file; more of them may be configured later."""


class DamagedError(ArchiveError):
    """The bytes of an archive are not what its writer wrote.

    `good`: plain offset up to which bytes could be read, and still can.
    `verified`: plain offset up to which the archive's own checksums say that they are right.
    """

    def __init__(self, text: str, *, good: int, verified: int) -> None:
        """Say which archive, and what is wrong with it."""
        super().__init__(text)
        self.good = good
        self.verified = verified


class MalformedError(ShipperError):
    """Raised by `Format.careful`; the text becomes the detail of a `Defect`."""
