"""Ways to ask a judge: how many windows a question, and how it answers.

In: the profile's section score. Out: the ways that are tried, each as settings for one scorer.

With `score.answer = "list"` questions are about 1, 5 and 10 windows, and as many as the profile
asks about. Log-probabilities are asked for: a list that comes with them says yes and no as well, so
what a judge is worth without them costs no further question. Beside these stands `"first_token"`,
which is one window and never without them.
"""

from typing import Literal, NamedTuple

from delphi_assets.settings import ScoreSettings, override

SIZES = (1, 5, 10)
"""Windows a question."""
CALIBRATED = ("detection", "fuzz")
"""Scorers whose judge is measured.

Not discrimination: its `judge_hash` names the explanations that it chooses among, which are those
of one run, so that no card of another one would be found by it.
"""


class Way(NamedTuple):
    """How a judge is asked."""

    answer: Literal["list", "first_token"]
    size: int
    """Most windows a question."""
    log_prob: bool = True

    def settings(self, score: ScoreSettings, scorer: str) -> ScoreSettings:
        """The profile's section, to ask one scorer's questions in this way.

        By the latest prompts, as a run asks that has no answers yet, and without floors: wrong
        descriptions stand for them.
        """
        return override(
            score,
            "calibrate",
            scorers=(scorer,),
            answer=self.answer,
            num_examples_per_scorer_prompt=self.size,
            log_prob=self.log_prob,
            controls=(),
            prompt_version="latest",
        )

    @property
    def without(self) -> "Way | None":
        """The same without log-probabilities; None where they are the answer."""
        return self._replace(log_prob=False) if self.answer == "list" else None


def ways_of(score: ScoreSettings) -> list[Way]:
    """The ways that are tried."""
    sizes = sorted({*SIZES, score.num_examples_per_scorer_prompt})
    return [Way("first_token", 1), *(Way("list", size) for size in sizes)]
