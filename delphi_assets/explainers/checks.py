"""What is wrong with settings of an explanation, told before anything is computed.

In: settings. Out: a sentence, or None.
"""

from delphi_assets.errors import SettingError
from delphi_assets.explainers import registry
from delphi_assets.prompts import Prompts
from delphi_assets.settings import ExplainSettings


def problem_of(settings: ExplainSettings) -> str | None:
    """An explainer that is unknown or goes with another model, prompts that cannot be used."""
    try:
        explainer = registry.make(settings.explainer, settings.options)
        Prompts(settings.prompts)
        problem = explainer.problem(settings)
    except SettingError as error:
        return str(error)
    if problem:
        return problem
    asks = settings.explainer_model != "lexical"
    if explainer.needs_model is None or explainer.needs_model == asks:
        return None
    return (
        f"explainer = {settings.explainer!r} with explainer_model = {settings.explainer_model!r}: "
        "an explainer that asks no LLM goes with explainer_model = 'lexical', every other one with "
        "a LiteLLM model string"
    )
