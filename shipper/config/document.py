"""YAML to plain values that remember their lines. Safe loader only: no tags, no objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import yaml
from msgspec import Struct

from shipper.errors import ConfigError

# `${NAME}` is the environment's value; `$${` is a literal `${`.
_VARIABLE: Final = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
# Aliases make a small text a huge tree; no configuration needs as many values as this.
VALUES_MAX: Final = 10_000
_TAGS: Final = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp")


class Value(Struct, frozen=True):
    """One value of the document: a mapping, a list, or a scalar, and where it stands."""

    line: int  # counted from 1
    content: Any  # dict[str, Value], list[Value], or a scalar


class _Reader:
    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._constructor = yaml.SafeLoader("")
        self._left = VALUES_MAX
        self.problems: list[str] = []

    def read(self, node: yaml.Node) -> Value:
        line = node.start_mark.line + 1
        self._left -= 1
        if self._left < 0:
            raise ConfigError([f"line {line}: more than {VALUES_MAX} values (aliases?)"])
        if node.tag.removeprefix("tag:yaml.org,2002:") not in _TAGS:
            raise ConfigError([f"line {line}: the tag {node.tag} is not allowed"])
        if isinstance(node, yaml.MappingNode):
            return Value(line, self._mapping(node))
        if isinstance(node, yaml.SequenceNode):
            return Value(line, [self.read(item) for item in node.value])
        if node.tag.endswith(":timestamp"):
            return Value(line, node.value)  # settings take times as texts, RFC 3339
        scalar = self._constructor.construct_object(node)
        return Value(line, self._filled(scalar, line) if isinstance(scalar, str) else scalar)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Value]:
        mapping: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                self.problems.append(f"line {line}: a key must be a word")
            elif key in mapping:
                self.problems.append(f"line {line}: {key} stands here twice")
            else:
                mapping[key] = self.read(value_node)
        return mapping

    def _filled(self, text: str, line: int) -> str:
        def fill(match: re.Match[str]) -> str:
            if match[1]:
                return match[1]
            value = self._env.get(match[2])
            if value is None:
                self.problems.append(f"line {line}: the environment has no {match[2]}")
            elif not value.isprintable() and any("\ud800" <= each <= "\udfff" for each in value):
                self.problems.append(f"line {line}: {match[2]} in the environment is not UTF-8")
            return value or ""

        return _VARIABLE.sub(fill, text)


def read_document(text: str, env: Mapping[str, str]) -> tuple[Value, list[str]]:
    """Read one YAML document; the problems found so far come with it.

    Raises ConfigError where the text is no YAML at all.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        if node is None:
            return Value(1, {}), []
        reader = _Reader(env)
        return reader.read(node), reader.problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError([f"{place}not YAML: {error.problem}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"not YAML: {error}"]) from error
