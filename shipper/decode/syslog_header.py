r"""The header of a syslog line, in the three forms that daemons write.

    <14>Feb 12 07:18:30 host percona-audit: …                 RFC 3164; host may be missing
    <14>1 2024-02-12T07:18:30.123Z host app 77 - - …          RFC 5424
    2024-02-12T07:18:30.123456+00:00 host percona-audit: …    rsyslog's file format

Facts: formats.md 1.10, 4.3, 8b. Names hold no comma here: it keeps a MariaDB row from being taken
for a header, and a header for the free time stamp of a MariaDB row.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

from shipper.decode.base import Memo, Options
from shipper.decode.timestamps import utc_text

_MONTHS: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_BSD_TIME: Final = rf"(?:{_MONTHS}) [ 0-9][0-9] [0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}"
_ISO_TIME: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
_HOST: Final = r"[^\s,]{1,255}"
_TAG: Final = r"[^\s,:\[\]]{1,64}"
_PID: Final = r"(?:\[[^\s,\[\]]{0,32}\])?"
_WORD: Final = r"[^\s,]{1,128}"

# What follows the priority, if there is one.
PLAIN: Final = rf"(?:{_BSD_TIME}|{_ISO_TIME}) (?:{_HOST} )?{_TAG}{_PID}:"
_NAMED: Final = (
    rf"(?:<(?P<priority>[0-9]{{1,3}})>)?(?P<time>{_BSD_TIME}|{_ISO_TIME})"
    rf" (?:(?P<host>{_HOST}) )?(?P<ident>{_TAG}){_PID}: ?"
)
_NAMED_5424: Final = (
    rf"<(?P<priority_>[0-9]{{1,3}})>1 (?:-|(?P<time_>{_ISO_TIME})) (?:-|(?P<host_>{_HOST}))"
    rf" (?:-|(?P<ident_>{_WORD})) {_WORD} {_WORD} (?:-|\[[^\n]{{0,1000}}?\])"
    r"(?: (?:\xef\xbb\xbf)?|(?=\r?\n))"
)
NAMED: Final = f"(?:{_NAMED_5424}|{_NAMED})"
HEADER: Final = re.sub(r"\?P<[a-z_]+>", "?:", NAMED)


class Headers:
    """Reader of matched headers; remembers what it read, since headers repeat for a second."""

    def __init__(self, options: Options) -> None:
        """Read times without a zone in the server's, and times without a year as the latest."""
        self._options = options
        self._known: dict[bytes, dict[str, Any]] = {}

    def read(self, match: re.Match[bytes]) -> dict[str, Any]:
        """Give `host`, `ident`, `priority`, `timestamp` and `info` as far as they are there."""
        header = self._known.get(match[0])
        if header is None:
            if len(self._known) >= Memo.ENTRIES_MAX:
                self._known.clear()
            header = self._known[match[0]] = self._read(match)
        return header.copy()

    def _read(self, match: re.Match[bytes]) -> dict[str, Any]:
        texts = {
            key.rstrip("_"): value.decode("utf-8", "backslashreplace")
            for key, value in match.groupdict().items()
            if value
        }
        header: dict[str, Any] = {key: texts[key] for key in ("host", "ident") if key in texts}
        if "priority" in texts:
            header["priority"] = int(texts["priority"])
        if "time" in texts and (timestamp := self._time(texts["time"])) is not None:
            header["timestamp"] = timestamp
        if info := texts.get("info", "").strip():
            header["info"] = info
        return header

    def _time(self, text: str) -> str | None:
        try:
            return (
                self._bsd_time(text)
                if text[:1].isalpha()
                else utc_text(datetime.fromisoformat(text))
            )
        except (ValueError, OverflowError):
            return None

    def _bsd_time(self, text: str) -> str | None:
        """Read `Feb 12 07:18:30`; None where no year has such a day."""
        zone, latest = self._options.timezone, self._options.latest
        month = _MONTHS.split("|").index(text[:3]) + 1
        day, (hour, minute, second) = int(text[4:6]), map(int, text[7:].split(":"))
        # The zone may be a day ahead; eight years is the longest way between two 29ths of February.
        for year in range(min(latest.year + 1, 9999), max(latest.year - 9, 1), -1):
            try:
                moment = datetime(year, month, day, hour, minute, second, tzinfo=zone)
                if moment.astimezone(UTC) <= latest:
                    return utc_text(moment)
            except (ValueError, OverflowError):
                continue
        return None
