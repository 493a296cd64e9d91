"""Which files beside a log are its older generations: a name proposes, the content decides.

    audit.log.1  .01  .001               Percona, MariaDB, logrotate: the highest number is oldest
    audit.log-20260102[_0304]            logrotate with dateext, Canonical
    audit.20250401T120000-1.log          Enterprise since 5.7.21, Percona's filter
    audit.log.15159344437726520.xml      Enterprise before, also audit.log.corrupted.3.xml

Each may be compressed (`.gz`) and then encrypted (`.enc`, `.<password id>.enc`); formats.md 1.9,
2.6, 3.4, 4.3.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

_WRAPPED: Final = r"(?:\.gz)?(?:(?:\.\d{8}T\d{6}-\d+)?\.enc)?"
_STAMP: Final = r"\d{8}T\d{6}(?:-\d+)?"
# What servers, logrotate and people append. Compressors write to other names first (`.gz.tmp`).
_SUFFIX: Final = (
    rf"(?:\.(?:\d{{1,20}}(?:\.xml)?|corrupted\.\d+(?:\.xml)?|{_STAMP}|old|bak|orig)"
    r"|[-.]\d{8}(?:[-_T]?\d{2,6})?(?:-\d+)?)"
)
_NUMBERED: Final = re.compile(r"\.(\d{1,3})(?:\.gz)?(?:\.enc)?\Z")


class Names(Protocol):
    """Where the files of a source lie."""

    def live(self) -> str:
        """Give the path of the file that is written to, whether it exists or not."""
        ...

    def older(self) -> list[str]:
        """Give the paths of what may be older generations, those that exist now."""
        ...


class LogNames:
    """A log under a fixed name, its older generations beside it."""

    def __init__(self, path: str) -> None:
        """`path` may be a symbolic link; then the folder it points into is looked at too."""
        self._path = path
        name = Path(path).name
        stem, dot, rest = name.partition(".")
        before_rest = rf"{re.escape(stem)}\.{_STAMP}{re.escape(dot + rest)}"
        self._sibling = re.compile(rf"(?:{re.escape(name)}{_SUFFIX}|{before_rest}){_WRAPPED}")

    def live(self) -> str:
        """Give the path that is followed."""
        return self._path

    def older(self) -> list[str]:
        """Give the siblings, the oldest by name first."""
        paths: list[str] = []
        # Not `Path.resolve`: before 3.13 it raises RuntimeError for a link that leads to itself.
        for folder in {Path(self._path).parent, Path(os.path.realpath(self._path)).parent}:
            with suppress(OSError), os.scandir(folder) as entries:
                paths += (each.path for each in entries if self._sibling.fullmatch(each.name))
        return sorted(paths, key=lambda path: (-age_of(path), path))


def age_of(name: str) -> int:
    """Give the number of a numbered generation, 0 if the name has none; higher is older."""
    match = _NUMBERED.search(name)
    return int(match[1]) if match else 0
