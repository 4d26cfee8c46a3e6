"""Passages: what a predicate reads, a stretch of one document inside one context.

In: the contexts of a shard and the texts of the vocabulary. Out: passages, each with the places of
its tokens in the context.

1. A context is cut where a document begins and at special tokens, which belong to no passage.
2. The text of a passage is that of its tokens, one behind the other, as windows show them.
3. A word is a run of letters, digits and underscores. One that may go on beyond what the context
   shows is no word of the passage: nobody can say what it is.

A model that reads the context sees no more of a document than this.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
"""One value a token of a passage: whether a predicate holds on it."""

Fires = Literal["first", "last", "all"]
"""Which tokens of a stretch of text fire."""

_WORD = re.compile(r"\w+")


class Word(NamedTuple):
    """A word and its first and last character in the text, half open."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Passage:
    """A stretch of one document inside one context: its tokens [n] as texts."""

    tokens: Sequence[str]
    begins: bool = True
    """Whether its document is seen to begin here, and not to go on from an earlier context."""
    ends: bool = True
    """Whether its document is seen to end here."""
    document: str = ""
    """Id of the document; empty where it is not known."""

    @cached_property
    def text(self) -> str:
        """The text of the tokens."""
        return "".join(self.tokens)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The whole words of the text, in order."""
        found = (Word(one[0], *one.span()) for one in _WORD.finditer(self.text))
        return tuple(word for word in found if not self._may_go_on(word))

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The part of speech of each word, see `tagging`."""
        from delphi_assets.caching.planting.tagging import tags_of

        return tags_of(self.text, self.words)

    def marked(self, spans: Iterable[tuple[int, int]], fires: Fires) -> Mask:
        """The tokens [n] of the spans that fire: those with a character of one, or the first or
        last of them.
        """
        mask = self.nothing()
        for start, end in spans:
            if start < end:
                first = bisect_right(self._ends, start)
                last = bisect_right(self._ends, end - 1)
                lower = last if fires == "last" else first
                upper = first if fires == "first" else last
                mask[lower : upper + 1] = True
        return mask

    def within(self, spans: Iterable[tuple[int, int]]) -> Mask:
        """The tokens [n] whose first character that is no space stands in a span."""
        mask = self.nothing()
        for start, end in spans:
            mask[bisect_left(self._leads, start) : bisect_left(self._leads, end)] = True
        return mask

    def nothing(self) -> Mask:
        """False for every token [n]."""
        return np.zeros(len(self.tokens), dtype=np.bool_)

    def _may_go_on(self, word: Word) -> bool:
        before = word.start == 0 and not self.begins
        return before or (word.end == len(self.text) and not self.ends)

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(map(len, self.tokens)))

    @cached_property
    def _leads(self) -> list[int]:
        """Where in the text the first character of each token is that is no space."""
        starts = [0, *self._ends[:-1]]
        return [
            start + (len(token) - len(token.lstrip()) if token.strip() else 0)
            for start, token in zip(starts, self.tokens, strict=True)
        ]


class Placed(NamedTuple):
    """A passage, and the offset of its first token in the context; the others follow it."""

    passage: Passage
    offset: int


class Vocabulary(NamedTuple):
    """Texts of tokens, and which are special, by token id."""

    texts: Sequence[str]
    special: Sequence[bool]


def passages_of(
    tokens: Sequence[int],
    document_ids: Sequence[str],
    document_starts: Sequence[int],
    vocabulary: Vocabulary,
) -> Iterator[Placed]:
    """The passages of one context, in order.

    Whether the first document begins in this context is not known: it counts as one that goes on.
    """
    named = dict(zip(document_starts, document_ids, strict=True))
    first, begins, document = min(named, default=0), False, ""
    texts: list[str] = []
    for offset, token in enumerate(tokens):
        special, new = vocabulary.special[token], offset in named
        if texts and (special or new):
            yield Placed(Passage(texts, begins, True, document), offset - len(texts))
            texts, begins = [], True
        if new:
            document, begins = named[offset], offset != first
        if not special:
            texts.append(vocabulary.texts[token])
    if texts:
        yield Placed(Passage(texts, begins, False, document), len(tokens) - len(texts))
