"""The status page: drawn from the document of `status.py`, without a script."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from shipper.markup import STYLE, Html, columns, element, join, page, policy, spark, table, text

# How often a browser asks again. Lags and bursts change within seconds, people read for longer.
REFRESH_SECONDS: Final = 15
# `frame-ancestors` works in a header only.
HEADERS: Final = (
    ("Content-Security-Policy", f"{policy(STYLE)}; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
)
_SEVERITIES: Final = {"critical": "bad", "warning": "warn", "info": "soft"}

Document = dict[str, Any]


def render(document: Document) -> bytes:
    """Write the page."""
    refresh = Html(f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">')
    return page(
        f"audit-shipper {document['instance']}",
        STYLE,
        _head(document),
        _banner(document["problems"]),
        *(_source(source) for source in document["sources"]),
        element("div", _bursts(document), _rate(document), class_="grid wide"),
        _refused(document["logins"]),
        _events(document["events"]),
        *(_segments(source) for source in document["sources"]),
        _foot(document),
        head=refresh,
    )


def _head(document: Document) -> Html:
    facts = f"version {document['version']} · up since {_time(document['started'])}"
    return element(
        "header",
        element("h1", text(f"Audit log of {document['instance']}")),
        element("p", text(f"{facts} · as of {_time(document['now'])} UTC"), class_="soft"),
    )


def _banner(problems: Sequence[Document]) -> Html:
    if not problems:
        said = element("strong", text("All is well."), class_="good")
        return element("section", said, class_="banner")
    worst = problems[0]["level"]
    lines = join(
        element("li", element("span", text(each["text"], 300), class_=each["level"]))
        for each in problems[:12]
    )
    more = len(problems) - 12
    rest = element("p", text(f"… and {more} more"), class_="soft") if more > 0 else Html()
    count = f"{len(problems)} things need" if len(problems) > 1 else "One thing needs"
    head = element("strong", text(f"{count} a look."))
    return element("section", head, element("ul", lines), rest, class_=f"banner {worst}")


def _source(source: Document) -> Html:
    cards = [_lane(lane) for lane in source["lanes"]]
    title = element("h2", text(f"Log {source['name']}: where it goes"))
    return element("section", title, element("div", *cards, class_="grid"))


def _lane(lane: Document) -> Html:
    state, class_ = _state(lane)
    behind = "-" if lane["behind_seconds"] is None else _duration(lane["behind_seconds"])
    counts = lane["rate"]["counts"]
    per_second = sum(counts[-6:]) / (6 * lane["rate"]["seconds"])
    waiting = f"{_bytes(lane['pending_bytes'])} waiting"
    records = f"{lane['records']:,} records since the start"
    return element(
        "div",
        element("p", element("strong", text(lane["sink"])), Html(" "),
                element("span", text(state), class_=f"mark {class_}")),
        element("p", text(behind), Html(" "), element("span", text("behind"), class_="soft"),
                class_="big"),
        element("p", text(f"{waiting} · {records}"), class_="soft"),
        spark(counts, title=f"Records to {lane['sink']}, the last 15 minutes"),
        element("p", text(f"{per_second:,.1f} records a second in the last minute"),
                class_="soft"),
        class_="card",
    )  # fmt: skip


def _state(lane: Document) -> tuple[str, str]:
    if lane["failure"]:
        return f"fails: {lane['failure']}", "bad"
    if lane["behind_seconds"] is not None and lane["behind_seconds"] > 60:
        return "late", "warn"
    return ("takes records", "good") if lane["tried"] else ("not tried yet", "soft")


def _bursts(document: Document) -> Html:
    findings, logins = document["findings"], document["logins"]
    title = element("h2", text("Bursts and other findings"))
    if not logins["counted"]:
        return element("section", title, element("p", text(_NOT_COUNTED), class_="soft"))
    parts = [title]
    if logins["spraying"]:
        rows = [[text(one["address"]), text(one["accounts"])] for one in logins["spraying"][:10]]
        parts.append(table(("Address", "Accounts it is refused as, now"), rows, numbers="1"))
    if not findings:
        parts.append(element("p", text("Nothing found since the start."), class_="soft"))
    else:
        headings = ("Last", "What", "Who", "Count")
        parts.append(table(headings, [_finding(one) for one in findings], numbers="3"))
    return element("section", *parts)


def _finding(one: Document) -> list[Html]:
    class_ = _SEVERITIES[one["severity"]] if one["now"] else "soft"
    rule = element("span", text(one["rule"]), class_=f"mark {class_}")
    who = " from ".join(each for each in (one["user"], one["source"]) if each)
    if one["user"] is None and one["source"]:
        who = f"from {one['source']}"
    if one["accounts"] and one["accounts"] > 1:
        who += f", {one['accounts']} accounts"
    what = join((rule, element("p", text(one["meaning"]), class_="soft")))
    return [text(_time(one["last"])), what, text(who), text(f"{one['count']:,}")]


def _rate(document: Document) -> Html:
    rate = document["logins"]["refused_rate"]
    count, seconds = len(rate["counts"]), rate["seconds"]
    minutes = count * seconds // 60
    labels = [f"{(count - index) * seconds // 60} min ago" for index in range(count - 1)] + ["now"]
    title = f"Refused logins, the last {minutes} minutes"
    total = element("p", text(f"{sum(rate['counts']):,}"), class_="big")
    plot = columns(rate["counts"], labels, title=title)
    return element("section", element("h2", text(title)), total, plot)


def _refused(logins: Document) -> Html:
    title = element("h2", text("Last refused logins"))
    if not logins["counted"]:
        return element("section", title, element("p", text(_NOT_COUNTED), class_="soft"))
    if not logins["refused"]:
        return element("section", title, element("p", text("None since the start."), class_="soft"))
    rows = [
        [
            text(_time(one["last"]) if one["last"] else "-"),
            text(one["user"] or "(no user)"),
            text(one["source"]),
            text(f"{one['error']} {one['symbol']}"),
            text(f"{one['count']:,}"),
        ]
        for one in logins["refused"]
    ]
    return element("section", title, table(("Last", "User", "From", "Error", "Count"), rows, "4"))


_NOT_COUNTED: Final = "Logins are looked at where a sink of type metrics is configured."


def _events(events: Sequence[Document]) -> Html:
    title = element("h2", text("Last troubles"))
    if not events:
        return element("section", title, element("p", text("None since the start."), class_="soft"))
    rows = [
        [
            text(_time(one["last"])),
            element("span", text(one["kind"]), class_=f"mark {_KINDS.get(one['kind'], 'warn')}"),
            text(" → ".join(each for each in (one["log"], one["sink"]) if each)),
            text(one["text"], 300),
            text(f"{one['count']:,}"),
        ]
        for one in events
    ]
    headings = ("Last", "Kind", "Where", "What", "Times")
    return element("section", title, table(headings, rows, numbers="4"))


_KINDS: Final = {"mended": "good", "lost": "bad", "trouble": "bad", "dropped": "bad"}


def _segments(source: Document) -> Html:
    shown = source["segments"]
    title = element("h2", text(f"Log {source['name']}: its segments"))
    if not shown:
        return element("section", title, element("p", text("No file yet."), class_="soft"))
    rows = [
        [
            text(one["path"], 300),
            text(_bytes(one["size"])),
            text(f"{_share(one['shipped'], one['size'])} %"),
            text("ended" if one["closed"] else "open"),
        ]
        for one in reversed(shown)
    ]
    left_out = source["segments_count"] - len(shown)
    rest = element("p", text(f"and {left_out} older ones"), class_="soft") if left_out else Html()
    headings = ("File", "Size", "Shipped by the slowest", "State")
    return element("section", title, table(headings, rows, numbers="1,2"), rest)


def _share(part: int, whole: int) -> int:
    """Give a percentage that is 100 only where nothing is missing."""
    return 100 if part >= whole else part * 100 // whole


def _foot(document: Document) -> Html:
    letters = f"Dead letters: {_bytes(document['dead_letter_bytes'])}."
    how = f"This page asks again every {REFRESH_SECONDS} seconds. The same for programs: "
    link = element("a", text("/status.json"), href="/status.json")
    return element("p", text(f"{letters} {how}", 400), link, class_="soft")


def _time(moment: str) -> str:
    return moment[:19].replace("T", " ")


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:,.0f} s"


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "B" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
