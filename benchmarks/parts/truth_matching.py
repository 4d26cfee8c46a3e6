"""Is an explanation the description of this planted latent, or of what else?

In: an explanation, or a notation of the lexical explainer, and a planted run. Out: a `Match`. Two
tests, and how often each is right where the answer is known:

- `ByText`: MiniLM's nearest text among the true and the wrong descriptions of all latents. It is
  tried on second descriptions, written here from a predicate's parameters, and on wrong ones that
  are taken out of what it chooses from: these must not come out as the true one.
- `ByWindows`: the notation is applied, as the lexical judge does, to windows of all latents; the
  latent whose activity its probabilities follow most closely. It is tried on the notations of
  up to 40 windows, and on those of a latent's relatives.

Planted latents with the same true description count as one.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.parts.truth_lake import Known, Planted
from delphi_assets.caching.planting import kinds
from delphi_assets.caching.planting.predicates import Predicate, shipped_predicates
from delphi_assets.models.sentence_encoder import load_sentence_encoder
from delphi_assets.reading.lexical import judge_detection
from delphi_assets.reading.records import LatentRecord
from delphi_assets.settings import EMBEDDED_ENCODER

WINDOWS_OF_EACH = 3


class Match(NamedTuple):
    """What an explanation of a latent came out as."""

    recovered: bool
    """As its true description."""
    subject: bool
    """As that, or one of its own that is wrong in a known way."""


class ByText:
    """Nearest text."""

    def __init__(self, planted: Planted) -> None:
        self._encoder = load_sentence_encoder(EMBEDDED_ENCODER, "cpu")
        self._true = {one.latent: one.text for one in planted.known}
        self._own = {latent: {text} for latent, text in self._true.items()}
        self.wrong = [row for row in planted.wrong() if row[1] in self._true]
        for relation, latent, text in self.wrong:
            if relation != "other":
                self._own[latent].add(text)
        self._texts = sorted(set().union(*self._own.values()))
        self._vectors = self._encoder.encode(self._texts)

    def matches(self, told: Sequence[tuple[int, str]], *, without: bool = False) -> list[Match]:
        """A match for each latent and text; `without` takes that very text out of the choice."""
        likeness = self._encoder.encode([text for _, text in told]) @ self._vectors.T
        found = []
        for (latent, text), row in zip(told, likeness, strict=True):
            if without:
                row[[at for at, one in enumerate(self._texts) if one == text]] = -1
            nearest = self._texts[int(row.argmax())]
            found.append(Match(nearest == self._true[latent], nearest in self._own[latent]))
        return found


class ByWindows:
    """The latent whose activity a notation foretells."""

    def __init__(self, planted: Planted, records: Sequence[LatentRecord]) -> None:
        windows = {
            example.position: example.str_tokens
            for record in records
            for example in [
                one for one in record.examples if one.split == "test" and one.activating
            ][:WINDOWS_OF_EACH]
        }
        self._places = sorted(windows)
        self._tokens = [windows[place] for place in self._places]
        self._text = {one.latent: one.text for one in planted.known}
        self._latents = [one.latent for one in planted.known]
        fires = [
            [
                (planted.strength[latent][place : place + len(tokens)] > 0).any()
                for place, tokens in zip(self._places, self._tokens, strict=True)
            ]
            for latent in self._latents
        ]
        self._fires = np.array(fires, float)

    def match(self, latent: int, notation: str, shown: Collection[int] = ()) -> Match:
        """What a notation is the notation of; windows at the places `shown` are left out."""
        kept = np.array([place not in shown for place in self._places], bool)
        says = np.array([judge_detection(notation, tokens) for tokens in self._tokens])
        likeness = _correlations(self._fires[:, kept], says[kept])
        nearest = self._text[self._latents[int(likeness.argmax())]]
        recovered = bool(likeness.max() > 0 and nearest == self._text[latent])
        return Match(recovered, recovered)


def _correlations(rows: npt.NDArray[Any], values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Pearson's correlation of each row with `values`; 0 where either does not vary."""
    centred, own = rows - rows.mean(1, keepdims=True), values - values.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(own)
    found: npt.NDArray[Any] = np.zeros(len(rows))
    np.divide(centred @ own, norms, out=found, where=norms > 0)
    return found


def second_descriptions(known: Sequence[Known]) -> dict[int, str]:
    """A description in other words, by latent, of the shipped predicates that have one."""
    by_name = {predicate.name: predicate for predicate in shipped_predicates().all}
    told = {one.latent: _second(by_name[one.name], by_name) for one in known if one.name in by_name}
    return {latent: text for latent, text in told.items() if text}


def _second(predicate: Predicate, by_name: Mapping[str, Predicate]) -> str | None:
    """None where the parameters say too little to a reader."""
    kind = predicate.kind
    if isinstance(kind, kinds.Both | kinds.Either):
        parts = [_second(by_name[name], by_name) or "" for name in kind.of]
        joint = ", and at once " if isinstance(kind, kinds.Both) else ", or else "
        return joint.join(part.rstrip(".") for part in parts) + "." if all(parts) else None
    # By the name of the kind, as a form is also a set of words.
    written = _WRITTEN.get(predicate.kind_name)
    told = kind.model_dump()
    return (
        written.format(
            **{name: _listed(of) if isinstance(of, tuple) else of for name, of in told.items()}
        )
        if written
        else None
    )


_WRITTEN = {
    "token": "Only the text {tokens}, spelled just like that.",
    "form": "A term with its inflections: {words}.",
    "words": "One of these: {words}.",
    "affix": "Anything of the shape {prefix}...{suffix}.",
    "after": "What comes next once {words} was just said.",
    "inside": "Text between {opening} and {closing}.",
    "number": "Numerals: {number}.",
    "start": "Where a {of} begins: its opening token.",
    "topic": "Passages that mention {words}.",
}


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"'{word.strip()}'" for word in words[:8])
