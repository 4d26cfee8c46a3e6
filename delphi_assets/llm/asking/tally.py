"""Whether an LLM gave a stage anything that it can use.

In: what became of each question that was asked, and whether the stage has results of earlier ones.
Out: nothing, or a `NoAnswerError` when there were questions, every one of them failed, and nothing
else was there that can be used: such a stage has failed, though its rows are stored.
"""

from collections import Counter

from delphi_assets.errors import NoAnswerError
from delphi_assets.llm.calls import failures
from delphi_assets.llm.calls.completions import Completion

ENOUGH = 20
"""Answers without log-probabilities after which nobody expects any, and the stage stops asking."""


class Tally:
    """Questions to one model, by how they ended.

    `has_results` says that something was stored before which can be used: the last questions of a
    stage, asked again, do not make it one that failed.
    """

    def __init__(self, model: str, place: str, has_results: bool) -> None:
        self._model, self._place = model, place
        self._usable = int(has_results)
        self._failed: Counter[str] = Counter()
        self._last = ""

    def count(self, failure: str | None, completion: Completion) -> None:
        """A question's answer can be used, or failed with this code."""
        if failure is None:
            self._usable += 1
            return
        self._failed[failure] += 1
        self._last = completion.error or f"{failure}: {(completion.answer or '')[:200]!r}"
        if self._failed[failures.NO_LOGPROBS] == ENOUGH:
            self.check()

    def check(self) -> None:
        """Raise `NoAnswerError` when every answer failed, and none was there before."""
        if self._usable or not self._failed:
            return
        counts = ", ".join(f"{code} {n}" for code, n in self._failed.most_common())
        again = sum(n for code, n in self._failed.items() if code in failures.OPEN)
        raise NoAnswerError(
            f"no answer of model = {self._model!r} about {self._place} can be used: {counts}; the "
            f"last one is {self._last}. Their rows are stored. The next run asks {again} of them "
            "again; the others only when the question changes (another model, llm.max_tokens, "
            f"llm.json_schema).{self._hint()}"
        )

    def _hint(self) -> str:
        if failures.NO_LOGPROBS not in self._failed:
            return ""
        return (
            " The server told no log-probabilities, which score.answer = 'first_token' reads: "
            "expected one that does, or score.answer = 'list'."
        )
