"""The contrastive explainer: windows in which the latent fires beside windows in which it does not.

In: the train windows of a latent, activating and not (`selection.n_non_activating_train`; their
source is the selection's, so hard ones where it has them). Out: messages for an LLM. None of these
windows is put to a scorer.

The prompt is the default explainer's with a paragraph on silent excerpts, and below the numbered
windows those in which the latent is silent, numbered apart and labelled.
"""

from delphi_assets.explainers import answers, excerpts
from delphi_assets.explainers.explainer import Instructed
from delphi_assets.explainers.terms import Terms
from delphi_assets.llm.calls.requests import Message
from delphi_assets.reading.highlighting import show
from delphi_assets.reading.records import LatentRecord
from delphi_assets.settings import ExplainSettings

_NAME = "explainer_contrastive"


class ContrastiveExplainer(Instructed):
    """See above."""

    question_name = _NAME

    def needs_non_activating(self, settings: ExplainSettings) -> bool:
        """It does."""
        return True

    def instructions(self, terms: Terms) -> tuple[Message, ...]:
        """Instructions, and the worked examples of `explainer_contrastive.toml`."""
        settings, prompts, json_schema = terms.settings, terms.prompts, terms.llm.json_schema
        names = ["explainer", "excerpts"]
        if settings.show_activations:
            names.append("explainer_activations")
        names.append(_NAME)
        if settings.cot:
            names.append("explainer_reasoning")
        parts = [prompts.text(name) for name in names]
        parts.append(answers.form(prompts, settings.cot, json_schema))
        cases = prompts.explainer_cases(_NAME)
        questions = [excerpts.asked(_NAME, case.windows, terms, case.silent) for case in cases]
        system = Message("system", "\n\n".join(parts))
        return (system, *answers.worked(questions, cases, settings.cot, json_schema))

    def question(self, record: LatentRecord, terms: Terms) -> str:
        """The latent's train windows, then those in which it is silent."""
        windows = excerpts.shown(record.train, record.max_activation, terms.settings)
        silent = [show("".join(one.str_tokens)) for one in record.train_non_activating]
        question = excerpts.asked(_NAME, windows, terms, silent)
        return excerpts.explained_signs(question, record.train, terms.prompts)


CONTRASTIVE = ContrastiveExplainer()
