"""An explanation as a person reads it.

In: the text of an explanation, as it is stored. Out: where the lexical explainer wrote it, one
sentence in place of its notation; any other text as it is.

    "Return" 85% x319, after "<eos>" 61% x9.4
    other 15%

    “Return”, which carries 85% of its activation and is 319 times as frequent there as elsewhere,
    mostly at the start of a document

1. Tokens that differ in case or in spaces around them are one word: shares are added, and the
   corpus has all of them (`reading.lexical` says what shares and lifts are).
2. The heaviest word is described; what stands before it is named where it does in a quarter of the
   word's activation or more. Lifts below 1 are left out: they say what is rarer there.
3. The next words follow with their shares; those after them are counted, their shares added.

Judges read the notation, which has what the sentence leaves out: what precedes the other words, and
how frequent they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from delphi_assets.reading import lexical
from delphi_assets.reading.lexical import Line
from delphi_assets.reading.rendering import visible

_NAMED = 4
"""Words named behind the heaviest; a last one is named too, in place of `one other`."""
_MOST_PLACES = 2
_MOSTLY, _OFTEN = 0.5, 0.25
"""Shares of a word's activation at a place, from which it is there mostly, or often."""
_WHOLE = 10
"""From here on a number is shown without decimals."""
_AFTER, _START = "after ", "at the start of a "
_CONTEXT_STARTS = frozenset({"<bos>", "<s>", "<|begin_of_text|>", "[CLS]"})
_DOCUMENT_STARTS = frozenset({"<eos>", "</s>", "<|endoftext|>", "<|end_of_text|>", "[SEP]"})


@dataclass(frozen=True)
class _Word:
    """Tokens that differ in case or in spaces around them, the heaviest first."""

    forms: Sequence[Line]

    @property
    def shown(self) -> str:
        return shown(self.forms[0].token)

    @property
    def share(self) -> float:
        return sum(form.own.share for form in self.forms)

    @property
    def lift(self) -> float:
        """How many times their common share in the corpus their share is; 0 where not known."""
        lifts = [form.own for form in self.forms]
        if any(one.lift <= 0 for one in lifts):
            return 0.0
        return self.share / corpus if (corpus := sum(one.share / one.lift for one in lifts)) else 0

    def places(self) -> list[tuple[str, float]]:
        """What stands before it more often than in the corpus, as shares of it; the most first."""
        found = sorted(
            (_place(token), form.own.share * evidence.share)
            for form in self.forms
            for token, evidence in form.preceding
            if evidence.lift >= 1
        )
        shares = [
            (place, sum(share for _, share in group) / self.share if self.share else 0.0)
            for place, group in groupby(found, key=lambda one: one[0])
        ]
        return sorted(shares, key=lambda one: (-one[1], one[0]))


def in_words(explanation: str) -> str:
    """The explanation as a person reads it, see above."""
    if not lexical.is_written(explanation):
        return explanation
    words = _words(lexical.read_lines(explanation))
    if not words:
        return "no token that carries much of its activation"
    heaviest, *others = words
    return f"{_described(heaviest)}{_also(others)}"


def shown(token: str) -> str:
    """A token in quotes, without the spaces around it; blank ones by a name."""
    if token.strip():
        return f"“{visible(token.strip(' '))}”"
    if not token.strip(" "):
        return {0: "an empty token", 1: "a space"}.get(len(token), "spaces")
    if not token.strip("\n "):
        return "a line break" if token.count("\n") == 1 else "an empty line"
    return "white space"


def _words(lines: Iterable[Line]) -> list[_Word]:
    """The words of an explanation, the heaviest first; of equal ones the first stays first."""
    forms: dict[str, list[Line]] = {}
    for line in lines:
        forms.setdefault(_key(line.token), []).append(line)
    words = [_Word(sorted(of, key=lambda form: -form.own.share)) for of in forms.values()]
    return sorted(words, key=lambda word: -word.share)


def _described(word: _Word) -> str:
    frequent = ""
    if (lift := _number(word.lift)) not in {"0", "1"} and word.lift > 1:
        frequent = f" and is {lift} times as frequent there as elsewhere"
    said = f"{word.shown}, which carries {_percent(word.share)} of its activation{frequent}"
    return f"{said}{_where(word.places())}"


def _where(places: Sequence[tuple[str, float]]) -> str:
    most, reached = list[str](), 0.0
    for place, share in places[:_MOST_PLACES]:
        if reached >= _MOSTLY or share < _OFTEN:
            break
        most.append(place)
        reached += share
    if not most:
        return ""
    for common in (_AFTER, _START):
        if all(place.startswith(common) for place in most):
            most = [most[0], *(place.removeprefix(common) for place in most[1:])]
    return f", {'mostly' if reached >= _MOSTLY else 'often'} {' or '.join(most)}"


def _also(words: Sequence[_Word]) -> str:
    if not words:
        return ""
    n_named = len(words) if len(words) == _NAMED + 1 else _NAMED
    named, counted = words[:n_named], words[n_named:]
    parts = [f"{word.shown} ({_percent(word.share)})" for word in named]
    if counted:
        total = sum(word.share for word in counted)
        parts.append(f"{len(counted)} others ({_percent(total)})")
    *first, last = parts
    return f"; also {', '.join(first)} and {last}" if first else f"; also {last}"


def _key(token: str) -> str:
    """The same for tokens that are one word; blank ones are, where they are shown alike."""
    return token.strip(" ").casefold() if token.strip() else shown(token)


def _place(preceding: str) -> str:
    """Where a token stands that follows `preceding`."""
    if preceding in _CONTEXT_STARTS:
        return f"{_START}context"
    if preceding in _DOCUMENT_STARTS:
        return f"{_START}document"
    if not preceding.strip("\n ") and preceding.endswith("\n"):
        what = "line" if preceding.count("\n") == 1 else "paragraph"
        return f"{_START}{what}"
    return f"{_AFTER}{shown(preceding)}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


def _number(value: float) -> str:
    """A number of three digits at most, written out: 1,660 or 2.3."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= _WHOLE else f"{float(f'{value:.1f}'):g}"
