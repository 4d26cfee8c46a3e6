"""What one call of the stage predictions is about: a run's hookpoint, a selection, settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from delphi_assets.caching.origins import replaced_judge
from delphi_assets.lake import database
from delphi_assets.prompts import Prompts
from delphi_assets.reading.records import SelectionPlace
from delphi_assets.settings import ScoreSettings

if TYPE_CHECKING:
    from delphi_assets.models.causal_model import CausalModel
    from delphi_assets.models.sentence_encoder import SentenceEncoder


@dataclass(frozen=True)
class Scoring(SelectionPlace):
    """All that a scorer may need to know; every scorer is made from it (see `registry`)."""

    settings: ScoreSettings
    prompt_version: int | None = None
    """Of the shipped prompts; the latest when None."""

    def latent_seed(self, latent: int) -> str:
        """Seed of the order and highlighting of a latent's items."""
        return f"{self.seed}|{latent}"

    @property
    def where(self) -> str:
        """Where the rows are, for a message."""
        return (
            f"{self.hookpoint!r} in run {self.run!r} for the selection {self.selection!r} in "
            f"{self.lake!r}"
        )

    def query(self, name: str, **parameters: database.Parameter) -> list[dict[str, object]]:
        """Rows of `sql/<name>.sql`, given run, hookpoint and selection beside `parameters`."""
        con = database.connect(self.lake, up_to_date=False)
        rows = database.query(
            con, name, **{**self.keys, "selection": self.selection}, **parameters
        ).to_pylist()
        con.close()
        return rows  # type: ignore[no-any-return]

    @cached_property
    def prompts(self) -> Prompts:
        """The prompts, those that the settings replace among them."""
        return Prompts(self.settings.prompts, "score.prompts", self.prompt_version)

    def with_prompts(self, version: int) -> "Scoring":
        """The same with the prompts of that version; the same one each time it is asked for."""
        if version == self.prompts.version:
            return self
        return self._by_version.setdefault(version, replace(self, prompt_version=version))

    @cached_property
    def _by_version(self) -> dict[int, "Scoring"]:
        return {}

    def version_of(self, scorer: str, judge: str) -> int:
        """Version of the prompts that a scorer goes on with; the latest before its first answer."""
        return self._kept.get((scorer, judge), self.prompts.version)

    @cached_property
    def _kept(self) -> dict[tuple[object, object], int]:
        if self.settings.prompt_version == "latest":
            return {}
        return {
            (row["scorer"], row["judge"]): int(str(row["prompt_version"]))
            for row in self.query("predictions/prompt_versions")
        }

    @cached_property
    def special_tokens(self) -> frozenset[str]:
        """Tokens, as text, on which no latent can fire."""
        if not self.profile.cache.filter_bos:
            return frozenset()
        con = database.connect(self.lake, up_to_date=False)
        rows = database.query(con, "predictions/special_tokens", run=self.run).to_pylist()
        con.close()
        return frozenset(row["str_token"] for row in rows)

    def text(self, str_tokens: Sequence[str]) -> str:
        """The text of a window, without `special_tokens`."""
        return "".join(token for token in str_tokens if token not in self.special_tokens)

    @cached_property
    def other_causal_model(self) -> str | None:
        """Fingerprint of `score.causal_model` if it was replaced since the run first used it."""
        return replaced_judge(self.lake, self.run, self.settings.causal_model)

    @cached_property
    def other_sentence_encoder(self) -> str | None:
        """Fingerprint of `score.embedding_model` if it was replaced since the run first used it."""
        return replaced_judge(self.lake, self.run, self.settings.embedding_model)

    @cached_property
    def causal_model(self) -> "CausalModel":
        """The model of `score.causal_model`, loaded when first asked for."""
        from delphi_assets.models.causal_model import load_causal_model

        settings = self.settings
        return load_causal_model(
            settings.causal_model, settings.causal_dtype, self.profile.model.device
        )

    @cached_property
    def sentence_encoder(self) -> "SentenceEncoder":
        """The encoder of `score.embedding_model`, loaded when first asked for."""
        from delphi_assets.models.sentence_encoder import load_sentence_encoder

        return load_sentence_encoder(self.settings.embedding_model, self.profile.model.device)
