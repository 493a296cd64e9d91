"""Plain values to frozen, typed settings. Every mistake is collected; none hides another.

A settings class is a msgspec Struct. It may have a method `problems()` that yields sentences about
fields that do not go together; they are asked for once each field by itself is good.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import FieldInfo, fields

from shipper.config.document import Value
from shipper.settings import SECRET

_UNITS: Final[dict[str, dict[str, float]]] = {
    "bytes": {
        "": 1,
        "B": 1,
        "kB": 10**3,
        "MB": 10**6,
        "GB": 10**9,
        "KiB": 2**10,
        "MiB": 2**20,
        "GiB": 2**30,
        "TiB": 2**40,
    },
    "seconds": {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800},
}
_QUANTITY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")

Made = TypeVar("Made", bound=Struct)
# Base class -> the classes that its `type:` chooses from.
Choices = Mapping[type[Struct], Mapping[str, type[Struct]]]


class Loader:
    """Builds settings; `problems` has every mistake found so far."""

    def __init__(self, choices: Choices, read_file: Callable[[str], str]) -> None:
        """`read_file` reads the files that secrets come from; it may raise OSError."""
        self._choices = choices
        self._read_file = read_file
        self.problems: list[str] = []

    def load(self, cls: type[Made], value: Value, path: str = "") -> Made | None:
        """Make `cls` of a mapping; None where that failed, with the reasons in `problems`."""
        if not isinstance(value.content, dict):
            self._say(value, path, "must be a mapping (key: value)")
            return None
        chosen = self._chosen(cls, value, path)
        if chosen is None:
            return None
        before = len(self.problems)
        arguments = self._arguments(chosen, value, path)
        if len(self.problems) > before:
            return None
        made: Any = chosen(**arguments)
        for class_ in chosen.__mro__:  # each class answers for its own fields
            problems = vars(class_).get("problems")
            for problem in problems(made) if problems else ():
                self._say(value, path, problem)
        return made if len(self.problems) == before else None

    def _chosen(self, cls: type[Struct], value: Value, path: str) -> type[Struct] | None:
        kinds = self._choices.get(cls)
        if kinds is None:
            return cls
        named = value.content.get("type")
        if named is None:
            self._say(value, path, f"type is missing; one of {', '.join(kinds)}")
            return None
        if named.content not in kinds:
            self._say(named, f"{path}.type", f"{named.content!r} is none of {', '.join(kinds)}")
            return None
        return kinds[named.content]

    def _arguments(self, cls: type[Struct], value: Value, path: str) -> dict[str, Any]:
        hints = typing.get_type_hints(cls, include_extras=True)
        known = {field.encode_name: field for field in fields(cls)}
        arguments: dict[str, Any] = {}
        for key, item in value.content.items():
            place = f"{path}.{key}" if path else key
            if key == "type" and cls.__struct_config__.tag is not None:
                continue
            if key in known:
                arguments[known[key].name] = self._value(hints[known[key].name], item, place)
            elif (field := known.get(key.removesuffix("_file"))) and _is_secret(hints[field.name]):
                if field.encode_name in value.content:
                    self._say(item, place, f"{field.encode_name} is given too: keep one of them")
                arguments[field.name] = self._secret(item, place)
            else:
                self._say(item, place, f"is not a setting{_nearest(key, known)}")
        for field in known.values():
            if field.required and field.name not in arguments:
                hint = _secret_hint(hints, field)
                self._say(value, path, f"{field.encode_name} is missing{hint}")
        return arguments

    def _secret(self, item: Value, place: str) -> str:
        try:
            return self._read_file(str(item.content)).removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            self._say(item, place, f"cannot read {item.content}: {reason}")
            return ""

    def _value(self, type_: Any, item: Value, place: str) -> Any:
        struct = _struct_in(type_)
        if struct is not None and isinstance(item.content, list) and _is_list(type_):
            loaded = [
                self.load(struct, each, f"{place}[{index}]")
                for index, each in enumerate(item.content)
            ]
            return tuple(loaded)
        if struct is not None and item.content is not None and not _is_list(type_):
            return self.load(struct, item, place)
        plain = _plain(item)
        if isinstance(plain, str):
            plain = _quantity(plain, place)
        elif isinstance(plain, bool):
            plain = _switch(type_, on=plain)
        try:
            return msgspec.convert(plain, type_, strict=True)
        except msgspec.ValidationError as error:
            shown = "a secret" if _is_secret(type_) else repr(plain)[:80]
            self._say(item, place, f"{_sentence(str(error), type_)}, not {shown}")
            return None

    def _say(self, value: Value, path: str, text: str) -> None:
        self.problems.append(f"line {value.line}: {path or 'the file'}: {text}")


def _struct_in(type_: Any) -> type[Struct] | None:
    """Give the settings class that a field holds: itself, optional, or a tuple of it."""
    if isinstance(type_, type) and issubclass(type_, Struct):
        return type_
    if get_origin(type_) in (Union, UnionType, tuple):
        return next(filter(None, map(_struct_in, get_args(type_))), None)
    return None


def _is_list(type_: Any) -> bool:
    return get_origin(type_) is tuple or (
        get_origin(type_) in (Union, UnionType) and any(map(_is_list, get_args(type_)))
    )


def _is_secret(type_: Any) -> bool:
    if get_origin(type_) in (Union, UnionType):
        return any(map(_is_secret, get_args(type_)))
    marks = getattr(type_, "__metadata__", ())
    return any(isinstance(mark, Meta) and (mark.extra or {}).get(SECRET) for mark in marks)


def _plain(value: Value) -> Any:
    if isinstance(value.content, dict):
        return {key: _plain(item) for key, item in value.content.items()}
    if isinstance(value.content, list):
        return [_plain(item) for item in value.content]
    return value.content


def _quantity(text: str, place: str) -> object:
    """Read `64MiB` and `1h` where the setting's name says bytes or seconds."""
    name = place.rpartition(".")[2]
    match = _QUANTITY.fullmatch(text)
    for word, units in _UNITS.items():
        if word in name and match is not None and match[2] in units:
            amount = float(match[1]) * units[match[2]]
            return int(amount) if amount.is_integer() else amount
    return text


def _switch(type_: Any, *, on: bool) -> object:
    """Read `off`, a truth value for YAML, as the word where a setting has that word."""
    word = "on" if on else "off"
    return word if word in _literals(type_) else on


def _sentence(error: str, type_: Any) -> str:
    """Say what is allowed in the words of an operator."""
    allowed = _literals(type_)
    if allowed:
        return f"must be one of {', '.join(allowed)}"
    return error[0].lower() + error[1:].replace("`", "").removesuffix(".")


def _literals(type_: Any) -> list[str]:
    if get_origin(type_) is typing.Literal:
        return [str(each) for each in get_args(type_)]
    if get_origin(type_) in (Union, UnionType):
        return [word for each in get_args(type_) for word in _literals(each)]
    return []


def _nearest(key: str, known: Mapping[str, FieldInfo]) -> str:
    near = get_close_matches(key, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(known))}"


def _secret_hint(hints: Mapping[str, Any], field: FieldInfo) -> str:
    return f" (or {field.encode_name}_file)" if _is_secret(hints[field.name]) else ""
