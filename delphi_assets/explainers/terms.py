"""What an explainer has to know beside a latent's windows."""

from dataclasses import dataclass, replace
from functools import cached_property

from delphi_assets.llm.calls.transport import identity_of
from delphi_assets.prompts import Prompts
from delphi_assets.reading.records import SelectionPlace
from delphi_assets.settings import ExplainSettings, LLMSettings


@dataclass(frozen=True)
class Terms(SelectionPlace):
    """What one call of the stage explanations is about."""

    settings: ExplainSettings
    prompts: Prompts
    """The shipped prompts of one version, or what the settings put in their place."""

    @property
    def llm(self) -> LLMSettings:
        """How LLMs are called."""
        return self.profile.llm

    @cached_property
    def identity(self) -> str | None:
        """What tells the explainer's model from another one of its name, where that is known."""
        return identity_of(self.llm, self.settings.explainer_model)

    def by(self, explainer: str) -> "Terms":
        """The same for another explainer."""
        return replace(self, settings=self.settings.model_copy(update={"explainer": explainer}))
