"""JSON that cannot be read is a `ValueError`, whatever Python's reader says of it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delphi_assets.ground.foreign_json import parse_json

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda held: st.lists(held) | st.dictionaries(st.text(), held),
)


@pytest.mark.parametrize("deep", [101, 900, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a": '])
def test_deep_nesting_is_refused(deep: int, opening: str) -> None:
    whole = opening * deep + "1" + ("]" if opening == "[" else "}") * deep
    for text in (opening * deep, whole, whole.encode()):
        with pytest.raises(ValueError, match=r"nested more than 100|Expecting"):
            parse_json(text)


@pytest.mark.parametrize("text", ["", "9" * 5_000, b"\xff\xfe\xfd", b'"caf\xe9"', "[1,]", "{1: 1}"])
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_json(text)


def test_many_brackets_beside_each_other_are_read() -> None:
    rows = [{"a": [1]} for _ in range(1_000)]
    assert parse_json(json.dumps(rows)) == rows
    assert parse_json("[" * 99 + "]" * 99) is not None


@given(json_values)
def test_json_is_read(value: object) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value).encode()) == value
