"""The exceptions of the program.

    ShipperError
    ├── UsageError          the caller asked for something that cannot be done: says what to do
    ├── StoreError          a store cannot be opened, read or written
    └── MalformedError      one record's bytes cannot be read (stays inside `decode/`)

Bad input is data (`model.Defect`), not an exception: `MalformedError` never leaves the decoders.
"""

from __future__ import annotations


class ShipperError(Exception):
    """Base of every error that the program raises on purpose; its text is for the operator."""


class UsageError(ShipperError):
    """A wrong argument or setting; the text names it and says what is allowed."""


class StoreError(ShipperError):
    """A store cannot be used; the text says which, why, and what to do."""


class MalformedError(ShipperError):
    """Raised by `Format.careful`; the text becomes the detail of a `Defect`."""
