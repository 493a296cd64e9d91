"""JSON schema (draft 7) of the configuration, made from the settings classes that the daemon reads.

As a program it writes the schema into the library chart's values.schema.json; a test says when that
is due. Like the loader it takes `64MiB` and `1h`, `x_file` for a secret `x`, and `${NAME}` in text.
"""

from __future__ import annotations

import json
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

from shipper.config import Config
from shipper.settings import SECRET
from shipper.sink import SINKS, SinkSettings
from shipper.source import SOURCES
from shipper.source.base import SourceSettings

CHARTS: Final = Path(__file__).parents[2] / "helm"
VALUES_SCHEMA: Final = CHARTS / "audit-shipper-library" / "values.schema.json"

Schema = dict[str, Any]
_PLAIN: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}
_UNITS: Final = {
    "bytes": r"^\d+(\.\d+)?\s*(B|kB|MB|GB|KiB|MiB|GiB|TiB)?$",
    "seconds": r"^\d+(\.\d+)?\s*(ms|s|m|h|d|w)?$",
}
_VARIABLE: Final = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_CHOICES: Final[Mapping[type[Struct], Mapping[str, Any]]] = {
    SourceSettings: {name: kind.settings for name, kind in SOURCES.items()},
    SinkSettings: {name: kind.settings for name, kind in SINKS.items()},
}
# What the chart adds by itself.
_ADDED: Final = {"state", "sources"}


def config_schema() -> Schema:
    """Give the schema of what `sidecar.config` may hold."""
    schema = _struct(Config)
    schema["required"] = sorted(set(schema["required"]) - _ADDED)
    schema["properties"]["sinks"]["minItems"] = 1
    return schema


def _struct(cls: type[Struct]) -> Schema:
    if cls in _CHOICES:
        return _choice(_CHOICES[cls])
    hints = typing.get_type_hints(cls, include_extras=True)
    known = fields(cls)
    properties = {field.encode_name: _field(field, hints[field.name]) for field in known}
    secrets = [field for field in known if _is_secret(hints[field.name])]
    properties |= {f"{field.encode_name}_file": {"type": "string"} for field in secrets}
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    wanted = [field for field in known if field.required]
    schema["required"] = sorted(f.encode_name for f in wanted if f not in secrets)
    either = [
        {"anyOf": [{"required": [f.encode_name]}, {"required": [f"{f.encode_name}_file"]}]}
        for f in wanted
        if f in secrets
    ]
    return schema | ({"allOf": either} if either else {})


def _choice(kinds: Mapping[str, type[Struct]]) -> Schema:
    """One of several, told apart by `type`: an error then speaks of the chosen one only."""
    cases = []
    for name, cls in kinds.items():
        schema = _struct(cls)
        schema["properties"]["type"] = {"const": name}
        cases.append({"if": {"properties": {"type": {"const": name}}}, "then": schema})
    kind = {"enum": sorted(kinds)}
    return {"type": "object", "required": ["type"], "properties": {"type": kind}, "allOf": cases}


def _field(field: FieldInfo, hint: Any) -> Schema:
    unit = next((p for word, p in _UNITS.items() if word in field.encode_name), None)
    return _type(hint, unit)


def _type(hint: Any, unit: str | None) -> Schema:  # noqa: PLR0911 one return a kind of type
    if isinstance(hint, type) and issubclass(hint, Struct):
        return _struct(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is typing.Annotated:
        return _limited(_type(arguments[0], unit), hint.__metadata__)
    if origin is typing.Literal:
        # YAML 1.1, which Helm reads, takes these words for truth values, as the loader allows.
        switches = [value for word, value in (("off", False), ("on", True)) if word in arguments]
        return {"enum": [*arguments, *switches]}
    if origin in (Union, UnionType):
        kinds = [_type(each, unit) for each in arguments if each is not NoneType]
        kinds += [{"type": "null"}] if NoneType in arguments else []
        return kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    if origin is tuple:
        return {"type": "array", "items": _type(arguments[0], unit)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1], unit)}
    plain: Schema = {"type": _PLAIN[hint]}
    if unit and hint in (int, float):
        return {"anyOf": [plain, {"type": "string", "pattern": unit}]}
    return plain


def _limited(schema: Schema, metadata: tuple[Any, ...]) -> Schema:
    limits = dict(_limits(metadata, is_list=schema.get("type") == "array"))
    if "anyOf" in schema:
        first, *others = schema["anyOf"]
        return {"anyOf": [first | limits, *others]}
    schema |= limits
    # What the variable stands for is checked by the daemon.
    return {"anyOf": [schema, _VARIABLE]} if "pattern" in limits else schema


def _limits(metadata: tuple[Any, ...], *, is_list: bool) -> Iterator[tuple[str, Any]]:
    names = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
    names |= {"pattern": "pattern"}
    names |= {f"{end}_length": f"{end}{'Items' if is_list else 'Length'}" for end in ("min", "max")}
    for meta in metadata:
        if isinstance(meta, Meta):
            for name, word in names.items():
                if getattr(meta, name) is not None:
                    yield word, getattr(meta, name)


def secret_names() -> set[str]:
    """Names of all settings that are secrets."""
    found: set[str] = set()
    todo: list[Any] = [Config]
    while todo:
        hint = todo.pop()
        todo += _CHOICES.get(hint, {}).values() or get_args(hint)
        if isinstance(hint, type) and issubclass(hint, Struct) and hint not in _CHOICES:
            hints = typing.get_type_hints(hint, include_extras=True)
            todo += hints.values()
            found |= {f.encode_name for f in fields(hint) if _is_secret(hints[f.name])}
    return found


def _is_secret(hint: Any) -> bool:
    if get_origin(hint) in (Union, UnionType):
        return any(map(_is_secret, get_args(hint)))
    marks = getattr(hint, "__metadata__", ())
    return any(isinstance(mark, Meta) and (mark.extra or {}).get(SECRET) for mark in marks)


if __name__ == "__main__":
    values = json.loads(VALUES_SCHEMA.read_text())
    values["properties"]["config"] = config_schema()
    VALUES_SCHEMA.write_text(json.dumps(values, indent=2) + "\n")
