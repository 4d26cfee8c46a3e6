"""Where whole JSON stands in a text: as the `json` module says, but at once."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from delphi_assets.llm.answers.json_places import DEEPEST, LONGEST_NUMBER, whole_json

PIECES = (
    "[", "]", "{", "}", '"', "\\", ",", ":", " ", "\n", "\t", "1", "0", "-", ".", "e", "a", '"a"',
    '"a":', "null", "true", "NaN", "-Infinity", "\\u00e9", "\\ud83d", "\\n", "[1, 0]", '{"a": 1}',
)  # fmt: skip


def read_by_json(text: str) -> dict[int, int]:
    """The same, by trying every bracket."""
    decoder, found = json.JSONDecoder(), {}
    for start, sign in enumerate(text):
        if sign in "[{":
            try:
                found[start] = decoder.raw_decode(text, start)[1]
            except ValueError:
                continue
    return found


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=16).map("".join))
def test_it_finds_what_the_json_module_reads(text: str) -> None:
    found = whole_json(text)
    assert found == read_by_json(text)
    assert list(found) == sorted(found)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text() | st.integers(), st.lists))
def test_any_value_is_found_behind_any_brackets(value: object) -> None:
    text = json.dumps([value])
    assert whole_json(f'[{{"[1, {text}')[7] == 7 + len(text)


def test_commas_too_many_are_overlooked_where_asked() -> None:
    text = '{"a": [1, 2,], "b": "x,]" , }'
    assert whole_json(text) == {}
    assert whole_json(text, loose_commas=True) == {0: len(text), 6: 13}
    assert whole_json("[,] [1,,]", loose_commas=True) == {}


def test_what_the_json_module_gives_up_on_is_not_whole() -> None:
    nested = "[" * 50_000 + "]" * 50_000
    assert list(whole_json(nested)) == list(range(50_000 - DEEPEST, 50_000))
    assert whole_json(f"[{'9' * LONGEST_NUMBER}]") != {}
    assert whole_json(f"[{'9' * 5_000}] [1]") == {5_003: 5_006}
