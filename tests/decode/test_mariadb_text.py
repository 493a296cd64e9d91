"""Statements of MariaDB rows: a whole column at once reads as each text by itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.decode.mariadb_text import unescape, unescape_column

# What decides: escapes, known or not, quotes of both kinds, what JSON reads otherwise, and text
# beyond ASCII as its bytes show in Latin-1.
_PIECES = st.sampled_from(
    (
        *(r"\'", r"\\", r"\n", r"\t", r"\r", r"\b", r"\f", r"\x", r"\"", r"\/", r"\u0041", r"\0"),
        *('"', "'", "\\", ",", '","', "a", " ", "/", "u0041", "\t", "\x01", "\x00"),
        *("\u00e4".encode().decode("latin-1"), "\u4e2d".encode().decode("latin-1"), "\xe4"),
    )
)
_TEXTS = st.lists(st.lists(_PIECES, max_size=6).map("".join), max_size=5)


def _each(texts: list[str]) -> list[str] | None:
    try:
        return [unescape(text).encode("latin-1").decode() for text in texts]
    except ValueError:
        return None


@given(_TEXTS)
def test_a_column_reads_as_each_of_its_texts(texts: list[str]) -> None:
    try:
        column: list[str] | None = unescape_column(texts)
    except ValueError:
        column = None
    assert column == _each(texts)


def test_no_text_is_a_column_too() -> None:
    assert unescape_column([]) == []
    assert unescape_column([""]) == [""]


@pytest.mark.parametrize("texts", [["a", "it's"], ["a\\", "b"], ["\xe4", "b"], ["\\\\'", "b"]])
def test_a_text_that_is_none_is_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r".*"):
        unescape_column(texts)
