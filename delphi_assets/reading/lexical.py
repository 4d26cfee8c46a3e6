"""Lexical: explaining and judging by counting tokens, without a model.

An honest baseline: an LLM explanation or judge that does not beat it is not worth its price.

The explainer writes down which tokens carry a latent's activation in the train windows, what
stands just before them, and how much more often than in the corpus:

    "import" 62% x85, after "\\n" 55% x3.1, after " from" 20% x9.4
    " yield" 11% x240
    other 27%

A line reads: 62% of the activation is on the token "import", 85 times its share of the corpus; of
that, 55% follows a line break, 3.1 times as often as "import" does in the corpus. One imagined
window of unexplained activation keeps `other` above zero.

The judge sees that text and a window, nothing else. It compares two stories: the latent fires on
one token of the window, drawn as the explanation says, all other tokens being ordinary text; or
the window is ordinary text. With positions i of a window of n tokens their likelihood ratio is

    LR = 1/n sum_i weight(i)

where weight(i) = lift(token) * lift(preceding | token) for a listed token (the ratio of shares left
over where the preceding token is not listed), and the ratio of shares left over for a token that is
not listed. Even odds before, so probability = LR / (1 + LR). Detection averages over all tokens of
the window, fuzzing over the highlighted ones. No constant is fitted.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from delphi_assets.errors import DataError
from delphi_assets.lake.database import open_database, query
from delphi_assets.lake.lake import Lake, read_parquet
from delphi_assets.reading.records import LatentRecord

EMPTY = "other 100%"
"""What an explanation says that says nothing."""

_MOST_TOKENS = 10
_MOST_PRECEDING = 3
_LEAST_SHARE = 0.02
_LEAST_PRECEDING_SHARE = 0.1


class Evidence(NamedTuple):
    """Share of something, and how many times its share in the corpus that is."""

    share: float
    lift: float


class Line(NamedTuple):
    """A line of an explanation: a token, and what stands just before it, the heaviest first."""

    token: str
    own: Evidence
    preceding: list[tuple[str, Evidence]]


@dataclass(frozen=True)
class TokenEvidence:
    """A listed token: how much activation it carries, and what stands just before it."""

    own: Evidence
    preceding: dict[str, Evidence]


@dataclass(frozen=True)
class CorpusCounts:
    """Token and pair counts of a run's corpus. `pairs` are sorted preceding * width + token."""

    tokens: npt.NDArray[np.int64]
    pairs: npt.NDArray[np.int64]
    pair_counts: npt.NDArray[np.int64]
    str_tokens: list[str]

    def rate(self, token: int) -> float:
        """Share of the corpus that is this token, never zero."""
        return float(max(self.tokens[token], 1) / max(self.tokens.sum(), 1))

    def preceding_rate(self, preceding: int, token: int) -> float:
        """Share of the token's occurrences that follow `preceding`, never zero."""
        key = preceding * len(self.tokens) + token
        place = int(np.searchsorted(self.pairs, key))
        found = place < len(self.pairs) and self.pairs[place] == key
        count = int(self.pair_counts[place]) if found else 1
        return count / float(max(self.tokens[token], 1))


def read_counts(lake: Lake, run: str) -> CorpusCounts:
    """Counts of a run's corpus; raises `NotReadyError` without contexts."""
    vocabulary = read_parquet(lake, lake.files("vocabulary", run=run)).sort_by("token")
    pairs = query(open_database(lake), "lexical/pairs", contexts=lake.files("contexts", run=run))
    preceding = pairs["preceding"].to_numpy().astype(np.int64)
    keys = preceding * vocabulary.num_rows + pairs["token"].to_numpy()
    return CorpusCounts(
        vocabulary["count"].to_numpy(),
        keys,
        pairs["n"].to_numpy(),
        vocabulary["str_token"].to_pylist(),
    )


def explain(record: LatentRecord, counts: CorpusCounts) -> str:
    """What counting says about the latent's train windows, in the form shown above.

    A negative activation weighs as its magnitude. Raises `DataError` when the record has no
    activation in a train window.
    """
    mass: dict[int, float] = {}
    before: dict[int, dict[int, float]] = {}
    for example in record.train:
        for place, (token, activation) in enumerate(
            zip(example.tokens, example.activations, strict=True)
        ):
            if activation:
                mass[token] = mass.get(token, 0.0) + abs(activation)
                if place:
                    pairs = before.setdefault(token, {})
                    preceding = example.tokens[place - 1]
                    pairs[preceding] = pairs.get(preceding, 0.0) + abs(activation)
    total = sum(mass.values())
    if total <= 0:
        raise DataError(
            f"latent {record.latent} has no activation in {len(record.train)} train "
            "windows; expected at least one. Materialize its examples again."
        )
    total *= 1 + 1 / len(record.train)
    lines, listed = [], 0.0
    for token, share in _heaviest(mass, total, _MOST_TOKENS, _LEAST_SHARE):
        listed += share
        parts = [_phrase(counts.str_tokens[token], share, counts.rate(token))]
        pairs = before.get(token, {})
        pair_total = sum(pairs.values()) * (1 + 1 / len(record.train))
        for preceding, pair_share in _heaviest(
            pairs, pair_total, _MOST_PRECEDING, _LEAST_PRECEDING_SHARE
        ):
            rate = counts.preceding_rate(preceding, token)
            parts.append(f"after {_phrase(counts.str_tokens[preceding], pair_share, rate)}")
        lines.append(", ".join(parts))
    return "\n".join([*lines, f"other {_percent(1 - listed)}"])


