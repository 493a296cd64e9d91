"""Text from a log on its way to a terminal."""

from __future__ import annotations

import unicodedata

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.terminal import LIMIT, encodable, printable, safe_json, storable


@pytest.mark.parametrize(
    "text", ["", "root", "O'Brien", "名前", "Zoë", "DOMAIN\\user", "[red]x[/red]", "<b>", "😀"]
)
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\0\x07\x7f", r"\x00\x07\x7f"),
        ("\x9b31m", r"\x9b31m"),
        ("\x85", r"\x85"),
        ("\u202eevil\u202c", r"\u202eevil\u202c"),
        ("\u2066\u2067\u2068\u2069", r"\u2066\u2067\u2068\u2069"),
        ("\u200e\u200f\u061c", r"\u200e\u200f\u061c"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("ro\u200bot\u200d\ufeff\u2060", r"ro\u200bot\u200d\ufeff\u2060"),
        ("root\xa0\xad", r"root\xa0\xad"),
        ("a\u3164\u2800\u115f", r"a\u3164\u2800\u115f"),
        ("x\ufe0f\U000e0101", r"x\ufe0f\U000e0101"),
        ("\ud800x\udcff", r"\ud800x\udcff"),
        ("\U000e0041\ue000", r"\U000e0041\ue000"),
    ],
)
def test_what_cannot_be_seen_becomes_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_accents_of_a_language_stay_and_a_pile_of_marks_does_not() -> None:
    assert printable("e\u0301\u0323o\u0302") == "e\u0301\u0323o\u0302"
    assert printable("e" + "\u0301" * 6) == "e" + "\u0301" * 4 + r"\u0301\u0301"


def test_text_as_long_as_the_limit_is_whole() -> None:
    assert printable("abcde", limit=5) == "abcde"
    assert printable("ab\x1b", limit=6) == r"ab\x1b"


def test_longer_text_is_cut_and_says_by_how_much() -> None:
    assert printable("abcdef", limit=5) == "abcde…(+1)"
    assert printable("x" * 10_000) == "x" * LIMIT + f"…(+{10_000 - LIMIT})"


def test_escapes_count_as_they_are_shown_and_are_never_cut_in_two() -> None:
    assert printable("ab\x1bcd", limit=5) == "ab…(+3)"
    assert printable("\x1b" * 100, limit=10) == r"\x1b\x1b…(+98)"


@given(st.text(st.characters(exclude_categories=[]), max_size=300), st.integers(0, 200))
def test_nothing_unsafe_is_left_and_the_limit_holds(text: str, limit: int) -> None:
    shown = printable(text, limit)
    assert shown.isprintable()
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert len(shown) <= limit + len(f"…(+{len(text)})")
    assert printable(shown, limit=10_000) == shown


def test_a_terminal_that_cannot_show_a_character_gets_an_escape() -> None:
    assert encodable("Zoë…(+3)", "utf-8") == "Zoë…(+3)"
    assert encodable("Zoë…(+3)", "ascii") == r"Zo\xeb...(+3)"
    assert encodable("Zoë", "latin-1") == "Zoë"


def test_json_for_a_terminal_is_the_same_json_with_nothing_to_obey() -> None:
    hostile = {"user": "a\x7f\x9b2J\u202e\U000e0101é漢", "n": 1}
    written = orjson.dumps(hostile) + b"\n"
    safe = safe_json(written)
    assert orjson.loads(safe) == hostile
    assert safe == ('{"user":"a\\u007f\\u009b2J\\u202e\\udb40\\udd01é漢","n":1}\n'.encode())


def test_a_name_that_is_no_text_can_be_stored() -> None:
    assert storable("caf\udce9.log") == r"caf\udce9.log"
    assert storable("café 🐬") == "café 🐬"
