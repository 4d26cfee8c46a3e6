"""Kinds of predicates: what can be said of a passage that makes some of its tokens fire.

In: the options of one predicate, and a passage. Out: a mask over the passage's tokens.

A token fires where what is described is first known to a reader who goes from left to right: the
last token of a word, the first one behind a word, the first of a line. `fires` says otherwise.
Between brackets or quotes every token does, by topic the last one of every word. Words are compared
without case, but for `case = true`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field

from delphi_assets.caching.planting.passages import Fires, Mask, Passage, Word
from delphi_assets.errors import SettingError
from delphi_assets.ground.registry import Registry
from delphi_assets.settings.strict import Settings

FUNCTIONS = Registry("predicate", "a", {})
"""Functions of one's own: a place `package.module:function`."""


def _folded(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word.casefold() for word in words)


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from error
    return text


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Folded = Annotated[Texts, AfterValidator(_folded)]
_LAST = "which tokens of a match fire: first, last or all of them"


class Kind(Settings):
    """A kind; its fields are the options of a predicate."""

    @property
    def others(self) -> tuple[str, ...]:
        """Names of the predicates that it is made of."""
        return ()

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """The tokens [n] of the passage on which it holds; `others` are the masks of `others`."""
        raise NotImplementedError


class Token(Kind):
    """One of some tokens, written exactly so, with the space before it."""

    tokens: Texts = Field(description="texts of tokens, with their spaces")

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        wanted = frozenset(self.tokens)
        return np.fromiter((token in wanted for token in passage.tokens), np.bool_)


class Words(Kind):
    """A word of a set."""

    words: Texts = Field(description="the words")
    case: bool = Field(False, description="whether only words in the same case are meant")
    fires: Fires = Field("last", description=_LAST)

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        folded: Callable[[str], str] = str if self.case else str.casefold
        wanted = frozenset(map(folded, self.words))
        found = [(word.start, word.end) for word in passage.words if folded(word.text) in wanted]
        return passage.marked(found, self.fires)


class Form(Words):
    """One word in any of its forms and in any case; `words` are the forms."""


class Affix(Kind):
    """A word of letters that begins or ends so."""

    prefix: str = Field("", description="how the word begins, in any case")
    suffix: str = Field("", description="how it ends, in any case")
    least: int = Field(2, ge=1, description="fewest letters beside the affix")
    but: Folded | tuple[()] = Field((), description="words that are none of these")
    fires: Fires = Field("last", description=_LAST)

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        return passage.marked(
            ((word.start, word.end) for word in passage.words if self._is_one(word)), self.fires
        )

    def _is_one(self, word: Word) -> bool:
        text, least = word.text.casefold(), len(self.prefix) + len(self.suffix) + self.least
        return (
            text.startswith(self.prefix.casefold())
            and text.endswith(self.suffix.casefold())
            and len(text) >= least
            and text.isalpha()
            and text not in self.but
        )


class After(Kind):
    """The word directly behind one of some words, with nothing but white space between them."""

    words: Folded = Field(description="the words before it, in any case")
    fires: Fires = Field("first", description=_LAST)

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        wanted, words, text = frozenset(self.words), passage.words, passage.text
        found = [
            (word.start, word.end)
            for before, word in pairwise(words)
            if before.text.casefold() in wanted and text[before.end : word.start].isspace()
        ]
        return passage.marked(found, self.fires)


class Inside(Kind):
    """What stands between two marks: brackets, which nest, or quotes, on one line.

    A bracket that is not closed in the passage holds all that follows. A quote that is not closed
    on its line is none, nor is one directly behind a letter or digit, as in "doesn't". The marks
    themselves do not fire.
    """

    opening: str = Field(min_length=1, description="mark before it")
    closing: str = Field(min_length=1, description="mark behind it, which may be the same")

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        same = self.opening == self.closing
        return passage.within(self._quoted(passage.text) if same else self._nested(passage.text))

    def _quoted(self, text: str) -> Iterator[tuple[int, int]]:
        mark = re.escape(self.opening)
        for found in re.finditer(rf"(?<!\w){mark}([^\n]+?){mark}(?!\w)", text):
            yield found.span(1)

    def _nested(self, text: str) -> Iterator[tuple[int, int]]:
        depth, start = 0, 0
        marks = re.compile(f"({re.escape(self.opening)})|{re.escape(self.closing)}")
        for found in marks.finditer(text):
            if found[1]:
                start = start if depth else found.end()
                depth += 1
            elif depth:
                depth -= 1
                if not depth:
                    yield start, found.start()
        if depth:
            yield start, len(text)


class Pattern(Kind):
    """What a regular expression finds: its group 1 where it has one."""

    expression: Annotated[str, AfterValidator(_expression)] = Field(
        min_length=1, description="a regular expression of Python"
    )
    fires: Fires = Field("last", description=_LAST)

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        return passage.marked(_found(self.expression, passage.text), self.fires)


NUMBERS = {
    "any": r"(?<![\w.])\d+(?:\.\d+)*(?![\w])",
    "one digit": r"(?<![\w.])\d(?![\w]|\.\d)",
    "two digits": r"(?<![\w.])\d\d(?![\w]|\.\d)",
    "three digits": r"(?<![\w.])\d{3}(?![\w]|\.\d)",
    "year": r"(?<![\w.])(?:19|20)\d\d(?![\w]|\.\d)",
    "decimal": r"(?<![\w.])\d+\.\d+(?![\w.])",
    "version": r"(?<![\w.])[23]\.\d{1,2}(?:\.\d+)?(?![\w])",
    "hexadecimal": r"(?<!\w)0[xX][0-9a-fA-F]+(?!\w)",
    "round": r"(?<![\w.])[1-9]\d*0(?![\w]|\.\d)",
    "zero": r"(?<![\w.])0(?![\w]|\.\d)",
}
"""Kinds of numbers, as expressions."""


