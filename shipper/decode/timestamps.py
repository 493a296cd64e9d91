"""Time as the servers write it, to RFC 3339 in UTC.

Percona's plugin writes ` UTC` or `Z` (formats.md 1.5), Enterprise XML ` UTC`, Enterprise JSON no
suffix but UTC (3.3), the Percona filter and MariaDB local time without a zone (2.2, 4.1), Aurora
microseconds since the epoch (4.5). A local time that occurs twice, when daylight saving ends, is
taken as the first of the two; one that does not exist is moved by the change of the offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import ClassVar, Final

from shipper.errors import MalformedError

_ISO: Final = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?( UTC|Z|)")
_MARIADB: Final = re.compile(r"(\d{4})(\d\d)(\d\d) +(\d{1,2}):(\d\d):(\d\d)")


def utc_text(moment: datetime) -> str:
    """Write an aware time as RFC 3339 UTC; a fraction only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Clock(dict[str, str]):
    """Memo from a server's time text to RFC 3339 UTC: `clock[text]`.

    Logs repeat each second many times, so a lookup is usually all it costs. Texts without a zone
    are read in the decoder's time zone; `utc(text)` reads them as UTC. Raises MalformedError.
    """

    # About an hour of distinct seconds: records of one log are nearly in order.
    ENTRIES_MAX: ClassVar[int] = 4096

    def __init__(self, zone: tzinfo) -> None:
        """Read texts without a zone in `zone`."""
        super().__init__()
        self._zone = zone
        self.utc: dict[str, str] = self if zone is UTC else Clock(UTC)

    def __missing__(self, text: str) -> str:
        if len(self) >= self.ENTRIES_MAX:
            self.clear()
        stamp = self[text] = self._read(text)
        return stamp

    def _read(self, text: str) -> str:
        try:
            return self._iso(text) or self._mariadb(text) or self._epoch(text)
        except (ValueError, OverflowError) as error:
            raise MalformedError(f"not a calendar time: {text[:40]!r}") from error

    def _iso(self, text: str) -> str:
        match = _ISO.fullmatch(text)
        if match is None:
            return ""
        date, time, fraction, zone = match.groups(default="")
        moment = datetime.fromisoformat(f"{date}T{time}")
        if zone or self._zone is UTC:
            return f"{date}T{time}{fraction}Z"
        return utc_text(moment.replace(tzinfo=self._zone)).replace("Z", fraction + "Z")

    def _mariadb(self, text: str) -> str:
        match = _MARIADB.fullmatch(text)
        if match is None:
            return ""
        year, month, day, hour, minute, second = map(int, match.groups())
        return utc_text(datetime(year, month, day, hour, minute, second, tzinfo=self._zone))

    def _epoch(self, text: str) -> str:
        if not (text.isascii() and text.isdigit()):
            raise MalformedError(f"not a known form of time: {text[:40]!r}")
        digits = len(text)
        if digits not in (10, 13, 16):
            raise MalformedError(f"not seconds, milli- or microseconds: {text[:40]!r}")
        seconds, fraction = text[:10], text[10:]
        stamp = utc_text(datetime.fromtimestamp(int(seconds), UTC))
        return f"{stamp[:-1]}.{fraction}Z" if fraction else stamp
