"""The single-token explainer: for latents that fire on a token, whatever stands around it.

In: the train windows of a latent. Out: messages for an LLM, which sees of each window its strongest
token alone.

1. The strongest token of each window is taken, the first of equally strong ones.
2. Equal tokens share a line that says in how many windows they are the strongest, and how strong
   they are from 0 to 10, below 0 where the latent is negative. Those of most windows come first,
   then the stronger, then by their text.
"""

from collections.abc import Iterable

from delphi_assets.explainers import answers
from delphi_assets.explainers.excerpts import explained_signs, quoted
from delphi_assets.explainers.explainer import Instructed
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.calls.requests import Message
from delphi_assets.prompts import ShownToken
from delphi_assets.reading.highlighting import show
from delphi_assets.reading.records import Example, LatentRecord


class SingleTokenExplainer(Instructed):
    """See above."""

    def instructions(self, terms: Terms) -> tuple[Message, ...]:
        """Instructions, and the worked examples of `explainer_single_token.toml`."""
        settings, prompts, json_schema = terms.settings, terms.prompts, terms.llm.json_schema
        parts = [prompts.text("explainer_single_token")]
        if settings.cot:
            parts.append(prompts.text("explainer_single_token_reasoning"))
        parts.append(answers.form(prompts, settings.cot, json_schema))
        cases = prompts.explainer_cases("explainer_single_token")
        questions = [_lines(case.tokens, settings.show_activations) for case in cases]
        system = Message("system", "\n\n".join(parts))
        return (system, *answers.worked(questions, cases, settings.cot, json_schema))

    def question(self, record: LatentRecord, terms: Terms) -> str:
        """The strongest tokens of the latent's train windows."""
        tokens = strongest(record.train)
        lines = _lines(tokens, terms.settings.show_activations)
        return explained_signs(lines, record.train, terms.prompts)


def strongest(examples: Iterable[Example]) -> list[ShownToken]:
    """The strongest token of each window, equal ones together, in the order above."""
    strengths: dict[str, list[int]] = {}
    for example in examples:
        place = example.activations.index(max(example.activations, key=abs))
        token = show(example.str_tokens[place])
        strengths.setdefault(token, []).append(example.normalized[place])
    found = [
        ShownToken(token, len(values), min(values), max(values))
        for token, values in strengths.items()
    ]
    return sorted(found, key=lambda one: (-one.windows, *_by_strength(one), one.token))


def _by_strength(one: ShownToken) -> list[int]:
    return sorted((-abs(one.most), -abs(one.least)))


def _lines(tokens: Iterable[ShownToken], show_activations: bool) -> str:
    return "\n".join(_line(one, show_activations) for one in tokens)


def _line(one: ShownToken, show_activations: bool) -> str:
    line = f"{quoted(one.token)} in {one.windows} excerpt{'s' if one.windows > 1 else ''}"
    if not show_activations:
        return line
    least = f"{one.least} to " if one.least < one.most else ""
    return f"{line}, strength {least}{one.most}"


SINGLE_TOKEN = SingleTokenExplainer()
