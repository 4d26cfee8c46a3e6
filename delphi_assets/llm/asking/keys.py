"""Whether a model can be asked as the settings say, before anything is loaded for it.

In: a profile, or a model and the settings of its calls. Out: nothing, or a `SettingError` that says
which environment variable or setting is missing, which budget cannot be kept, or which model has no
batch endpoint. No key is read, printed or sent.
"""

from delphi_assets.llm.calls.transport import transport_of
from delphi_assets.llm.money.budget import check_price
from delphi_assets.settings import LLMSettings, Profile


def check_keys(profile: Profile) -> None:
    """Refuse a profile whose explainer or judge cannot be asked as the settings say."""
    for setting, model in {
        "explain.explainer_model": profile.explain.explainer_model,
        "score.scorer_model": profile.score.scorer_model,
    }.items():
        if model != "lexical":
            check_model(profile.llm, setting, model)


def check_model(llm: LLMSettings, setting: str, model: str) -> None:
    """Refuse the model of a setting when it cannot be asked as `llm` says."""
    settings = llm.of(model)
    transport_of(settings, model).check(setting, model, settings)
    check_price(settings, model)
