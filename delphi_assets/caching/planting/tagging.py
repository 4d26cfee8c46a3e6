"""Parts of speech, by a tagger that comes as a package with all it needs.

In: a text and its words. Out: the Penn Treebank tag of each word. The lexicon and the rules are
those of TextBlob (its `en-lexicon.txt`, `en-morphology.txt` and `en-context.txt`, of Pattern, BSD):
nothing is fetched, and the same text gets the same tags everywhere. A tagger by rules errs, in code
above all: what is planted on tags is what this tagger says.
"""

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import cast

from delphi_assets.errors import SettingError

_PIECE = re.compile(r"\w+|[^\w\s]")

_Tagger = Callable[[list[str]], list[list[str]]]


@cache
def _tagger() -> _Tagger:
    """The tagger; raises `SettingError` where its package is not installed."""
    try:
        from textblob.en import parser
    except ModuleNotFoundError as error:
        raise SettingError(
            "predicates of the kind 'tag' need the package textblob, which is not installed; "
            "expected delphi-assets with its extra 'planted'."
        ) from error
    return cast(_Tagger, parser.find_tags)


def tags_of(text: str, words: Sequence[tuple[str, int, int]]) -> tuple[str, ...]:
    """The tag of each of the `words` (text, start, end), with what stands around them read too.

    Raises `SettingError` where the tagger is not installed.
    """
    pieces = list(_PIECE.finditer(text))
    tagged = _tagger()([piece[0] for piece in pieces]) if pieces else []
    at = {piece.start(): tag for piece, (_, tag, *_) in zip(pieces, tagged, strict=True)}
    return tuple(at[start] for _, start, _ in words)
