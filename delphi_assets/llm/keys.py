"""Whether a profile's LLMs can be asked, before an hour of compute is spent.

In: a profile. Out: nothing, or a `SettingError` that says which environment variable is missing,
which budget cannot be kept, or which model has no batch endpoint. No key is read, printed or sent.
"""

from delphi_assets.errors import SettingError
from delphi_assets.llm.batch_server import check_provider
from delphi_assets.llm.budget import price_of
from delphi_assets.llm.litellm_calls import import_litellm
from delphi_assets.settings import Profile


def check_keys(profile: Profile) -> None:
    """Refuse a profile whose explainer or judge cannot be asked as the settings say.

    A server of one's own (`api_base`) may need no key and is not checked for one.
    """
    models = {
        "explain.explainer_model": profile.explain.explainer_model,
        "score.scorer_model": profile.score.scorer_model,
    }
    for setting, model in models.items():
        if model != "lexical":
            settings = profile.llm.of(model)
            price_of(settings, model)
            if settings.batch:
                check_provider(model)
            if settings.api_base is None:
                _check_key(setting, model)


def _check_key(setting: str, model: str) -> None:
    wanted = import_litellm().validate_environment(model)["missing_keys"]
    # Addresses have defaults; keys have none.
    missing = [name for name in wanted if not name.endswith("_BASE")]
    if missing:
        raise SettingError(
            f"{setting} = {model!r} needs {' and '.join(missing)} in the environment; set it, "
            "or set llm.api_base for a server of your own."
        )
