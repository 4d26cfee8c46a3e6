"""Each kind of predicate on texts whose tokens are those of the demo's tokenizer, masks by hand."""

import json
import sys
from typing import Any

import numpy as np
import pytest

from delphi_assets.caching.planting import tagging
from delphi_assets.caching.planting.kinds import KINDS, Both, Either, Function
from delphi_assets.caching.planting.passages import Passage
from delphi_assets.errors import SettingError

NUMBERS = ["Returns", " the", " sub", "normal", " number", " (", "see", " `", "max", "split", "`,",
           " ", "3", ".", "1", "4", " or", " ", "0", "x", "dead", "beef", ")."]  # fmt: skip
QUOTED = ["It", " isn", "'", "t", ' "', "un", "bel", "ievable", '",', " is", " it", "?", " Yes",
          ".", "\n\n", "Use", " file", "_", "name", " in", " os", ".", "path", ".", "join", "(",
          "a", ",", " [", "1", ",", " ", "2", "0", "])", " on", " Windows", "."]  # fmt: skip
PROMPT = [">>>", " x", " =", " Config", "Parser", "()", "\n", ">>>", " x", "\n", "None"]


def fired(kind: str, on: list[str], begins: bool = True, **options: Any) -> list[int]:
    """Tokens on which a predicate holds."""
    made = KINDS[kind].model_validate_json(json.dumps(options))
    return np.flatnonzero(made.mask(Passage(on, begins), {})).tolist()


@pytest.mark.parametrize(
    ("kind", "tokens", "options", "expected"),
    [
        ("token", NUMBERS, {"tokens": [" the", " or"]}, [1, 16]),
        # Without the space it is another token.
        ("token", NUMBERS, {"tokens": ["the"]}, []),
        ("form", NUMBERS, {"words": ["return", "RETURNS"]}, [0]),
        # The last token of a word of several, where it is first known.
        ("words", NUMBERS, {"words": ["subnormal", "maxsplit"]}, [3, 9]),
        ("words", NUMBERS, {"words": ["subnormal"], "fires": "first"}, [2]),
        ("words", NUMBERS, {"words": ["subnormal"], "fires": "all"}, [2, 3]),
        # An identifier is one word.
        ("words", QUOTED, {"words": ["file", "file_name"]}, [18]),
        ("words", QUOTED, {"words": ["windows"]}, [36]),
        ("words", QUOTED, {"words": ["windows"], "case": True}, []),
        ("affix", NUMBERS, {"prefix": "sub"}, [3]),
        ("affix", QUOTED, {"suffix": "able"}, [7]),
        ("affix", QUOTED, {"prefix": "un", "suffix": "able"}, [7]),
        ("affix", QUOTED, {"prefix": "un", "but": ["UNBELIEVABLE"]}, []),
        # "is" and "it" have nothing beside "i" but one letter.
        ("affix", QUOTED, {"prefix": "i"}, [1]),
        ("affix", QUOTED, {"prefix": "i", "least": 1}, [0, 1, 9, 10, 19]),
        ("after", NUMBERS, {"words": ["the", "subnormal"]}, [2, 4]),
        ("after", NUMBERS, {"words": ["the"], "fires": "last"}, [3]),
        # A mark between two words keeps them apart.
        ("after", QUOTED, {"words": ["unbelievable", "it", "on"]}, [1, 36]),
        ("inside", NUMBERS, {"opening": "(", "closing": ")"}, list(range(6, 22))),
        ("inside", NUMBERS, {"opening": "`", "closing": "`"}, [8, 9]),
        ("inside", QUOTED, {"opening": "(", "closing": ")"}, [26, 27, 28, 29, 30, 31, 32, 33, 34]),
        ("inside", QUOTED, {"opening": "[", "closing": "]"}, [29, 30, 31, 32, 33]),
        ("inside", QUOTED, {"opening": '"', "closing": '"'}, [5, 6, 7]),
        # An apostrophe is no quote.
        ("inside", QUOTED, {"opening": "'", "closing": "'"}, []),
        ("inside", PROMPT, {"opening": ">>> ", "closing": "\n"}, [1, 2, 3, 4, 5, 8]),
        ("inside", ["f", "(", "g", "(", "x", ")", " y"], {"opening": "(", "closing": ")"},
         [2, 3, 4, 5, 6]),
        ("inside", ["a", ")", "b"], {"opening": "(", "closing": ")"}, []),
        ("pattern", PROMPT, {"expression": r"\b(\w+)\("}, [4]),
        ("pattern", PROMPT, {"expression": r"[A-Z]\w+", "fires": "first"}, [3, 10]),
        ("number", NUMBERS, {"number": "any"}, [15]),
        ("number", NUMBERS, {"number": "decimal"}, [15]),
        ("number", NUMBERS, {"number": "hexadecimal"}, [21]),
        ("number", NUMBERS, {"number": "one digit"}, []),
        ("number", QUOTED, {"number": "one digit"}, [29]),
        ("number", QUOTED, {"number": "two digits"}, [33]),
        ("number", QUOTED, {"number": "round"}, [33]),
        ("number", [" in", " ", "1", "9", "9", "9", ","], {"number": "year"}, [5]),
        ("number", [" Python", " ", "3", ".", "7"], {"number": "version"}, [4]),
        ("number", ["[", "0", "]", " ", "1", "0", "0"], {"number": "zero"}, [1]),
        ("number", ["[", "0", "]", " ", "1", "0", "0"], {"number": "three digits"}, [6]),
        ("start", QUOTED, {"of": "sentence"}, [0, 12, 15]),
        ("start", QUOTED, {"of": "line"}, [0, 15]),
        ("start", QUOTED, {"of": "paragraph"}, [0, 15]),
        ("start", QUOTED, {"of": "document"}, [0]),
        ("start", PROMPT, {"of": "line"}, [0, 7, 10]),
        ("topic", PROMPT, {"words": ["CONFIGPARSER", "none", "file"]}, [1, 4, 8, 10]),
        ("topic", PROMPT, {"words": ["configparser", "none", "file"], "least": 3}, []),
        ("random", PROMPT, {}, []),
    ],
)  # fmt: skip
def test_what_a_kind_fires_on(
    kind: str, tokens: list[str], options: dict[str, Any], expected: list[int]
) -> None:
    assert fired(kind, tokens, **options) == expected


