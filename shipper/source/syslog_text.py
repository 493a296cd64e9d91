r"""A syslog message as the one line that the decoder of syslog lines reads. Pure.

    <14>Feb 12 07:18:30 percona-audit: <AUDIT_RECORD#012  NAME="Query"#012/>

A line feed inside becomes `#012`, as rsyslog writes it, and a NUL `#000`: a message is one line, so
nobody can put a second one into it. Everything else stays as it was sent, also what is no UTF-8.
A message without a time gets the time of its arrival.
"""

from __future__ import annotations

import re
from typing import Final

_TIMED: Final = re.compile(
    rb"<[0-9]{1,3}>1 |(?:<[0-9]{1,3}>)?"
    rb"(?:[A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} "
    rb"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[^ ]* )"
)
_PRIORITY: Final = re.compile(rb"(?:<[0-9]{1,3}>)? ?")
# `mysqld:` or `percona-audit[77]:`; not the first key of a JSON object.
_TAG: Final = re.compile(rb"[\w./-]{1,64}(?:\[[0-9]{1,20}\])?:")


def line_of(message: bytes, received: str) -> bytes:
    """Give the line, with its line feed; b"" for an empty message.

    `received`: the time of arrival, RFC 3339 in UTC.
    """
    # Servers send a record with its final line feed, C programs with their final NUL.
    message = message.rstrip(b"\n\r\0")
    if not message:
        return b""
    if b"\n" in message:
        message = message.replace(b"\n", b"#012")
    if b"\0" in message:
        message = message.replace(b"\0", b"#000")
    if _TIMED.match(message) is None:
        message = _with_time(message, received)
    return message + b"\n"


def _with_time(message: bytes, received: str) -> bytes:
    end = _PRIORITY.match(message).end()  # type: ignore[union-attr]  # it matches b"" too
    tag = b"" if _TAG.match(message, end) else b"-: "
    return b"%b%b %b%b" % (message[:end].rstrip(), received.encode(), tag, message[end:])
