"""Settings out of YAML: every mistake at once, each with its line and what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import pytest
from msgspec import Meta

from shipper.config import Loader, read_document
from shipper.errors import ConfigError
from shipper.settings import Secret, Settings


class Tls(Settings, frozen=True, kw_only=True):
    ca_file: str | None = None


class Base(Settings, frozen=True, kw_only=True, tag_field="type"):
    name: str = "x"


class Tcp(Base, frozen=True, kw_only=True, tag="tcp"):
    port: Annotated[int, Meta(ge=1, le=65535)]
    mode: Literal["fast", "safe"] = "safe"
    password: Secret | None = None
    tls: Tls | None = None
    size_bytes: int = 1
    wait_seconds: float = 1.0

    def problems(self) -> Iterator[str]:
        if self.mode == "fast" and self.tls:
            yield "mode: fast and tls exclude each other"


class Root(Settings, frozen=True, kw_only=True):
    outs: tuple[Base, ...] = ()


def load(text: str, env: dict[str, str] | None = None) -> tuple[Root | None, list[str]]:
    value, problems = read_document(text, env or {})

    def read_file(path: str) -> str:
        if path != "/secret":
            raise FileNotFoundError(2, "No such file or directory")
        return "hush\n"

    loader = Loader({Base: {"tcp": Tcp}}, read_file)
    made = loader.load(Root, value)
    return made, problems + loader.problems


def test_a_good_file_becomes_frozen_settings() -> None:
    made, problems = load(
        "outs:\n"
        "- type: tcp\n  port: 5\n  size_bytes: 4MiB\n  wait_seconds: 1h\n"
        "  tls: {ca_file: /ca}\n  password_file: /secret\n",
    )
    assert problems == []
    assert made == Root(
        outs=(
            Tcp(
                port=5,
                size_bytes=4 * 2**20,
                wait_seconds=3600,
                tls=Tls(ca_file="/ca"),
                password="hush",
            ),
        )
    )


def test_all_mistakes_come_at_once_with_their_lines() -> None:
    made, problems = load(
        "outs:\n"
        "- type: tcp\n  prot: 5\n  mode: quick\n  port: 0\n"
        "- type: udp\n"
        "- {type: tcp, port: 5, mode: fast, tls: {}}\n"
        "- type: tcp\n  port: 5\n  password_file: /missing\n  size_bytes: much\n"
        "inns: []\n"
    )
    assert made is None
    assert problems == [
        "line 3: outs[0].prot: is not a setting; did you mean port?",
        "line 4: outs[0].mode: must be one of fast, safe, not 'quick'",
        "line 5: outs[0].port: expected int >= 1, not 0",
        "line 6: outs[1].type: 'udp' is none of tcp",
        "line 7: outs[2]: mode: fast and tls exclude each other",
        "line 10: outs[3].password_file: cannot read /missing: No such file or directory",
        "line 11: outs[3].size_bytes: expected int, got str, not 'much'",
        "line 12: inns: is not a setting; there are outs",
    ]


def test_variables_come_from_the_environment_and_can_be_escaped() -> None:
    made, problems = load("outs: [{type: tcp, port: 5, name: '${A}-$${B}-${C}'}]", {"A": "a"})
    assert problems == ["line 1: the environment has no C"]
    assert made is not None
    assert made.outs[0].name == "a-${B}-"


def test_a_variable_that_is_no_text_is_a_mistake() -> None:
    env = {"A": b"/data/\xff/audit.log".decode("utf-8", "surrogateescape")}
    _, problems = load("outs: [{type: tcp, port: 5, name: '${A}'}]", env)
    assert problems == ["line 1: A in the environment is not UTF-8"]


def test_a_secret_never_stands_in_a_message() -> None:
    _, problems = load("outs: [{type: tcp, port: 5, password: [1, hush]}]")
    assert problems
    assert not any("hush" in problem for problem in problems)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not YAML"),
        ("a: !!python/object:os.system {}", "is not allowed"),
        ("outs: 5", "outs: expected array, got int"),
        ("- 1", "must be a mapping"),
        ("outs: []\nouts: []", "line 2: outs stands here twice"),
    ],
)
def test_what_is_no_configuration_is_told(text: str, says: str) -> None:
    try:
        _, problems = load(text)
    except ConfigError as error:
        problems = list(error.problems)
    assert any(says in problem for problem in problems)


def test_a_bomb_of_aliases_is_refused() -> None:
    lines = ["a0: &a0 [1,1,1,1,1,1,1,1,1,1]"]
    for level in range(1, 8):
        refs = ",".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{refs}]")
    with pytest.raises(ConfigError, match="more than"):
        load("\n".join(lines))
