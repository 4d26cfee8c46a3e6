"""Half characters become replacement characters; everything else stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.ground.foreign_text import REPLACEMENT, clean_text


@pytest.mark.parametrize(
    ("given_text", "clean"),
    [
        ("", ""),
        ("plain", "plain"),
        ("naïve 🙂\x00\n", "naïve 🙂\x00\n"),
        ("a\ud83d", f"a{REPLACEMENT}"),
        ("\ude42b", f"{REPLACEMENT}b"),
        ("\ud83d\ud83d!", f"{REPLACEMENT}{REPLACEMENT}!"),
        ("\ude42\ud83d", f"{REPLACEMENT}{REPLACEMENT}"),
        ("\ud83d\ude42", "🙂"),
        ("🙂\udcff", f"🙂{REPLACEMENT}"),
    ],
)
def test_by_hand(given_text: str, clean: str) -> None:
    assert clean_text(given_text) == clean


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_whatever_comes_can_be_written_and_stays_so(text: str) -> None:
    clean = clean_text(text)
    clean.encode()
    assert clean_text(clean) == clean
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert clean == text
