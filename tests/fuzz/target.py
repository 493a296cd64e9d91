"""One fuzz target, to be run by `fuzz.py`: `python -m fuzz.target NAME LIBFUZZER-ARGUMENTS…`."""

from __future__ import annotations

import sys
from functools import partial

import atheris  # type: ignore[import-untyped]  # atheris has no stubs

with atheris.instrument_imports(include=["shipper.decode"]):
    from fuzz.replay import check


def main() -> None:
    """Fuzz until libFuzzer is content."""
    name = sys.argv.pop(1)
    atheris.Setup(sys.argv, partial(check, name))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
