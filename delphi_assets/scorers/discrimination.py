"""Discrimination: which of these explanations fits the window?

Detection asks whether an explanation fits a window, against windows picked at random; two latents
with one explanation both pass. This asks for the difference: a test window with the tokens marked
on which the latent fires, its explanation among those of its nearest neighbours.

1. Alternatives are the explanations of the `discrimination_alternatives` nearest latents that have
   one by the same explainer, model and prompt (`alternatives`). Fewer will do; a latent without any
   is not judged. They are those that are stored when the question is asked, and `judge_hash` names
   them. So when more latents are explained and some get other alternatives, all that are scored get
   rows under another `judge_hash`. An LLM is asked only about those whose alternatives are others:
   the rest is answered by the table completions.
2. The order is drawn by a hash of seed and window.
3. An LLM picks one. The lexical judge gives each explanation its odds on the marked tokens and
   picks the largest; the first of equal ones, which is a fair draw. `probability` is the share of
   the own explanation in the sum of the odds.

Other explanations are its control: there are no more, but `chance`. An explanation that is the same
as an alternative is picked as often as chance has it, and that is what it deserves.
"""

from collections.abc import Sequence

from delphi_assets.prompts import ScorerCase
from delphi_assets.reading.highlighting import mark
from delphi_assets.reading.records import Example, LatentRecord
from delphi_assets.scorers.judges.alternatives import Alternatives
from delphi_assets.scorers.judges.options import Choice, Chooser, numbered
from delphi_assets.scorers.judges.prompted import laid_out, window
from delphi_assets.scorers.judges.single_windows import Lexical, fit
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import order_of, shuffled
from delphi_assets.scorers.work.scorer import Answer, Scorer, hash_of
from delphi_assets.scorers.work.scoring import Scoring

NAME, PLAIN = "discrimination", "plain"


def discrimination(scoring: Scoring) -> Scorer[Choice]:
    """The scorer, with the judge that the settings name.

    Raises `NotReadyError` without neighbours.
    """
    alternatives = Alternatives(scoring)
    shown = {
        "threshold": scoring.profile.explain.threshold,
        "alternatives": scoring.settings.discrimination_alternatives,
        "neighbours": alternatives.method,
    }
    lexical = scoring.settings.scorer_model == "lexical"
    return Scorer(
        name=NAME,
        items=lambda record, explained: _items(scoring, record, explained, alternatives),
        n_items=lambda windows: windows.n_test,
        judge=(
            LexicalChooser(alternatives, **shown)
            if lexical
            else _Judge(scoring, alternatives, **shown)
        ),
        controls=(),
    )


def _items(
    scoring: Scoring, record: LatentRecord, explained: Explained, alternatives: Alternatives
) -> list[Choice]:
    others = alternatives.of(explained)
    if not others:
        return []
    seed = f"{scoring.latent_seed(record.latent)}|{NAME}"
    threshold = scoring.profile.explain.threshold
    drawn = (
        _item(example, record.max_activation, threshold, explained, others, seed)
        for example in record.test
    )
    return shuffled(drawn, seed)


def _item(  # noqa: PLR0917
    example: Example,
    maximum: float,
    threshold: float,
    explained: Explained,
    others: Sequence[Explained],
    seed: str,
) -> Choice:
    options = sorted(
        (explained, *others),
        key=lambda one: order_of(seed, "option", example.example, one.explanation_id),
    )
    marked = tuple(mark(example.activations, threshold, maximum, inclusive=True))
    return Choice(
        example=example.example,
        variant=PLAIN,
        truth=True,
        quantile=example.quantile,
        str_tokens=tuple(example.str_tokens),
        marked=marked,
        chance=1 / len(options),
        options=tuple(option.explanation for option in options),
        right=options.index(explained),
        signed=min(marked, default=0) < 0,
    )


class _Judge(Chooser):
    def __init__(self, scoring: Scoring, among: Alternatives, **shown: object) -> None:
        super().__init__(NAME, scoring, **shown)
        self._among = among

    def hash_for(self, explained: Explained) -> str:
        return hash_of(judge=self.judge_hash, among=self._among.family(explained))

    def shown(self, case: ScorerCase) -> str:
        return _question(case.windows[0], case.descriptions)

    def question(self, explained: Explained, item: Choice) -> str:
        texts = [laid_out(option) for option in item.options]
        if explained.explainer != "lexical":
            return _question(window(item), texts)
        return _question(window(item), [f"\n{text}" for text in texts], self.legend)


def _question(shown: str, descriptions: Sequence[str], *legend: str) -> str:
    return "\n\n".join([f"Excerpt: {shown}", *legend, numbered("Description", descriptions)])


class LexicalChooser(Lexical[Choice]):
    """The counting judge: the explanation with the largest odds on the marked tokens."""

    def __init__(self, among: Alternatives, **shown: object) -> None:
        super().__init__(**shown)
        self._among = among

    def hash_for(self, explained: Explained) -> str:
        """The judge's settings, and the alternatives that there are."""
        return f"{self.judge_hash} among {self._among.family(explained)}"

    def answer(self, explained: Explained, items: Sequence[Choice]) -> Sequence[Answer]:
        """Whether the own explanation is it, and its share of the odds."""
        return [self._answer(item) for item in items]

    def _answer(self, item: Choice) -> Answer:
        fits = [fit(option, item) for option in item.options]
        odds = [share / max(1 - share, 1e-12) for share in fits]
        picked = max(range(len(odds)), key=odds.__getitem__)
        return Answer(picked == item.right, odds[item.right] / sum(odds))
