"""What an explainer has to know beside a latent's windows."""

from dataclasses import dataclass, replace

from delphi_assets.lake.lake import Lake
from delphi_assets.prompts import Prompts
from delphi_assets.settings import ExplainSettings, LLMSettings, Profile


@dataclass(frozen=True)
class Terms:
    """What one call of the stage explanations is about."""

    profile: Profile
    lake: Lake
    hookpoint: str
    selection: str
    settings: ExplainSettings
    prompts: Prompts
    """The shipped prompts of one version, or what the settings put in their place."""

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.profile.run.name

    @property
    def keys(self) -> dict[str, str | int]:
        """Path keys of the table explanations."""
        return {"run": self.run, "hookpoint": self.hookpoint}

    @property
    def llm(self) -> LLMSettings:
        """How LLMs are called."""
        return self.profile.llm

    @property
    def seed(self) -> str:
        """Seed of what is drawn among a latent's windows."""
        return f"{self.profile.run.seed}|{self.run}|{self.hookpoint}"

    def by(self, explainer: str) -> "Terms":
        """The same for another explainer."""
        return replace(self, settings=self.settings.model_copy(update={"explainer": explainer}))
