"""The program's own log: notices as lines, for a person or for a log collector.

    2026-11-26T10:00:19.123Z WARNING detected many refused logins from one address, … rule=…
    {"time":"2026-11-26T10:00:19.123Z","level":"warning","event":"detected","source":"db",…}

Texts in notices come from logs and servers: on a console every unsafe character is escaped, and
JSON is ASCII. One kind of notice about one lane gets at most `LINES_MAX` lines in `WINDOW_SECONDS`,
so that the storm of one hides no other; the next line of its kind says how many were held back.
Every message is counted, held back or not.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

from msgspec import Struct, structs

from shipper.clock import Clock, rfc3339
from shipper.detection import Detection
from shipper.document.alert import alert, record_of, sentence
from shipper.notices import (
    Attempted,
    Delivered,
    Detected,
    Dropped,
    Endangered,
    Fatal,
    Filtered,
    Finished,
    Lost,
    Mended,
    Notice,
    Opened,
    Refused,
    Rejected,
    Rotated,
    Saved,
    Started,
    Taken,
    Trouble,
    Truncated,
    Waiting,
)
from shipper.terminal import printable

Level = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = ("debug", "info", "warning", "error")

# A storm of one kind tells its story in ten lines a minute; the metrics have the numbers.
LINES_MAX: Final = 10
WINDOW_SECONDS: Final = 60.0
TEXT_MAX: Final = 1000  # of one value; a server's error message with its context

_LEVELS: Final[dict[type[Notice], Level]] = {
    Started: "info",
    Opened: "info",
    Rotated: "info",
    Truncated: "warning",
    Finished: "info",
    Lost: "error",
    Endangered: "warning",
    Taken: "debug",
    Filtered: "debug",
    Attempted: "debug",
    Delivered: "debug",
    Refused: "warning",
    Rejected: "warning",
    Dropped: "error",
    Waiting: "warning",
    Detected: "warning",
    Saved: "debug",
    Trouble: "error",
    Fatal: "error",
    Mended: "info",
}
_SEVERITIES: Final[dict[str, Level]] = {
    "critical": "error",
    "warning": "warning",
    "info": "info",
}
_WORDS: Final = re.compile(r"(?<!^)(?=[A-Z])")


class _Kind(Struct):
    """How much was said about one kind of notice lately."""

    since: float
    lines: int = 0
    held_back: int = 0


class Log:
    """Writes what it hears."""

    def __init__(
        self,
        write: Callable[[str], None],
        clock: Clock,
        *,
        as_json: bool,
        level: Level = "info",
        count: Callable[[str], None] = lambda _level: None,
    ) -> None:
        """`write` takes one line without its end; `count` hears the level of every message."""
        self._write = write
        self._clock = clock
        self._as_json = as_json
        self._least = LEVELS.index(level)
        self._count = count
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}

    def hear(self, notice: Notice) -> None:
        """Write a notice, unless it is below the level or its kind had its share."""
        level = _level(notice)
        if LEVELS.index(level) < self._least:
            return
        self._count(level)
        kind = f"{type(notice).__name__} {notice.source} {getattr(notice, 'sink', '')}"
        if isinstance(notice, Detected):
            kind += f" {notice.detection.rule}"
        with self._lock:
            held_back = self._share(kind)
            if held_back is not None:
                self._write(self._line(notice, level, held_back))

    def _share(self, kind: str) -> int | None:
        """Give the number held back before this line, or None to hold it back too."""
        now = self._clock.monotonic()
        known = self._kinds.setdefault(kind, _Kind(now))
        if now - known.since >= WINDOW_SECONDS:
            known.since, known.lines = now, 0
        if known.lines >= LINES_MAX:
            known.held_back += 1
            return None
        known.lines += 1
        held_back, known.held_back = known.held_back, 0
        return held_back

    def _line(self, notice: Notice, level: Level, held_back: int) -> str:
        event = _WORDS.sub("_", type(notice).__name__).lower()
        fields = dict(_fields(notice))
        if held_back:
            fields["held_back"] = held_back
        moment = rfc3339(self._clock.now())
        if self._as_json:
            head = {"time": moment, "level": level, "event": event}
            return json.dumps(head | fields, separators=(",", ":"))
        if isinstance(notice, Detected):
            fields = {"message": sentence(notice.detection), **_console(notice)}
        shown = " ".join(_pair(name, value) for name, value in fields.items())
        return f"{moment} {level.upper()} {event} {shown}".rstrip()


def _level(notice: Notice) -> Level:
    if isinstance(notice, Detected):
        return _SEVERITIES[notice.detection.severity]
    if isinstance(notice, Attempted) and notice.failure is not None:
        return "debug"  # Waiting says it, with what comes next
    return _LEVELS.get(type(notice), "info")


def _fields(notice: Notice) -> Iterator[tuple[str, Any]]:
    for name, value in structs.asdict(notice).items():
        if name == "down":  # for the metrics; the detail says it in words
            continue
        if isinstance(value, Detection):
            yield from _flat(alert(record_of(value)))
        elif value not in (None, ""):
            yield name, value[:TEXT_MAX] if isinstance(value, str) else value


def _flat(document: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        elif value is not None:
            yield path + name, value


def _console(notice: Detected) -> dict[str, Any]:
    detection = notice.detection
    fields = {
        "log": notice.source,
        "rule": detection.rule,
        "user": detection.user,
        "source": detection.source,
        "count": detection.count,
        "first": rfc3339(detection.first),
        "last": rfc3339(detection.last),
        "samples": ",".join(f"{one.segment}-{one.offset}" for one in detection.samples) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _pair(name: str, value: object) -> str:
    text = printable(str(value), limit=TEXT_MAX)
    if name == "message":  # of a finding: no name in it may look like one of the pairs behind it
        return text.replace("=", "\\x3d")
    if name == "detail":
        return text
    return f"{name}={json.dumps(text) if ' ' in text or '=' in text or not text else text}"
