"""Judges of single windows: does the explanation fit this one, yes or no?

`YesNo` asks an LLM about a few windows at a time, `FirstToken` (in a module of its own) about one;
`LexicalYesNo` reads lexical explanations without one. They serve every scorer whose items are
windows, marked or not.
"""

import json
from collections.abc import Sequence

from delphi_assets.llm.calls.completions import Completion
from delphi_assets.llm.calls.requests import Message, Request
from delphi_assets.reading import lexical
from delphi_assets.scorers.answers import yes_no
from delphi_assets.scorers.judges.first_token import FirstToken
from delphi_assets.scorers.judges.options import numbered
from delphi_assets.scorers.judges.prompted import Prompted, shows_negative, window
from delphi_assets.scorers.work.explained import Explained
from delphi_assets.scorers.work.items import Item
from delphi_assets.scorers.work.scorer import Answer, Asked, Computed, I, failures_of
from delphi_assets.scorers.work.scoring import Scoring


def judge_of(role: str, scoring: Scoring, **shown: object) -> Asked[Item] | Computed[Item]:
    """The judge that the settings name; `shown` are settings that change what a question shows."""
    if scoring.settings.scorer_model == "lexical":
        return LexicalYesNo(**shown)
    if scoring.settings.answer == "first_token":
        return FirstToken(role, scoring, **shown)
    return YesNo(role, scoring, **shown)


class YesNo(Prompted[Item]):
    """An LLM that answers 1 or 0 to each of a few windows."""

    def __init__(self, role: str, scoring: Scoring, **shown: object) -> None:
        self._batch_size = scoring.settings.num_examples_per_scorer_prompt
        super().__init__(
            role,
            scoring,
            num_examples_per_scorer_prompt=self._batch_size,
            **scoring.prompts.layout(role),
            **shown,
        )

    @property
    def batch_size(self) -> int:
        """Windows in a prompt."""
        return self._batch_size

    @property
    def instructions(self) -> tuple[Message, ...]:
        """`<role>.txt` and the worked examples of `<role>.toml`."""
        turns = [self.system(self.role)]
        for case in self.scoring.prompts.scorer_cases(self.role):
            turns.append(Message("user", self._asked(case.explanation, case.windows)))
            turns.append(Message("assistant", json.dumps({"answers": case.answers})))
        return tuple(turns)

    def request(self, explained: Explained, items: Sequence[Item]) -> Request:
        """The numbered windows under the explanation."""
        windows = [window(item) for item in items]
        question = self._asked(self.description(explained), windows)
        signed = any(map(shows_negative, items))
        return self.ask(question, schema(len(items)), signed=signed)

    def read(self, completion: Completion, items: Sequence[Item]) -> Sequence[Answer]:
        """A yes or no an item, with its probability where the log-probabilities tell."""
        parsed = yes_no.parse(completion, len(items))
        if parsed.predictions is None:
            return failures_of(parsed.failure or "", items)
        probabilities = parsed.probabilities or [None] * len(items)
        return [Answer(*pair) for pair in zip(parsed.predictions, probabilities, strict=True)]

    def _asked(self, described: str, windows: Sequence[str]) -> str:
        excerpts = numbered("Excerpt", windows)
        return self.scoring.prompts.question(self.role, description=described, excerpts=excerpts)


class Lexical(Computed[I]):
    """What judges by counting have in common: they read lexical explanations, without an LLM."""

    def __init__(self, **shown: object) -> None:
        self._shown = shown

    @property
    def model(self) -> str:
        """Always `lexical`."""
        return "lexical"

    @property
    def judge_hash(self) -> str:
        """The judge has no settings; those that change what it is shown are named."""
        return " ".join(["lexical", *(f"{name} {value}" for name, value in self._shown.items())])

    def reads(self, explained: Explained) -> bool:
        """Only the lexical explainer's notation, whoever wrote it."""
        return lexical.is_written(explained.explanation)


class LexicalYesNo(Lexical[Item]):
    """Even odds and more are a yes."""

    def answer(self, explained: Explained, items: Sequence[Item]) -> Sequence[Answer]:
        """A probability an item."""
        probabilities = [fit(explained.explanation, item) for item in items]
        return [Answer(probability >= 0.5, probability) for probability in probabilities]


def fit(explanation: str, item: Item) -> float:
    """Probability that a lexical explanation fits the window, or its marks where it has any."""
    text = explanation or lexical.EMPTY
    if item.marked is None:
        return lexical.judge_detection(text, item.str_tokens)
    return lexical.judge_fuzz(text, item.str_tokens, item.marked)


def schema(count: int) -> str:
    """JSON schema, as JSON text, of the answer to `count` items."""
    return json.dumps(
        {
            "type": "object",
            "properties": {
                "answers": {
                    "type": "array",
                    "items": {"type": "integer", "enum": [0, 1]},
                    "minItems": count,
                    "maxItems": count,
                }
            },
            "required": ["answers"],
            "additionalProperties": False,
        }
    )
