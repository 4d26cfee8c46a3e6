"""Whether the keys of a profile's LLMs are there, before an hour of compute is spent.

In: the model strings a profile names. Out: nothing, or a `SettingError` that says which environment
variable is missing. No key is read, printed or sent.
"""

from delphi_assets.errors import SettingError
from delphi_assets.llm.client import import_litellm
from delphi_assets.settings import Profile


def check_keys(profile: Profile) -> None:
    """Refuse a profile whose explainer or judge needs a key that is not in the environment.

    A server of one's own (`llm.api_base`) may need none and is not checked.
    """
    models = {
        "explain.explainer_model": profile.explain.explainer_model,
        "score.scorer_model": profile.score.scorer_model,
    }
    asked = {setting: model for setting, model in models.items() if model != "lexical"}
    if not asked or profile.llm.api_base is not None:
        return
    litellm = import_litellm()
    for setting, model in asked.items():
        wanted = litellm.validate_environment(model)["missing_keys"]
        # Addresses have defaults; keys have none.
        missing = [name for name in wanted if not name.endswith("_BASE")]
        if missing:
            raise SettingError(
                f"{setting} = {model!r} needs {' and '.join(missing)} in the environment; set it, "
                "or set llm.api_base for a server of your own."
            )
