"""The default explainer: an LLM reads highlighted windows and says what they have in common.

In: the train windows of a latent. Out: messages for an LLM.

The prompt is: instructions, worked examples as earlier turns, then the question about the numbered
windows, shown as `excerpts` shows them. `show_activations` lists activations, `cot` asks for
thoughts first.
"""

from delphi_assets.explainers import answers, excerpts
from delphi_assets.explainers.explainer import Instructed
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.calls.requests import Message
from delphi_assets.reading.records import LatentRecord


class DefaultExplainer(Instructed):
    """See above."""

    question_name = "explainer"

    def instructions(self, terms: Terms) -> tuple[Message, ...]:
        """Instructions, and the worked examples of `explainer.toml`."""
        settings, prompts, json_schema = terms.settings, terms.prompts, terms.llm.json_schema
        parts = [prompts.text("explainer"), prompts.text("excerpts")]
        if settings.show_activations:
            parts.append(prompts.text("explainer_activations"))
        if settings.cot:
            parts.append(prompts.text("explainer_reasoning"))
        parts.append(answers.form(prompts, settings.cot, json_schema))
        cases = prompts.explainer_cases("explainer")
        questions = [excerpts.asked("explainer", case.windows, terms) for case in cases]
        system = Message("system", "\n\n".join(parts))
        return (system, *answers.worked(questions, cases, settings.cot, json_schema))

    def question(self, record: LatentRecord, terms: Terms) -> str:
        """The latent's train windows."""
        windows = excerpts.shown(record.train, record.max_activation, terms.settings)
        question = excerpts.asked("explainer", windows, terms)
        return excerpts.explained_signs(question, record.train, terms.prompts)


DEFAULT = DefaultExplainer()