class Number(Kind):
    """A number of a kind."""

    number: str = Field(description=f"which kind: {', '.join(NUMBERS)}")
    fires: Fires = Field("last", description=_LAST)

    def model_post_init(self, context: object) -> None:
        """Raise `ValueError` for a kind that there is not."""
        if self.number not in NUMBERS:
            raise ValueError(f"number = {self.number!r}: expected one of {list(NUMBERS)}")

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        return passage.marked(_found(NUMBERS[self.number], passage.text), self.fires)


_STARTS = {
    "sentence": re.compile(r"(?:[.!?][\"')\]]*\s+|\n[ \t]*\n\s*)([A-Z])"),
    "line": re.compile(r"\n[ \t]*(\S)"),
    "paragraph": re.compile(r"\n[ \t]*\n\s*(\S)"),
}
_FIRST = re.compile(r"\s*(\S)")


class Start(Kind):
    """The first token of a sentence, a line, a paragraph or a document.

    A sentence begins with a capital letter, behind the mark that ends another one or an empty line.
    The first token of a document begins all of them.
    """

    of: Literal["sentence", "line", "paragraph", "document"] = Field(
        description="what begins: sentence, line, paragraph or document"
    )

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        expression = _STARTS.get(self.of)
        found = [one.span(1) for one in expression.finditer(passage.text)] if expression else []
        if passage.begins and (first := _FIRST.match(passage.text)):
            found.append(first.span(1))
        return passage.marked(found, "first")


class Tag(Kind):
    """A word of a part of speech, or a name, as the tagger says (`tagging`)."""

    tags: Texts = Field(description="tags of the Penn Treebank, such as NNP or VBZ")
    least: int = Field(1, ge=1, description="fewest letters of the word")
    but: Folded | tuple[()] = Field((), description="words that are none, whatever the tagger says")
    fires: Fires = Field("last", description=_LAST)

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        wanted = frozenset(self.tags)
        found = [
            (word.start, word.end)
            for word, tag in zip(passage.words, passage.tags, strict=True)
            if tag in wanted
            and len(word.text) >= self.least
            and word.text.isalpha()
            and word.text.casefold() not in self.but
        ]
        return passage.marked(found, self.fires)


class Topic(Kind):
    """Every word of a passage that speaks of something: it holds enough words of a list."""

    words: Folded = Field(description="words that tell the topic, in any case")
    least: int = Field(2, ge=1, description="fewest different ones that a passage holds")

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        there = {word.text.casefold() for word in passage.words}
        if len(there.intersection(self.words)) < self.least:
            return passage.nothing()
        return passage.marked(((word.start, word.end) for word in passage.words), "last")


class _Of(Kind):
    of: Annotated[tuple[str, ...], Field(min_length=2)] = Field(
        description="names of predicates of the file, two or more"
    )

    @property
    def others(self) -> tuple[str, ...]:
        """See `Kind.others`."""
        return self.of


class Both(_Of):
    """Tokens on which all of some predicates hold."""

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        mask: Mask = np.logical_and.reduce([others[name] for name in self.of])
        return mask


class Either(_Of):
    """Tokens on which one of some predicates holds, which have nothing to do with each other."""

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        mask: Mask = np.logical_or.reduce([others[name] for name in self.of])
        return mask


class Random(Kind):
    """Nothing: it fires by `false_fire_rate` alone, without a pattern."""

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`."""
        return passage.nothing()


class Function(Kind):
    """What a function of one's own says: from a `Passage` and its options to a mask [n]."""

    function: str = Field(description="package.module:function")
    options: dict[str, Any] = Field(default_factory=dict, description="its options, by name")

    def mask(self, passage: Passage, others: Mapping[str, Mask]) -> Mask:
        """See `Kind.mask`; raises `SettingError` for what is no mask of the passage."""
        found: Callable[..., object] = FUNCTIONS.find(self.function)
        mask = np.asarray(found(passage, **self.options))
        if mask.shape != (len(passage.tokens),) or mask.dtype != np.bool_:
            raise SettingError(
                f"{self.function} gave an array of {mask.dtype} of shape {mask.shape} for a "
                f"passage of {len(passage.tokens)} tokens; expected one of bool of shape "
                f"({len(passage.tokens)},)."
            )
        return mask


KINDS: Mapping[str, type[Kind]] = {
    "token": Token,
    "form": Form,
    "affix": Affix,
    "words": Words,
    "after": After,
    "inside": Inside,
    "pattern": Pattern,
    "number": Number,
    "start": Start,
    "tag": Tag,
    "topic": Topic,
    "both": Both,
    "either": Either,
    "random": Random,
}
"""What comes with the library, by the name in a file; beside them are functions of one's own."""


def _found(expression: str, text: str) -> Iterator[tuple[int, int]]:
    """Where the expression is found; its group 1 where it has one, which may find nothing."""
    for one in re.finditer(expression, text):
        yield one.span(1 if one.re.groups else 0)
