"""Write docs/configuration.md out of the settings classes: their fields, defaults and comments.

    python tests/config/reference.py

What stands beside a field in the code is what an operator reads, so that neither can be forgotten.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from msgspec import Meta, Struct
from msgspec.structs import fields

from shipper.config import Config
from shipper.policy import PolicySettings
from shipper.settings import SECRET, Name
from shipper.sink import SINKS, SinkSettings
from shipper.source import SOURCES, SourceSettings

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
HEAD = """\
# Configuration

One YAML file, given with `-c`. `audit-shipper check -c FILE` finds every mistake in it, and what is
wrong around it, at once; a running daemon takes a new one on SIGHUP and keeps the old one if the
new one is bad. [shipper.yaml](shipper.yaml) is an example with every section.

- `${NAME}` in a value is the environment's; `$${` is a literal `${`.
- A *secret* `x` can be given as `x_file: PATH` instead. Secrets are never printed.
- Where a name says `bytes` or `seconds`, a value may have a unit: `64MiB`, `4GB`, `500ms`, `15m`,
  `12h`, `30d`.
- A setting that does not exist, stands twice or does not fit is an error with its line, never a
  silent default.

This page is made from the settings in the code (`python tests/config/reference.py`).
"""
_SIZES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
_TIMES = ((86400, "d"), (3600, "h"), (60, "m"))
_NOQA = re.compile(r"#?\s*noqa: \S+.*")


class Field(NamedTuple):
    """A row of a table."""

    name: str
    allowed: str
    default: str
    text: str


class Page:
    """The page as it grows; nested settings come behind what uses them."""

    def __init__(self) -> None:
        self.parts = [HEAD]
        self._written: set[type] = set()

    def section(self, level: int, title: str, class_: type[Struct], *bases: type[Struct]) -> None:
        """Write a class with what it inherits from `bases`, then the classes that it uses."""
        self._written.add(class_)
        self.parts.append(f"{'#' * level} {title}\n\n{_sentence(class_)}\n")
        rows = [field for each in (class_, *bases) for field in fields_of(each)]
        if rows:
            self.parts.append("| setting | allowed | default | |\n| --- | --- | --- | --- |")
            self.parts += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
            self.parts.append("")
        for each in (class_, *bases):
            for name, used in _nested(each):
                if used not in self._written and used not in (SourceSettings, SinkSettings):
                    self.section(
                        level + 1, f"`{name}` of {title}" if level > 2 else f"`{name}`", used
                    )


def page() -> str:
    """Give the whole page."""
    made = Page()
    made.section(2, "The file", Config)
    made.section(2, "Every source", SourceSettings)
    for type_, source in SOURCES.items():
        inherited = [each for each in _bases(source.settings) if each is not SourceSettings]
        made.section(3, f"`type: {type_}` (source)", source.settings, *inherited)
    made.section(2, "Every sink", SinkSettings)
    made.section(3, "What a sink leaves out", PolicySettings)
    for type_, sink in SINKS.items():
        shared = (SinkSettings, PolicySettings)
        inherited = [each for each in _bases(sink.settings) if each not in shared]
        made.section(3, f"`type: {type_}` (sink)", sink.settings, *inherited)
    return "\n".join(made.parts).rstrip() + "\n"


def _bases(class_: type[Struct]) -> Iterator[type[Struct]]:
    for base in class_.__mro__[1:]:
        if issubclass(base, Struct) and base.__struct_fields__:
            yield base


def _sentence(class_: type) -> str:
    return inspect.cleandoc(class_.__doc__ or "")


def fields_of(class_: type[Struct]) -> Iterator[Field]:
    """Give what the class itself defines."""
    lines = inspect.getsource(class_).splitlines()
    tree = ast.parse("\n".join(lines)).body[0]
    hints = typing.get_type_hints(class_, include_extras=True)
    defaults = {field.name: field.default for field in fields(class_)}
    assert isinstance(tree, ast.ClassDef)
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            default = _default(name, node.value, defaults.get(name))
            yield Field(f"`{name}`", _allowed(hints[name]), default, _comment(lines, node))


def _nested(class_: type[Struct]) -> Iterator[tuple[str, type[Struct]]]:
    own = {field.name.strip("`") for field in fields_of(class_)}
    for name, hint in typing.get_type_hints(class_, include_extras=True).items():
        if name in own:
            yield from ((name, each) for each in _structs(hint))


def _structs(hint: Any) -> Iterator[type[Struct]]:
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for each in get_args(hint):
        yield from _structs(each)


def _comment(lines: list[str], node: ast.AnnAssign) -> str:
    """Give the comment lines right above a field, and those at its side."""
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    above = []
    for line in reversed(lines[:first]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip())
    beside = [line.partition("  # ")[2] for line in lines[first : last + 1] if "  # " in line]
    texts = [_NOQA.sub("", text).strip().removeprefix("#").strip() for text in (*above, *beside)]
    text = " ".join(filter(None, texts))
    is_sentence = re.match(r"[a-z]+(?=[ ,;.]|$)", text) is not None
    return text[:1].upper() + text[1:] if is_sentence else text


def _default(name: str, node: ast.expr | None, value: object) -> str:  # noqa: PLR0911 a table
    if node is None:
        return "*required*"
    if ast.unparse(node) == "socket.gethostname()":
        return "the host's name"
    if value is None or isinstance(value, Struct) or isinstance(node, ast.Call):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"`{_quantity(name, value)}`"
    if isinstance(value, tuple):
        return "none" if not value else f"`{list(value)}`"
    return f"`{value}`" if value != "" else "none"


def _quantity(name: str, value: float) -> str:
    units = _SIZES if "bytes" in name else _TIMES if "seconds" in name else ()
    for size, unit in units:
        if value >= size and value % size == 0:
            return f"{value / size:.0f}{unit}"
    return f"{value:g}{'s' if 'seconds' in name else ''}"


def _allowed(hint: Any) -> str:  # noqa: PLR0911 a table of kinds
    """Say in few words what a setting takes."""
    if hint == Name:
        return "name"
    if hasattr(hint, "__metadata__"):
        return _annotated(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_allowed(each) for each in arguments if each is not type(None))
    if origin is tuple:
        return f"list of {_allowed(arguments[0])}"
    if isinstance(hint, type) and issubclass(hint, Struct):
        return "mapping"
    return {str: "text", int: "number", float: "number", bool: "`true`, `false`"}[hint]


def _annotated(hint: Any) -> str:
    base, metas = hint.__origin__, [each for each in hint.__metadata__ if isinstance(each, Meta)]
    if any((meta.extra or {}).get(SECRET) for meta in metas):
        return "secret"
    said = [_allowed(base)]
    for meta in metas:
        for word, bound in (("≥", meta.ge), (">", meta.gt), ("≤", meta.le)):
            # Ten years is the end of every duration: nobody needs to read it.
            if bound is not None and bound != 10 * 365 * 86400.0:
                said.append(f"{word} {bound:g}" if isinstance(bound, float) else f"{word} {bound}")
        if meta.pattern:
            said.append(f"matching `{meta.pattern}`")
    return " ".join(said)


def _cell(text: str) -> str:
    """Let Markdown show a text as it is, except for what stands in backticks."""
    parts = text.replace("|", "\\|").split("`")
    parts[::2] = [part.replace("<", "&lt;").replace("__", r"\_\_") for part in parts[::2]]
    return "`".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
