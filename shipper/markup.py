"""HTML pages and SVG plots that stand alone, with text from logs made harmless.

    table(("User",), [[text("<script>")]]) -> Html

Theory of operation. `Html` is text that may go into a page as it is; a plain `str` may not. What a
log can choose becomes `Html` only by `text`, which writes control and invisible characters and
bidirectional marks as escapes, cuts what is long, and then escapes for HTML. A page has no script,
loads nothing and is forbidden to by its own content-security policy, so that what slips through can
still do nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from typing import Final

from shipper.terminal import LIMIT, printable

# The points of a line of ninety values; a name never comes near.
ATTRIBUTE_MAX: Final = 4000


class Html(str):
    """Text that is HTML."""

    __slots__ = ()


def text(value: object, limit: int = LIMIT) -> Html:
    """Make any text safe to show; at most `limit` characters of it."""
    return Html(html.escape(printable(str(value), limit)))


def join(parts: Iterable[Html], between: str = "") -> Html:
    """Put pieces one after the other; `between` is the program's own."""
    return Html(between.join(parts))


def element(tag: str, *content: Html, **attributes: str | float) -> Html:
    """Write an element; `class_` is its class. Attributes are escaped, content is HTML already."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{text(value, ATTRIBUTE_MAX)}"'
        for name, value in attributes.items()
    )
    return Html(f"<{tag}{written}>{''.join(content)}</{tag}>")


def table(headings: Sequence[str], rows: Sequence[Sequence[Html]], numbers: str = "") -> Html:
    """Write a table; on a narrow screen each row becomes a block of lines with their headings.

    Columns in `numbers` ("1,2", from 0) hold numbers and go right.
    """
    right = {int(each) for each in numbers.split(",") if each}
    classes = [{"class_": "n"} if index in right else {} for index in range(len(headings))]
    head = join(
        element("th", text(name), scope="col", **class_)
        for name, class_ in zip(headings, classes, strict=True)
    )
    body = join(
        element(
            "tr",
            *(
                element("td", element("div", cell), data_label=name, **class_)
                for name, cell, class_ in zip(headings, row, classes, strict=True)
            ),
        )
        for row in rows
    )
    whole = element("table", element("thead", element("tr", head)), element("tbody", body))
    return element("div", whole, class_="scroll", tabindex=0)


# --- plots -------------------------------------------------------------------------------------


def columns(
    values: Sequence[float], labels: Sequence[str], *, title: str, height: int = 120
) -> Html:
    """Draw one column a value, the first and last labelled, the largest value written beside."""
    width, step = 720, 720 / max(1, len(values))
    most = max([*values, 1])
    drawn = [
        element(
            "rect",
            element("title", text(f"{label}: {_number(value)}")),
            x=round(index * step + step * 0.1, 2),
            y=round(height - value / most * height, 2),
            width=round(step * 0.8, 2),
            height=round(value / most * height, 2),
        )
        for index, (value, label) in enumerate(zip(values, labels, strict=True))
        if value
    ]
    base = element("line", x1=0, y1=height, x2=width, y2=height, class_="axis")
    plot = _svg(title, width, height + 1, base, *drawn, preserveAspectRatio="none")
    ends = (
        join(
            element("span", text(label))
            for label in (labels[0], f"most: {_number(most)}", labels[-1])
        )
        if labels
        else Html()
    )
    return element("figure", plot, element("figcaption", ends), class_="columns")


def ranking(bars: Sequence[tuple[str, float]], *, title: str) -> Html:
    """Draw one bar a name, longest first as given, with its value."""
    most = max([value for _, value in bars], default=1) or 1
    height = 22
    drawn = []
    for index, (name, value) in enumerate(bars):
        y = index * height
        length = round(value / most * 380, 2)
        drawn += [
            element("text", text(name, 20), x=192, y=y + 15, text_anchor="end"),
            element(
                "rect",
                element("title", text(f"{name}: {_number(value)}")),
                x=200, y=y + 3, width=max(1, length), height=height - 6, rx=2,
            ),
            element("text", text(_number(value)), x=206 + length, y=y + 15),
        ]  # fmt: skip
    return element("figure", _svg(title, 660, max(1, len(bars)) * height, *drawn))


def spark(values: Sequence[float], *, title: str) -> Html:
    """Draw a small line: the newest value on the right."""
    width, height = 180, 36
    most = max([*values, 1])
    step = width / max(1, len(values) - 1)
    points = " ".join(
        f"{index * step:.1f},{height - 2 - value / most * (height - 4):.1f}"
        for index, value in enumerate(values)
    )
    area = element("polygon", points=f"0,{height} {points} {width},{height}", class_="area")
    line = element("polyline", points=points, fill="none")
    return _svg(title, width, height, area, line, class_="spark")


def _svg(title: str, width: int, height: int, *content: Html, **more: str) -> Html:
    # A picture for those who see it, a sentence for those who do not.
    box = f"0 0 {width} {height}"
    return element("svg", *content, viewBox=box, role="img", aria_label=title, **more)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


# --- pages -------------------------------------------------------------------------------------


def policy(style: str) -> str:
    """Give the content-security policy of a page with this style sheet: no script, no request.

    Images only from the page itself: the empty icon, without which a browser asks for one.
    """
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    return f"{allowed}; base-uri 'none'; form-action 'none'"


def page(title: str, style: str, *body: Html, head: Html | None = None) -> bytes:
    """Write a whole page; `head` is added to its head."""
    written = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy(style))}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(title)}</title>{head or ''}<style>{style}</style></head>\n"
        f"<body>{''.join(body)}</body></html>\n"
    )
    return written.encode("utf-8", "backslashreplace")


STYLE: Final = """
:root { --ink:#1c2430; --soft:#5b6777; --paper:#f5f6f8; --card:#fff; --edge:#dde2e8;
  --blue:#2f6fb5; --red:#c0392b; --amber:#b9770e; --green:#1e8449; }
@media (prefers-color-scheme: dark) { :root { --ink:#e4e8ee; --soft:#98a4b3; --paper:#14181e;
  --card:#1d232b; --edge:#323b47; --blue:#6ba6e3; --red:#ec7063; --amber:#f0b24b;
  --green:#58c98b; } }
* { box-sizing:border-box }
body { margin:0 auto; padding:16px; max-width:1180px; background:var(--paper); color:var(--ink);
  overflow-wrap:anywhere; font:15px/1.45 system-ui, "Segoe UI", "DejaVu Sans", sans-serif }
h1 { font-size:1.35rem; margin:0 } h2 { font-size:1.02rem; margin:0 0 8px }
p { margin:4px 0 } .soft, figcaption, th { color:var(--soft) } .soft { font-size:.86rem }
.grid { display:grid; gap:12px; grid-template-columns:repeat(auto-fit, minmax(250px, 1fr)) }
.wide { grid-template-columns:repeat(auto-fit, minmax(420px, 1fr)) }
.numbers { grid-template-columns:repeat(auto-fit, minmax(150px, 1fr)) }
section, .card { background:var(--card); border:1px solid var(--edge); border-radius:8px;
  padding:12px 14px; margin:12px 0; min-width:0 }
.grid > * { margin:0 }
.big { font-size:1.6rem; font-weight:600; line-height:1.2 }
.good { color:var(--green) } .warn { color:var(--amber) } .bad { color:var(--red) }
.banner { border-left:6px solid var(--green) }
.banner.warn { border-left-color:var(--amber); color:inherit }
.banner.bad { border-left-color:var(--red); color:inherit }
.scroll { overflow-x:auto }
table { border-collapse:collapse; width:100%; font-size:.9rem }
th, td { text-align:left; padding:4px 12px 4px 0; border-bottom:1px solid var(--edge);
  vertical-align:top; overflow-wrap:anywhere }
th { font-weight:500; white-space:nowrap } .n { text-align:right; white-space:nowrap;
  font-variant-numeric:tabular-nums } tr:last-child td { border-bottom:0 }
figure { margin:0 } figcaption { display:flex; justify-content:space-between; font-size:.8rem }
svg { display:block; width:100%; height:auto } .columns svg { height:120px }
.spark { height:36px } svg rect { fill:var(--blue) } svg text { fill:var(--ink); font-size:12px }
.axis { stroke:var(--edge) } polyline { stroke:var(--blue); stroke-width:1.5 }
.area { fill:var(--blue); opacity:.15 } .mark { border-radius:4px; padding:0 6px; font-size:.8rem;
  border:1px solid currentColor; white-space:nowrap }
ul { margin:4px 0; padding-left:20px }
@media (max-width:700px) { body { padding:10px } .wide { grid-template-columns:1fr }
  .big { font-size:1.35rem } thead { display:none } table, tbody, tr, td { display:block }
  tr { padding:6px 0; border-bottom:1px solid var(--edge) } tr:last-child { border-bottom:0 }
  td, td.n { display:flex; gap:12px; padding:1px 0; border:0; text-align:left; white-space:normal }
  td::before { content:attr(data-label); color:var(--soft); flex:0 0 5.5em }
  td > div { min-width:0 } td > div:empty { display:none } }
@media print { body { background:#fff } section, .card { break-inside:avoid } }
"""