def judge_detection(explanation: str, str_tokens: Sequence[str]) -> float:
    """Probability that the latent fires in the window; raises `DataError` on foreign text."""
    return _probability(parse(explanation), str_tokens, range(len(str_tokens)))


def judge_fuzz(explanation: str, str_tokens: Sequence[str], highlighted: Sequence[int]) -> float:
    """Probability that the highlighting is right; raises `DataError` on foreign text."""
    places = [place for place, marked in enumerate(highlighted) if marked]
    return _probability(parse(explanation), str_tokens, places)


_EVIDENCE = r'("(?:[^"\\]|\\.)*") (\d+(?:\.\d+)?)% x(\d+(?:\.\d+)?(?:e[+-]?\d+)?)'
_LINE = re.compile(rf"{_EVIDENCE}((?:, after {_EVIDENCE})*)")
_AFTER = re.compile(rf", after {_EVIDENCE}")
_OTHER = re.compile(r"other \d+(?:\.\d+)?%")


def is_written(explanation: str) -> bool:
    """Whether every line is one that the lexical explainer writes."""
    *lines, last = explanation.split("\n")
    return _OTHER.fullmatch(last) is not None and all(map(_LINE.fullmatch, lines))


def read_lines(explanation: str) -> list[Line]:
    """The lines of an explanation but the last; raises `DataError` when it is not a lexical one.

    Tokens of one text have a line each.
    """
    if not is_written(explanation):
        raise DataError(
            f"{explanation[:80]!r} is not a lexical explanation; the lexical judge reads only "
            "what the lexical explainer writes. Use an LLM as scorer_model for other explanations."
        )
    return list(map(_read_line, explanation.split("\n")[:-1]))


def _read_line(line: str) -> Line:
    match = _LINE.fullmatch(line)
    assert match is not None, "is_written said so"
    preceding = [
        (json.loads(token), _evidence(share, lift))
        for token, share, lift in _AFTER.findall(match[4])
    ]
    return Line(json.loads(match[1]), _evidence(match[2], match[3]), preceding)


def _evidence(percent: str, lift: str) -> Evidence:
    return Evidence(float(percent) / 100, float(lift))


@lru_cache(maxsize=1_024)
def parse(explanation: str) -> Mapping[str, TokenEvidence]:
    """The tokens an explanation lists; raises `DataError` when it is not a lexical one."""
    evidence: dict[str, TokenEvidence] = {}
    for line in read_lines(explanation):
        evidence.setdefault(line.token, TokenEvidence(line.own, dict(line.preceding)))
    return evidence


def _probability(
    evidence: Mapping[str, TokenEvidence], str_tokens: Sequence[str], places: Sequence[int]
) -> float:
    if not places:
        return 0.5
    rest = _left_over(token.own for token in evidence.values())
    weights = [
        _weight(evidence, rest, str_tokens[place], str_tokens[place - 1] if place else None)
        for place in places
    ]
    ratio = sum(weights) / len(weights)
    return ratio / (1 + ratio)


def _weight(
    evidence: Mapping[str, TokenEvidence], rest: float, token: str, preceding: str | None
) -> float:
    if token not in evidence:
        return rest
    own, before = evidence[token].own, evidence[token].preceding
    if preceding is None or not before:
        return own.lift
    if preceding in before:
        return own.lift * before[preceding].lift
    return own.lift * _left_over(before.values())


def _left_over(listed: Iterable[Evidence]) -> float:
    """Ratio of the share left over by what is listed to the corpus share it leaves over."""
    listed = list(listed)
    share = 1 - sum(evidence.share for evidence in listed)
    corpus = 1 - sum(evidence.share / evidence.lift for evidence in listed if evidence.lift > 0)
    return max(share, 1e-3) / max(corpus, 1e-3)


def _heaviest(
    mass: dict[int, float], total: float, most: int, least_share: float
) -> list[tuple[int, float]]:
    heaviest = sorted(mass.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [(token, value / total) for token, value in heaviest if value / total >= least_share]


def _phrase(token: str, share: float, corpus_share: float) -> str:
    return f"{json.dumps(token, ensure_ascii=False)} {_percent(share)} x{share / corpus_share:.3g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g}%"
