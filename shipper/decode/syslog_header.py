r"""The header of a syslog line, in the three forms that daemons write.

    <14>Feb 12 07:18:30 host percona-audit: …                 RFC 3164; host may be missing
    <14>1 2024-02-12T07:18:30.123Z host app 77 - - …          RFC 5424
    2024-02-12T07:18:30.123456+00:00 host percona-audit: …    rsyslog's file format

Facts: formats.md 1.10, 4.3, 8b. Names hold no comma here: it keeps a MariaDB row from being taken
for a header, and a header for the free time stamp of a MariaDB row.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

from shipper.decode.timestamps import utc_text

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_BSD_TIME: Final = rb"(?:%b) [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2}" % "|".join(MONTHS).encode()
_ISO_TIME: Final = (
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
    rb"(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})"
)
_PRIORITY: Final = rb"<(?P<priority>[0-9]{1,3})>"
_HOST: Final = rb"[^\s,]{1,255}"
_TAG: Final = rb"[^\s,:\[\]]{1,64}"
_PID: Final = rb"(?:\[[^\s,\[\]]{0,32}\])?"
_WORD: Final = rb"[^\s,]{1,128}"
# Values of structured data are quoted; `"`, `\` and `]` inside them are escaped.
_DATA: Final = rb'(?:-|(?:\[(?:[^"\]\n]|"(?:[^"\\\n]|\\[^\n])*+"){0,1000}+\])++)'

# What follows the priority in files without one.
PLAIN: Final = rb"(?:%b|%b) (?:%b )?%b%b:" % (_BSD_TIME, _ISO_TIME, _HOST, _TAG, _PID)
_NAMED: Final = rb"(?:%b)?(?P<time>%b|%b) (?:(?P<host>%b) )?(?P<ident>%b)%b: ?" % (
    _PRIORITY,
    _BSD_TIME,
    _ISO_TIME,
    _HOST,
    _TAG,
    _PID,
)
_NAMED_5424: Final = (
    rb"<(?P<priority_5424>[0-9]{1,3})>1 (?:-|(?P<time_5424>%b)) (?:-|(?P<host_5424>%b))"
    rb" (?:-|(?P<ident_5424>%b)) %b %b %b(?: (?:\xef\xbb\xbf)?|(?=\n))"
    % (_ISO_TIME, _HOST, _WORD, _WORD, _WORD, _DATA)
)
NAMED: Final = rb"(?:%b|%b)" % (_NAMED_5424, _NAMED)


def bsd_time(text: str, zone: tzinfo, latest: datetime) -> str | None:
    """Read `Feb 12 07:18:30` as UTC, in the latest year in which it is not after `latest`.

    None where no year has such a day.
    """
    month = MONTHS.index(text[:3]) + 1
    day, (hour, minute, second) = int(text[4:6]), map(int, text[7:].split(":"))
    last = latest.astimezone(zone).year if latest.year < datetime.max.year else latest.year
    # Eight years: the longest way between two 29ths of February.
    for year in range(last, max(last - 9, 0), -1):
        try:
            moment = datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        if moment <= latest:
            return utc_text(moment)
    return None


def iso_time(text: str) -> str | None:
    """Read a time with its zone as UTC; None where it is none."""
    try:
        return utc_text(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None
