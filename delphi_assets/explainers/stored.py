"""The explainer `none`: what is stored is used, nothing is written.

In: nothing. Out: nothing. The stage counts the latents that have an explanation, by whatever
explainer, so that a pipeline that ends in scores runs without explaining.
"""

from collections.abc import Sequence

from delphi_assets.explainers.explainer import Explainer
from delphi_assets.explainers.terms import Terms
from delphi_assets.settings import ExplainSettings


class StoredExplainer(Explainer):
    """See above."""

    def candidates(self, settings: ExplainSettings) -> Sequence[int | None]:
        """None at all."""
        return ()

    def prompt_hash(self, terms: Terms) -> str:
        """Nothing is asked."""
        return "none"


NONE = StoredExplainer()