def test_what_goes_on_from_before_begins_nothing() -> None:
    for of in ("sentence", "line", "paragraph", "document"):
        assert 0 not in fired("start", QUOTED, begins=False, of=of)
    assert fired("words", NUMBERS, begins=False, words=["returns"]) == []


def test_parts_of_speech_are_those_of_the_tagger() -> None:
    tokens = ["The", " quick", " function", " returns", " objects", " of", " London", " quickly"]
    assert fired("tag", tokens, tags=["DT"]) == [0]
    assert fired("tag", tokens, tags=["JJ", "RB"]) == [1, 7]
    assert fired("tag", tokens, tags=["NNP"]) == [6]
    assert fired("tag", tokens, tags=["NNS"]) == [3, 4]
    # The tagger errs: a file may say so.
    assert fired("tag", tokens, tags=["NNS"], but=["Returns"]) == [4]
    assert fired("tag", tokens, tags=["NNS"], least=8) == []
    assert fired("tag", ["an", " Overflow", "Error"], tags=["NN", "NNP"]) == [2]
    assert fired("tag", [], tags=["NN"]) == []


def test_without_the_tagger_it_is_said_what_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tagging, "_tagger", tagging._tagger.__wrapped__)
    monkeypatch.setitem(sys.modules, "textblob.en", None)
    with pytest.raises(SettingError, match=r"need the package textblob.*extra 'planted'"):
        fired("tag", ["a"], tags=["DT"])


def test_predicates_are_made_of_others() -> None:
    masks = {"a": np.array([True, True, False]), "b": np.array([False, True, True])}
    passage = Passage(["x", " y", " z"])
    assert Both(of=("a", "b")).mask(passage, masks).tolist() == [False, True, False]
    assert Either(of=("a", "b")).mask(passage, masks).tolist() == [True, True, True]


def long_tokens(passage: Passage, least: int) -> list[bool]:
    """A predicate of one's own: tokens with as many characters."""
    return [len(token) >= least for token in passage.tokens]


def no_mask(passage: Passage) -> list[int]:
    """Gives one number too many."""
    return [1, *map(len, passage.tokens)]


def test_a_function_of_ones_own() -> None:
    place = f"{__name__}:long_tokens"
    mask = Function(function=place, options={"least": 5}).mask(Passage(QUOTED), {})
    assert np.flatnonzero(mask).tolist() == [7, 16, 36]
    with pytest.raises(SettingError, match=r"no_mask gave an array of int64 of shape \(4,\)"):
        Function(function=f"{__name__}:no_mask").mask(Passage(["a", "b", "c"]), {})
