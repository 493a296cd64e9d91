"""The layouts of XML records as regular expressions (formats.md 1.2, 2.4, 3.2).

A writer's layout is a list of field names; OLD and NEW say how a field looks. From both comes one
pattern whose groups are the values that vary without end, and the texts between them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Final, NamedTuple


class Syntax(NamedTuple):
    """How OLD or NEW writes a record: templates of patterns, and patterns."""

    name: str  # "old" or "new"
    fields: Callable[[str], dict[str, str] | None]  # reads a run of fields, still escaped
    begin: str
    field: str
    field_or_empty: str  # NEW has a form of its own for an empty field
    empty: str
    text: str  # an escaped value
    # Fields of any name up to SQLTEXT or the end, but in audit_log's layout; "" where it costs less
    # to name them.
    run: str
    # Everything after SQLTEXT, and the same in audit_log's layout, where that costs less than to
    # name the fields. What it takes in is read field by field when it is met for the first time.
    rest: str
    rest_percona: str
    end: str
    other: str  # any whole record, for those that no layout fits


class Layout(NamedTuple):
    """The order in which a writer puts its fields; `?` marks those that may be missing."""

    head: tuple[str, str, str]
    time: str  # pattern of TIMESTAMP
    before: str  # up to CONNECTION_ID
    between: str  # up to SQLTEXT
    after: str

    @property
    def time_first(self) -> bool:
        """Whether the order of the head is TIMESTAMP, RECORD_ID, NAME."""
        return self.head[0] == "TIMESTAMP"

    @property
    def percona(self) -> bool:
        """Whether it is that of audit_log."""
        return "RECORD" in self.head

    @property
    def line_feeds(self) -> bool:
        """Whether its writer, MySQL Enterprise, may leave line feeds raw in a value."""
        return self.time.endswith(" UTC")


_LOCAL: Final = "[0-9][0-9T:.-]*+"
_FILTER_9: Final = Layout(
    head=("TIMESTAMP", "RECORD_ID", "NAME"),
    time=_LOCAL,
    before="",
    between="STATUS? STATUS_CODE? USER? OS_LOGIN? HOST? IP? COMMAND_CLASS? CONNECTION_TYPE?",
    after="PRIV_USER? PROXY_USER? DB? TABLE?",
)
LAYOUTS: Final = (
    Layout(  # Percona audit_log
        head=("NAME", "RECORD", "TIMESTAMP"),
        time="[0-9][0-9TZUC :.-]*+",
        before="COMMAND_CLASS?",
        between="STATUS",
        after="USER PRIV_USER? OS_LOGIN? PROXY_USER? HOST OS_USER? IP DB?",
    ),
    Layout(  # Percona audit_log_filter 8.0.34
        head=("NAME", "RECORD_ID", "TIMESTAMP"),
        time=_LOCAL,
        before="STATUS? COMMAND_CLASS?",
        between="COMMAND_CLASS? HOST? IP? USER? OS_LOGIN?",
        after="PRIV_USER? PROXY_USER? DB? STATUS? CONNECTION_TYPE?",
    ),
    _FILTER_9._replace(time=f"{_LOCAL} UTC"),  # MySQL Enterprise
    _FILTER_9,
)


WHOLE, NUMBER, STATEMENT, BLANKS = 0, 5, 8, 10  # groups of a row


@cache
def compiled(syntax: Syntax, layout: Layout) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Give the pattern of a record in this layout, and that of a row.

    A row's groups: the whole record; the three values of the head; the fields before
    CONNECTION_ID; its value, empty in a record of another layout; the fields up to SQLTEXT; "S" if
    there is one; its value; the fields after it; the blanks after the record.
    """
    # audit_log has one indentation, and no short form of empty fields.
    indent = "\n  " if layout.percona else "\n *+"
    template = indent + (syntax.field if layout.percona else syntax.field_or_empty)
    values = {
        "NAME": '[0-9A-Za-z][^"<>]*+',  # as `start` of OLD demands
        "RECORD": "[0-9T:_-]++",
        "RECORD_ID": "[0-9T:_-]++",
        "TIMESTAMP": layout.time,
        "CONNECTION_ID": "0|[1-9][0-9]{0,17}+",
        "SQLTEXT": syntax.text,
    }

    def value(name: str) -> str:
        return indent + syntax.field.format(name=name, value=f"({values[name]})")

    def run(fields: str) -> str:
        patterns = []
        for field in fields.split():
            pattern = template.format(name=field.removesuffix("?"), value=syntax.text)
            # A choice of nothing costs less than a repetition.
            patterns.append(f"(?:{pattern}|)" if field.endswith("?") else pattern)
        return "".join(patterns)

    any_run = "" if layout.percona else syntax.run
    between = any_run or run(layout.between)
    after = (layout.percona and syntax.rest_percona) or syntax.rest or any_run or run(layout.after)
    statement = value("SQLTEXT").replace("SQLTEXT", "(S)QLTEXT", 1)
    no_text = f"(?:{indent}{syntax.empty.format(name='SQLTEXT')}|)" if syntax.empty else ""
    record = (
        f"{syntax.begin}{''.join(map(value, layout.head))}"
        f"({run(layout.before)}){value('CONNECTION_ID')}"
        f"({between}{no_text})(?:{statement}|)"
        f"({after}){syntax.end}"
    )
    row = f"({record}|{syntax.other})([ \t\r\n]*+)"
    return re.compile(record), re.compile(row, re.ASCII)
