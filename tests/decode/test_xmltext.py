"""References: what a person's eye says, what the column reader says, what nobody may expand."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.decode.xmltext import unescape, unescape_column
from shipper.errors import MalformedError

TEXTS = st.text(
    st.sampled_from("&#;xltgampquo10389AFf \n\r\t\x01\x08\x7fé東😀"), max_size=20
).filter(lambda text: not set(text) & set("<>"))


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
        ("&amp;lt;", "&lt;"),
        ("&amp;#10;", "&#10;"),
        ("&#38;lt;", "&lt;"),
        ("&#010;&#x0A;&#00000000000010;", "\n\n\n"),
        ("&#8;&#31;&#127;", "\x08\x1f\x7f"),
        ("&&lt;;&amp", "&<;&amp"),
        ("&#x10FFFF;", "\U0010ffff"),
    ],
)
def test_a_reference_becomes_its_character_once(written: str, text: str) -> None:
    assert unescape(written) == text


@pytest.mark.parametrize(
    "text", ["&#0;", "&#xD800;", "&#57343;", "&#x110000;", "&#99999999;", "&nbsp;", "&#;", "&#x;"]
)
def test_a_reference_to_nothing_stays(text: str) -> None:
    assert unescape(f"{text}&lt;") == f"{text}<"


@given(st.text(max_size=30))
def test_unescaping_undoes_escaping(text: str) -> None:
    assert unescape(html.escape(text)) == text


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_a_column_reads_like_its_values_one_by_one(texts: list[str]) -> None:
    shown = [text.encode().decode("latin-1") for text in texts]
    assert unescape_column(shown) == [unescape(text) for text in texts]


def test_a_column_with_markup_is_refused() -> None:
    for text in ("<!DOCTYPE x>", "a > b"):
        with pytest.raises(MalformedError):
            unescape_column(["&amp;", text])


def test_a_column_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        unescape_column(["&amp;", "\xe9"])
